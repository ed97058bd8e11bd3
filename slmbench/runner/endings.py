"""From how a worker's process ended to a Status that a reader understands."""

from __future__ import annotations

from dataclasses import dataclass

from slmbench.process import Ending
from slmbench.records import Status
from slmbench.spec import RunSpec

_NO_MEMORY = ("bad_alloc", "cannot allocate memory", "out of memory", "memoryerror", "std::length")
_HINTS = {
    "SIGILL": "the engine was built for instructions that this CPU refuses (AMX in a VM, often): "
    "`slmbench doctor` names them; rebuild with `python scripts/install.py --force`",
    "SIGSEGV": "a crash inside the engine: check the artefact's digest, then the engine's version",
    "SIGBUS": "the model file changed or shrank while it was mapped, or the disk is full",
    "SIGABRT": "the engine gave up: the last lines of stderr say why",
    "SIGFPE": "arithmetic fault inside the engine: check the artefact's digest",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a process's ending means for a cell."""

    status: Status
    reason: str
    hint: str


def verdict(ending: Ending, spec: RunSpec) -> Verdict:
    """Judge a worker that ended before its cell was done."""
    return Verdict(*_judge(ending, spec))


def _judge(ending: Ending, spec: RunSpec) -> tuple[Status, str, str]:
    limit = spec.target.memory_limit_bytes
    if ending.timed_out:
        return (
            Status.TIMEOUT,
            f"no end within {spec.timeout_s:g} s; the worker's process group was killed",
            "raise timeout_s in the suite's size, or find out what it waits for",
        )
    stderr = "\n".join(ending.stderr_tail).lower()
    starved = ending.exit_code != 0 and any(word in stderr for word in _NO_MEMORY)
    if ending.oom_killed:
        return (
            Status.OOM,
            "killed by the kernel's out-of-memory killer",
            "take a smaller variant or context, or a machine with more memory",
        )
    if starved:
        bound = f" under the limit of {limit / 1e6:.0f} MB" if limit else ""
        return (
            Status.OOM,
            f"an allocation failed{bound}",
            "raise the target's memory_limit_bytes, shorten its context or take a smaller variant",
        )
    if ending.signal is not None:
        killed = "the worker was killed from outside (SIGKILL)"
        reason = killed if ending.signal == "SIGKILL" else f"the worker died of {ending.signal}"
        hint = _HINTS.get(ending.signal, "run the cell again with --retry-failed")
        return Status.CRASHED, reason, hint
    return (
        Status.CRASHED,
        f"the worker ended early with exit code {ending.exit_code}",
        "the record keeps the last lines of its stderr",
    )
