"""The machine against itself: one variant under two names, in rounds of fresh processes (A/A).

It takes the path of every timed cell (campaign, rounds, workers), so what it finds is what a
comparison finds on this machine where there is nothing to find. The floor that follows from it is
:func:`slmbench.analysis.noise.floor_of`.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import slmbench
from slmbench.analysis.cost_pairs import round_medians
from slmbench.analysis.noise import FEWEST, noise_rows
from slmbench.analysis.results import load_results
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.stability import INTERFERENCE, observed_flags
from slmbench.campaign import Campaign, Policy
from slmbench.errors import SlmbenchError, UnknownNameError, UsageError
from slmbench.plan import Plan, Selection, make_plan
from slmbench.runner.events import Listener, Silent
from slmbench.runner.phases import utc_label
from slmbench.spec import ModelsFile, SizeKnobs, Suite, SuiteWorkload, Variant
from slmbench.store import StoredRun
from slmbench.store.noise import NoiseRatios, NoiseRecord, keep_noise

METRICS = ("ttft", "tpot")
TWIN = "-again"
"""Ends the second name of the variant."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and at what point."""

    minutes: float = 5.0
    """No further block of rounds begins when it would probably end after this."""
    point: str = "pp128+tg64"
    repeats: int = 6
    """Timed repetitions in each process."""
    block: int = 3
    """Rounds between two looks at the clock."""
    fewest: int = 6
    """Rounds that are run in any case."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which variant on which target; None: the first that fit, a quantized one if there is any."""

    models: ModelsFile
    variant: str | None = None
    target: str | None = None


@dataclass(slots=True)
class _Found:
    """What the rounds gave until now."""

    logs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    runs: list[StoredRun] = field(default_factory=list)
    rounds: int = 0


