"""The maker: one derivation in a process of its own (``python -m slmbench.lifecycle.make``).

Reads a :class:`MakeJob` from stdin, writes JSON lines on the descriptor that is its last
argument, and leaves the artefact with ``variant.json`` in the job's folder. Exit code 0 when
the last line is ``done``, 1 when it is ``failed``.
"""

from __future__ import annotations

import errno
import importlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from slmbench.content import RECORD, content_of, files_of
from slmbench.errors import MissingEngineError, OutOfMemoryError, SlmbenchError
from slmbench.lifecycle.attempts import Attempts
from slmbench.lifecycle.cache import no_room
from slmbench.lifecycle.energy import EnergyMeter, unknown
from slmbench.lifecycle.job import Done, Failed, MakeJob, Progress
from slmbench.lifecycle.measured import measured
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import Energy, MadeRecord, OtherUsed
from slmbench.memory_group import MemoryGroup
from slmbench.process import enter_child, limit_memory

TECHNIQUES = {
    "dequantize": "slmbench.lifecycle.dequantize",
    "gguf_export": "slmbench.lifecycle.gguf_export",
    "gguf_quantize": "slmbench.lifecycle.gguf_quantize",
    "torchao": "slmbench.lifecycle.torchao_quantize",
    "cast": "slmbench.lifecycle.cast",
    "onnx_export": "slmbench.lifecycle.onnx_export",
    "rtn": "slmbench.lifecycle.rtn",
    "auto_round": "slmbench.lifecycle.auto_round",
    "depth_prune": "slmbench.lifecycle.depth_prune",
    "width_prune": "slmbench.lifecycle.width_prune",
    "sparsify": "slmbench.lifecycle.sparsify",
    "perturb": "slmbench.lifecycle.perturb",
    "random_init": "slmbench.lifecycle.random_init",
    "low_rank": "slmbench.lifecycle.low_rank",
    "merge": "slmbench.lifecycle.merge",
    "lora": "slmbench.lifecycle.lora",
    "train": "slmbench.lifecycle.training.train",
    "peft_prune": "slmbench.lifecycle.training.peft_prune",
    "fedavg": "slmbench.lifecycle.training.fedavg",
}
"""Technique -> module with ``make(recipe, bench) -> Product``; imported when it is needed."""

_EXTRAS = {
    "torch": "transformers", "transformers": "transformers", "safetensors": "transformers",
    "tokenizers": "transformers", "llama_cpp": "llama-cpp", "torchao": "lifecycle",
    "gguf": "lifecycle", "peft": "lifecycle", "pyarrow": "tasks", "flwr": "federated",
    "auto_round": "auto-round", "onnx": "onnxruntime",
    "onnxruntime_genai": "onnxruntime", "onnx_ir": "onnxruntime", "onnxruntime": "onnxruntime",
}  # fmt: skip
"""Module -> extra of slmbench that brings it."""

_FULL_BYTES = 16 << 20
_NO_ROOM = ("no space left on device", "disk quota exceeded", "(os error 28)")
_NO_MEMORY = ("allocate memory", "out of memory", "not enough memory", "bad_alloc")
"""What errors of libraries say, in lower case."""


def main() -> int:
    """Do the job on stdin; returns the exit code."""
    started, clock = datetime.now(UTC), time.perf_counter_ns()
    pipe = enter_child(sys.argv)
    job = MakeJob.model_validate_json(sys.stdin.read())
    if job.address_space is not None:
        limit_memory(job.address_space)
    spending = _Spending(job, started.isoformat(timespec="seconds"), clock)
    try:
        with _metered(job) as meter:
            product = _apply(job, pipe, spending)
            spent = spending.ended(None if meter is None else meter.stop())
        _seal(job, product, spent)
    except SlmbenchError as error:
        spending.note()
        _say(pipe, Failed(error=type(error).__name__, message=error.message, hint=error.hint))
        return 1
    except Exception as error:
        short = _shortage(error, job)
        if short is None:
            raise
        _say(pipe, Failed(error=type(short).__name__, message=short.message, hint=short.hint))
        return 1
    _say(pipe, Done())
    return 0


def _apply(job: MakeJob, pipe: IO[str], spending: _Spending) -> Product:
    def report(text: str) -> None:
        spending.note()
        _say(pipe, Progress(text=text))

    bench = Workbench(
        made_from=None if job.parent_path is None else Path(job.parent_path),
        out=Path(job.out),
        threads=job.threads,
        report=report,
        others={other.name: other for other in job.others},
        checkpoints=None if job.checkpoints is None else Path(job.checkpoints),
    )
    try:
        technique = importlib.import_module(TECHNIQUES[job.recipe.technique])
        product: Product = technique.make(job.recipe, bench)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingEngineError(
            f"{job.recipe.technique} needs {error.name}", hint=f"pip install 'slmbench[{extra}]'"
        ) from error
    return product


