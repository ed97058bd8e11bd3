"""``slmbench doctor``: what works here, what does not, and how to fix it."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from slmbench.backends import CAPABILITIES
from slmbench.cli.output import emit
from slmbench.errors import SlmbenchError
from slmbench.lifecycle import Artefact, find, materialise
from slmbench.locations import cache_dir
from slmbench.meters import METERS
from slmbench.plan import identify, resolve_target
from slmbench.records import Status
from slmbench.runner.environment import fingerprint
from slmbench.runner.events import Silent
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import run_job
from slmbench.spec import ModelsFile, RunSpec, Target, Variant, WorkloadPoint, WorkloadSpec
from slmbench.spec.load import load_models

ENGINES = {
    "llama_cpp": ("llama-cpp-python", "llama-cpp"),
    "transformers": ("transformers", "transformers"),
}
"""Backend: its distribution, and the extra that installs it."""
_EXTRAS = {"lm-eval": "tasks", "torchao": "lifecycle", "codecarbon": "meters", "aiohttp": "serving"}
_TOKEN_TIMEOUT_S = 120.0
_ROOM_BYTES = 3e9
PREREQUISITE = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: str
    """``ok``, ``missing`` (optional and absent) or ``failed``."""
    detail: str
    fix: str = ""


def execute(arguments: argparse.Namespace) -> int:
    """Print every check; exit 5 when an installed engine or something basic fails.

    With ``--gates`` the gates instead, exit 4 when one fails; with ``--noise`` the noise floor,
    with ``--peaks`` what the machine can do at best.
    """
    if arguments.noise:
        from slmbench.cli import noise

        return noise.execute(arguments)
    if arguments.peaks:
        from slmbench.cli import peaks

        return peaks.execute(arguments)
    if arguments.gates:
        from slmbench.cli import gates

        return gates.execute(arguments)
    checks = []
    for check in _all_checks(offline=arguments.offline):
        checks.append(check)
        print(f"{check.state:8} {check.name}", file=sys.stderr)
    rows = [(c.state, c.name, c.detail, c.fix) for c in checks]
    emit(("state", "check", "detail", "fix"), rows, arguments.format)
    engines = [c for c in checks if c.name.startswith("backend ")]
    usable = any(c.state == "ok" for c in engines)
    return 0 if usable and all(c.state != "failed" for c in checks) else PREREQUISITE


def _all_checks(*, offline: bool) -> Iterator[Check]:
    yield from _machine()
    yield from _packages()
    yield from _meters()
    models = load_models("demo")
    for backend in ENGINES:
        yield _backend(backend, models, offline=offline)


def _machine() -> Iterator[Check]:
    here = fingerprint(())
    yield Check("python", "ok", f"{platform.python_version()} at {sys.executable}")
    flags = " ".join(f for f in here.cpu.flags if f.startswith(("avx", "amx", "fma", "neon")))
    yield Check(
        "cpu", "ok", f"{here.cpu.model}, {here.cpu.usable_cores} usable cores; {flags or 'no SIMD'}"
    )
    yield Check("memory", "ok", f"{here.memory_bytes / 1e9:.1f} GB, machine {here.machine}")
    yield _peaks()
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    enough = free > _ROOM_BYTES
    yield Check(
        "cache",
        "ok" if enough else "failed",
        f"{folder}, {free / 1e9:.1f} GB free",
        "" if enough else "free at least 3 GB, or set SLMBENCH_CACHE to another disk",
    )


def _peaks() -> Check:
    """Read bandwidth and matrix products, if they were measured on this machine."""
    from slmbench.cli.peaks import kept_line

    again = "slmbench doctor --peaks measures again, on an idle machine"
    if (kept := kept_line()) is None:
        return Check("peaks", "missing", "not measured yet: the first timing does it", again)
    return Check("peaks", "ok", kept, again)


def _packages() -> Iterator[Check]:
    extras = {**dict(ENGINES.values()), **_EXTRAS}
    for distribution, extra in extras.items():
        try:
            yield Check(f"package {distribution}", "ok", version(distribution))
        except PackageNotFoundError:
            yield Check(
                f"package {distribution}",
                "missing",
                "not installed",
                f"pip install 'slmbench[{extra}]', or make install",
            )


def _meters() -> Iterator[Check]:
    for name in METERS.names():
        if name == "fake":
            continue
        found = METERS.load(name).availability()
        yield Check(
            f"meter {name}",
            "ok" if found.ok else "missing",
            found.reason or METERS.load(name).resolution,
            found.fix,
        )


def _backend(backend: str, models: ModelsFile, *, offline: bool) -> Check:
    """One token from a quantized model, in a child process that may die."""
    name, (distribution, extra) = f"backend {backend}", ENGINES[backend]
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return Check(name, "missing", "engine not installed", f"pip install 'slmbench[{extra}]'")
    try:
        variant, artefact = _quantized(backend, models, offline=offline)
    except SlmbenchError as error:
        return Check(name, "missing", f"no test model: {error.message}", error.hint or "")
    target = next(t for t in models.targets if t.backend == backend)
    spec = _one_token(variant, models, target)
    job = WorkerJob(
        artefact=str(artefact.path),
        artefact_sha256=artefact.sha256,
        cells=(CellJob(spec=spec, items=None),),
    )
    (outcome,) = run_job(job, Silent())
    if outcome.status is Status.OK:
        return Check(name, "ok", f"{distribution} {installed} generated from {variant.name}")
    tail = f" | {outcome.stderr_tail[-1]}" if outcome.stderr_tail else ""
    return Check(name, "failed", f"{outcome.status.value}: {outcome.reason}{tail}", outcome.hint)


def _quantized(backend: str, models: ModelsFile, *, offline: bool) -> tuple[Variant, Artefact]:
    """The first quantized variant of the demo that this backend loads; fetched or made."""
    refs = identify(models)
    formats = CAPABILITIES[backend].formats
    fitting = [v for v in models.variants if v.format in formats and v.stage == "quantized"]
    for variant in fitting:
        if found := find(variant, refs[variant.name]):
            return variant, found
    if offline:
        raise SlmbenchError(
            "none is in the cache", hint="run without --offline, or `slmbench demo`"
        )
    return fitting[0], _obtain(fitting[0], models)


def _obtain(variant: Variant, models: ModelsFile) -> Artefact:
    parent = None
    if variant.recipe is not None and variant.parent is not None:
        parent = _obtain(models.variant(variant.parent), models)
    return materialise(
        variant,
        identify(models)[variant.name],
        parent,
        base=Path(),
        report=lambda text: print(text, file=sys.stderr),
    )


def _one_token(variant: Variant, models: ModelsFile, target: Target) -> RunSpec:
    return RunSpec(
        suite="doctor",
        size="demo",
        variant=identify(models)[variant.name],
        target=resolve_target(target),
        work=WorkloadSpec(
            workload="latency",
            points=(WorkloadPoint(prompt_tokens=8, output_tokens=1),),
            repeats=1,
            warmup=0,
            budget_s=None,
            window_s=0.0,
            idle_s=0.0,
            seed=0,
        ),
        timeout_s=_TOKEN_TIMEOUT_S,
    )
