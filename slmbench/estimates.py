"""How long a plan may take and how much memory it may need, and where the guess is from."""

from __future__ import annotations

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
from slmbench.spec import RunSpec, TaskSpec, VariantRef
from slmbench.store import StoredRun, read_store

Basis = Literal["same cell", "like cells", "guess"]

_SCORED_ITEM_S, _GENERATED_ITEM_S = 0.6, 1.2
"""A 135 M model on two cores [s]: starting values, labelled ``guess`` wherever they are shown."""
_START_S = {"llama_cpp": 1.0, "transformers": 5.0}
_RUNTIME_BYTES = {"llama_cpp": 150e6, "transformers": 450e6}


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
    return sum(p.duration_ns for p in run.record.phases) * 1e-9


def _guess(spec: RunSpec) -> float:
    """A rough figure for a 135 M model on two cores; only a starting value for the ETA."""
    start = _START_S.get(spec.target.backend, 1.0)
    work = spec.work
    if isinstance(work, TaskSpec):
        slow = _GENERATED_ITEM_S if work.chat_template else _SCORED_ITEM_S
        return start + slow * (work.items or 2000)
    tokens = sum((p.prompt_tokens / 200 + p.output_tokens / 50) for p in work.points)
    busy = tokens * (work.repeats + work.warmup)
    window = len(work.points) * work.repeats * work.window_s
    return start + (window + 2 * work.idle_s if work.window_s else busy)


def _memory(cell: Cell, ref: VariantRef) -> float | None:
    artefact = None if cell.variant.format == "fake" else find(cell.variant, ref)
    if artefact is None:
        return None
    return artefact.bytes * 1.2 + _RUNTIME_BYTES.get(cell.spec.target.backend, 100e6)
