"""The page's lists: what was not measured and why, and the machines that measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slmbench.analysis import Results
from slmbench.metrics import METRICS
from slmbench.records import Environment, Observation, Provenance, SkipRecord, Status
from slmbench.report.format import show
from slmbench.store import StoredRun

_Cause = tuple[str, str, str, str, str, str]
"""Kind, variant, target, signal, reason and hint."""
_DAMAGED = "delete the folder and run the suite again: the cell is then measured anew"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Cells without numbers that share variant, target and reason."""

    kind: str
    """Its status, or ``quarantined``."""
    works: tuple[str, ...]
    """``suite · work`` of each."""
    variant: str
    target: str
    signal: str
    reason: str
    hint: str
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Combinations that the plan left out for one reason on one target."""

    target: str
    reason: str
    variants: tuple[str, ...]
    works: tuple[str, ...]
    cells: int


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A number that no meter could take, over all runs where the reason is the same."""

    label: str
    reason: str
    runs: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One kind of interference on one machine."""

    kind: str
    phases: int
    largest: str
    message: str


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, as the runs on it recorded it (the newest of them where they differ)."""

    name: str
    runs: int
    facts: tuple[tuple[str, str], ...]
    libraries: tuple[str, ...]
    interference: tuple[Seen, ...]


def troubles(results: Results) -> tuple[Trouble, ...]:
    """Failed and quarantined cells, in this order; those with the same cause as one."""
    grouped: dict[_Cause, list[str]] = {}
    tails: dict[_Cause, tuple[str, ...]] = {}
    for run in results.all_runs:
        r, spec = run.record, run.spec
        if r.status is not Status.OK:
            variant, target = spec.variant.name, spec.target.name
            key = (r.status.value, variant, target, r.signal or "", r.reason, r.hint)
            grouped.setdefault(key, []).append(f"{spec.suite} · {spec.work_name}")
            tails.setdefault(key, r.stderr_tail)
    for q in results.quarantined:
        key = ("quarantined", "", "", "", f"cannot be read: {q.reason}", _DAMAGED)
        place = "/".join(q.folder.parts[-3:])
        grouped.setdefault(key, []).append(place)
    return tuple(
        Trouble(kind, tuple(works), variant, target, signal, reason, hint, tails.get(key, ()))
        for key, works in grouped.items()
        for kind, variant, target, signal, reason, hint in [key]
    )


def skipped(results: Results) -> tuple[Skipped, ...]:
    """What the last plans left out, by target and reason."""
    grouped: dict[tuple[str, str], list[SkipRecord]] = {}
    for skip in results.skips:
        grouped.setdefault((skip.target, skip.reason), []).append(skip)
    return tuple(
        Skipped(
            target,
            reason,
            tuple(dict.fromkeys(s.variant for s in found)),
            tuple(dict.fromkeys(f"{s.suite} · {s.work}" for s in found)),
            len(found),
        )
        for (target, reason), found in grouped.items()
    )


def unavailable(results: Results) -> tuple[Unavailable, ...]:
    """Numbers that runs which ended ok could not give, by metric and reason."""
    counts: dict[tuple[str, str], set[str]] = {}
    for row in results.metric_rows:
        ended_ok = row.run.record.status is Status.OK
        if ended_ok and row.provenance is Provenance.UNAVAILABLE:
            label = METRICS[row.metric].label if row.metric in METRICS else row.metric
            counts.setdefault((label, row.reason), set()).add(row.run.record.run_id)
    return tuple(Unavailable(label, why, len(ids)) for (label, why), ids in sorted(counts.items()))


def machines(results: Results) -> tuple[Machine, ...]:
    """Every machine of these runs with what interfered on it."""
    by_machine: dict[str, list[StoredRun]] = {}
    for run in results.stored:
        by_machine.setdefault(run.record.machine, []).append(run)
    return tuple(_machine(name, runs) for name, runs in sorted(by_machine.items()))


def _machine(name: str, runs: list[StoredRun]) -> Machine:
    newest = max(runs, key=lambda r: r.record.run_id)
    libraries = sorted({lib for r in runs for lib in r.environment.libraries})
    return Machine(name, len(runs), _facts(newest.environment), tuple(libraries), _seen(runs))


def _facts(e: Environment) -> tuple[tuple[str, str], ...]:
    limit = "none" if e.cgroup_cpus is None else f"{e.cgroup_cpus:g} cores"
    memory_limit = "none" if e.cgroup_memory_bytes is None else show(e.cgroup_memory_bytes, "bytes")
    return (
        ("Processor", e.cpu.model),
        ("Cores", f"{e.cpu.usable_cores} usable of {e.cpu.cores}"),
        ("Instruction sets", ", ".join(e.cpu.flags) or "none recorded"),
        ("Memory", show(e.memory_bytes, "bytes")),
        ("Control group", f"version {e.cgroup_version}; CPU limit {limit}; memory {memory_limit}"),
        ("GPU", "; ".join(e.gpus) or "none"),
        ("Kernel", e.kernel),
        ("Python", e.python),
        ("Thread settings", ", ".join(e.thread_settings) or "none"),
        ("slmbench commit", e.git_commit or "not recorded"),
    )


def _seen(runs: Iterable[StoredRun]) -> tuple[Seen, ...]:
    found: dict[str, list[Observation]] = {}
    for run in runs:
        for phase in run.record.phases:
            for observation in phase.observations:
                found.setdefault(observation.kind, []).append(observation)
    return tuple(
        Seen(kind.replace("_", " "), len(all_of), f"{worst.value:.3g} {worst.unit}", worst.message)
        for kind, all_of in sorted(found.items())
        for worst in [max(all_of, key=lambda o: o.value)]
    )