def measure_noise(
    subject: Subject,
    results: Path | None = None,
    *,
    effort: Effort | None = None,
    listener: Listener | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> NoiseRecord:
    """Run the experiment; the record is kept in the cache, and in ``results`` if given.

    Raises UsageError when no variant can be loaded by the target, UnknownNameError for a name,
    and SlmbenchError when a process does not end ok.
    """
    effort = effort or Effort()
    models, first = _with_twin(subject)
    begun, found, longest = time.monotonic(), _Found(), 0.0
    with tempfile.TemporaryDirectory(prefix="slmbench-noise-") as folder:
        while found.rounds < effort.fewest or _time_left(effort, begun) > longest:
            block = time.monotonic()
            seed = found.rounds + 1
            plan = _plan(models, subject, first, _suite(effort, seed))
            root = Path(folder) / str(seed)
            summary = Campaign(plan, models, root, listener or Silent(), Policy()).run()
            if summary.failed:
                failed = summary.failed[0]
                raise SlmbenchError(f"{failed.cell.spec.label}: {failed.reason}")
            _add(found, root, first)
            longest = max(longest, time.monotonic() - block)
            say(_progress(found))
    record = _record(found, effort)
    keep_noise(record, results)
    return record


def _time_left(effort: Effort, begun: float) -> float:
    return effort.minutes * 60 - (time.monotonic() - begun)


def _progress(found: _Found) -> str:
    parts = [f"{found.rounds} rounds"]
    for (metric, point), logs in found.logs.items():
        spread = math.sqrt(math.fsum(d * d for d in logs) / len(logs))
        parts.append(f"{metric} {point} differs by {100 * math.expm1(spread):.1f} % from round "
                     "to round")  # fmt: skip
    return ", ".join(parts)


def _suite(effort: Effort, seed: int) -> Suite:
    knobs = SizeKnobs(
        points=(effort.point,), repeats=effort.repeats, warmup=1, budget_s=12.0,
        processes=effort.block, timeout_s=600.0,
    )  # fmt: skip
    return Suite(
        name="noise",
        title="Noise floor",
        description="One variant against itself.",
        seed=seed,
        sizes={"demo": knobs},
        workloads=(SuiteWorkload(workload="latency"),),
    )


def _with_twin(subject: Subject) -> tuple[ModelsFile, str]:
    """The models with the chosen variant's twin behind it, and the variant's name."""
    models = subject.models
    chosen = _chosen(subject)
    twin = chosen.model_copy(update={"name": chosen.name + TWIN})
    at = models.variants.index(chosen) + 1
    listed = (*models.variants[:at], twin, *models.variants[at:])
    return models.model_copy(update={"variants": listed}), chosen.name


def _chosen(subject: Subject) -> Variant:
    models = subject.models
    if subject.variant is not None:
        known = {v.name: v for v in models.variants}
        if subject.variant not in known:
            raise UnknownNameError("variant", subject.variant, known)
        return known[subject.variant]
    suite = _suite(Effort(), 1)
    ordered = sorted(models.variants, key=lambda v: v.stage != "quantized")
    why = ""
    for variant in ordered:
        try:
            _plan(models, subject, variant.name, suite, twin=False)
        except UnknownNameError:
            raise
        except UsageError as error:
            why = error.hint or ""
            continue
        return variant
    raise UsageError("no variant of the models file can be loaded by the target", hint=why)


def _plan(
    models: ModelsFile, subject: Subject, name: str, suite: Suite, *, twin: bool = True
) -> Plan:
    """The cells of the variant and its twin on one target."""
    names = (name, name + TWIN) if twin else (name,)
    targets = (subject.target,) if subject.target is not None else ()
    plan = make_plan((suite,), models, Selection(variants=names, targets=targets), {})
    only = plan.cells[0].spec.target
    cells = tuple(cell for cell in plan.cells if cell.spec.target == only)
    return Plan(cells, (), plan.suites)


def _add(found: _Found, root: Path, first: str) -> None:
    """The log ratios of one block of rounds."""
    results = load_results(root)
    found.runs += results.stored
    rows = [r for r in results.metric_rows if r.metric in METRICS and r.phase == "timed"]
    second = {_place(r): r for r in rows if r.run.spec.variant.name != first}
    for row in rows:
        if row.run.spec.variant.name == first and _place(row) in second:
            mine, twin = round_medians(row), round_medians(second[_place(row)])
            logs = [math.log(twin[r] / mine[r]) for r in mine if r in twin]
            found.logs.setdefault((row.metric, row.point), []).extend(logs)
    found.rounds = max((len(logs) for logs in found.logs.values()), default=0)
    if not found.rounds:
        raise SlmbenchError("the rounds gave no time to first token and none per token")


def _place(row: MetricRow) -> tuple[str, str]:
    return row.metric, row.point


def _record(found: _Found, effort: Effort) -> NoiseRecord:
    run = found.runs[0]
    target = run.spec.target
    states = _disturbed(found.runs)
    return NoiseRecord(
        machine=run.record.machine,
        target=target.name,
        backend=target.backend,
        device=target.device,
        threads=target.threads,
        variant=run.spec.variant.name.removesuffix(TWIN),
        repeats=effort.repeats,
        ratios=tuple(
            NoiseRatios(metric=metric, point=point, logs=tuple(logs))
            for (metric, point), logs in found.logs.items()
        ),
        processes=len(states),
        disturbed=sum(states),
        libraries=run.environment.libraries,
        slmbench_version=slmbench.__version__,
        measured_utc=utc_label(),
    )


def _disturbed(runs: Iterable[StoredRun]) -> Sequence[bool]:
    """Per process, whether a meter saw other work in its timed phases."""
    seen: dict[tuple[str, int], bool] = {}
    for run in runs:
        for phase in run.record.phases:
            if phase.phase == "timed":
                key = (run.record.run_id, phase.process)
                flags = INTERFERENCE.intersection(observed_flags("s", phase.observations))
                seen[key] = seen.get(key, False) or bool(flags)
    return list(seen.values())


__all__ = ["FEWEST", "Effort", "Subject", "measure_noise", "noise_rows"]