@dataclass(frozen=True, slots=True)
class Spent:
    """What the making took, earlier attempts that it went on from included."""

    started_utc: str
    """Of the last attempt."""
    seconds: float
    peak_memory_bytes: int | None
    energy: Energy


class _Spending:
    """What is being spent."""

    def __init__(self, job: MakeJob, started_utc: str, clock_ns: int) -> None:
        self._started_utc, self._clock_ns = started_utc, clock_ns
        self._kept_in = None if job.checkpoints is None else Path(job.checkpoints)
        self._before = Attempts.before(self._kept_in)
        self._group = job.group

    def note(self) -> None:
        """For the attempt after this one, should this one not come to its end."""
        self._until_now().note(self._kept_in)

    def ended(self, energy: Energy | None) -> Spent:
        """Everything. Energy that only a part of the time was metered for is no figure of it."""
        total, before = self._until_now(), self._before.seconds
        if energy is None:
            energy = unknown("not metered")
        elif before and energy.joules is not None:
            energy = unknown(
                f"interrupted: {energy.joules:.0f} J ({energy.provenance.value}) are of the last "
                f"{total.seconds - before:.0f} of {total.seconds:.0f} s"
            )
        return Spent(self._started_utc, total.seconds, total.peak_memory_bytes, energy)

    def _until_now(self) -> Attempts:
        seconds = (time.perf_counter_ns() - self._clock_ns) / 1e9
        return self._before.and_now(seconds, _peak_memory(self._group))


@contextmanager
def _metered(job: MakeJob) -> Iterator[EnergyMeter | None]:
    """Meters of energy in a process of their own, if the job asks for them."""
    if not job.energy:
        yield None
        return
    with EnergyMeter() as meter:
        yield meter


def _seal(job: MakeJob, product: Product, spent: Spent) -> None:
    """Digest the artefact, write the record, and push everything to the disk."""
    content = content_of(product.path)
    record = MadeRecord(
        variant=job.variant,
        identity=job.identity,
        recipe=job.recipe,
        parent=job.parent,
        parent_identity=job.parent_identity,
        parent_sha256=job.parent_sha256,
        others=tuple(
            OtherUsed(name=other.name, identity=other.identity, sha256=other.sha256)
            for other in job.others
        ),
        artefact=product.path.name,
        artefact_sha256=content.sha256,
        artefact_bytes=content.bytes,
        facts=product.facts,
        tools=_versions(product.libraries),
        started_utc=spent.started_utc,
        duration_s=spent.seconds,
        threads=job.threads,
        peak_memory_bytes=spent.peak_memory_bytes,
        measured=measured(job, product.path),
        energy=spent.energy,
    )
    (Path(job.out) / RECORD).write_text(record.model_dump_json(indent=1) + "\n", "utf-8")
    for file in files_of(product.path):
        _sync(file)
    _sync(Path(job.out) / RECORD)


def _sync(path: Path) -> None:
    """Wait until the file is on the disk: the rename must never come before its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _versions(libraries: tuple[str, ...]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in libraries:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def _peak_memory(group: MemoryGroup | None) -> int | None:
    """Most that was charged to the group, else VmHWM of this process [bytes]; None: not known."""
    if group is not None and (peak := group.peak()) is not None:
        return peak
    try:
        text = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return None
    rows = (line.split() for line in text.splitlines() if line.startswith("VmHWM:"))
    return next((int(row[1]) * 1024 for row in rows), None)


def _shortage(error: Exception, job: MakeJob) -> SlmbenchError | None:
    """What the machine lacked, if that is why it failed: room on the disk, or memory."""
    if _disk_is_full(error, Path(job.out)):
        return no_room(Path(job.out).parent)
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(mark in text for mark in _NO_MEMORY):
        return OutOfMemoryError(
            f"{job.recipe.technique} ran out of memory; nothing was made",
            hint="free memory or raise the limit (ulimit -v), take a smaller model, or, of a "
            "training, lower `batch` or `sequence`",
        )
    return None


def _disk_is_full(error: Exception, out: Path) -> bool:
    """Libraries hide ENOSPC in errors of their own, so words and the disk itself are asked too."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if any(mark in str(error).lower() for mark in _NO_ROOM):
        return True  # a file too large for what is left is taken away: the disk looks roomy again
    return shutil.disk_usage(out).free < _FULL_BYTES


def _say(pipe: IO[str], line: Any) -> None:
    pipe.write(line.model_dump_json() + "\n")
    pipe.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the artefact is on the disk: taking an engine down again may take long
