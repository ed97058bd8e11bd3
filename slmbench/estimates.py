"""How long a plan may take and how much memory it may need, and where the guess is from."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmbench.lifecycle import find
from slmbench.plan import Cell
from slmbench.records import Status
from slmbench.runner.environment import fingerprint
from slmbench.spec import Load, RunSpec, TaskSpec, VariantRef, WorkloadPoint, WorkloadSpec
from slmbench.store import StoredRun, read_store

Basis = Literal["same cell", "like cells", "guess"]


@dataclass(frozen=True, slots=True)
class _Pace:
    """Starting values for a 135 M model on two cores, labelled ``guess`` wherever shown."""

    start_s: float
    """Process, engine and model, for a workload alone in its process."""
    scored_item_s: float
    """A multiple-choice item."""
    generated_item_s: float
    """An answer of some 30 tokens."""
    prefill_rate: float
    """[tok/s]"""
    decode_rate: float
    """[tok/s]"""
    runtime_bytes: float
    """Held by the process beside the artefact."""


_PACES = {
    "llama_cpp": _Pace(1.0, 0.2, 0.5, 450, 190, 150e6),
    "transformers": _Pace(4.0, 0.35, 1.7, 500, 25, 450e6),
}
_UNKNOWN_PACE = _Pace(1.0, 0.2, 0.5, 450, 190, 100e6)
_ALL_ITEMS = 2000
"""Stands for "every item" of a task whose size is not known before its data are read."""

_TRY_TOKENS = 4000
"""Tokens of a try of the OOM frontier, about: what fits is not known before."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one cell may need."""

    seconds: float
    memory_bytes: float | None
    """None when the artefact's size is not known yet."""
    basis: Basis
    """``same cell`` and ``like cells`` come from earlier runs on this machine."""


def estimates(root: Path, cells: Sequence[Cell]) -> tuple[Estimate, ...]:
    """One estimate per cell, from earlier runs on this machine where there are any."""
    machine = fingerprint(()).machine
    runs = [
        r
        for r in read_store(root).runs
        if r.record.machine == machine and r.record.status is Status.OK
    ]
    same = {r.spec.digest: _seconds(r) for r in runs}
    like: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for run in runs:
        like[_likeness(run.spec)].append(_seconds(run))
    return tuple(_estimate(cell, same, like) for cell in cells)


def _estimate(
    cell: Cell, same: Mapping[str, float], like: Mapping[tuple[str, str, str], Sequence[float]]
) -> Estimate:
    spec = cell.spec
    memory = _memory(cell, spec.variant)
    if spec.digest in same:
        return Estimate(same[spec.digest], memory, "same cell")
    if seen := like.get(_likeness(spec)):
        return Estimate(statistics.median(seen), memory, "like cells")
    return Estimate(_guess(spec), memory, "guess")


def _likeness(spec: RunSpec) -> tuple[str, str, str]:
    return (spec.target.name, spec.size, f"{spec.suite}/{spec.work_name}")


def _seconds(run: StoredRun) -> float:
    if run.record.observer is not None:  # starts of all its processes included
        return run.record.observer.wall_s
    return sum(p.duration_ns for p in run.record.phases) * 1e-9


def _guess(spec: RunSpec) -> float:
    """Seconds, from the backend's pace; only where no run of this machine tells better."""
    pace, work = _PACES.get(spec.target.backend, _UNKNOWN_PACE), spec.work
    if isinstance(work, TaskSpec):
        item_s = pace.generated_item_s if work.chat_template else pace.scored_item_s
        return item_s * (work.items or _ALL_ITEMS)  # tasks share one start
    if not work.timed:  # a text is read, and its every token is compared
        read = sum(p.prompt_tokens + p.output_tokens for p in work.points) * work.repeats
        return pace.start_s + read / pace.prefill_rate
    if work.memory_limits:
        return _frontier(work, pace)
    return work.processes * _process(work, pace)


def _frontier(work: WorkloadSpec, pace: _Pace) -> float:
    """A search below each limit: eight tries of some thousand tokens, none past its bound [s]."""
    once = pace.start_s + _TRY_TOKENS / pace.prefill_rate
    return 8 * len(work.memory_limits) * min(once, work.budget_s or math.inf)


def _process(work: WorkloadSpec, pace: _Pace) -> float:
    """One process of a timed workload [s]."""
    if work.loads:
        return pace.start_s + sum(_load_s(p, one, pace) for p in work.points for one in work.loads)
    if work.window_s:
        windows = len(work.points) * work.repeats * work.window_s
        return pace.start_s + (len(work.points) + 1) * work.idle_s + windows
    most = math.inf if work.budget_s is None else work.budget_s
    spent = 0.0
    for p in work.points:
        prefill = (p.depth + p.prompt_tokens) * p.batch / pace.prefill_rate
        once = prefill + p.output_tokens / pace.decode_rate
        spent += once * work.warmup + min(once * work.repeats, most + once)
    return pace.start_s + spent


def _load_s(point: WorkloadPoint, load: Load, pace: _Pace) -> float:
    """One load on a server that answers one request at a time [s]; of a sweep, some six rates
    about what it bears."""
    once = point.prompt_tokens / pace.prefill_rate + point.output_tokens / pace.decode_rate
    arriving = 0.0 if load.rate is None or load.scenario == "sweep" else 1 / load.rate
    rates = 6 if load.scenario == "sweep" else 1
    return load.warmup * once + rates * load.requests * max(once, arriving)


def _memory(cell: Cell, ref: VariantRef) -> float | None:
    artefact = None if cell.variant.format == "fake" else find(cell.variant, ref)
    if artefact is None:
        return None
    pace = _PACES.get(cell.spec.target.backend, _UNKNOWN_PACE)
    return artefact.bytes * 1.2 + pace.runtime_bytes
