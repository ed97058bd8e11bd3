"""Run a synthetic load on a loaded backend, phase by phase, under the meters.

One module per workload, each with ``run(bench, load)``, which yields its phases, and
``steps(spec)``, how often it calls ``bench.step``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

from slmbench.records import PhaseRecord
from slmbench.runner.workloads.bench import Bench, meters_for
from slmbench.spec import RunSpec, Target, WorkloadSpec

Run = Callable[[Bench, Sequence[PhaseRecord]], Iterator[PhaseRecord]]

_MODULES = {
    "latency": "latency",
    "memory": "memory",
    "memory_context": "memory_context",
    "oom_frontier": "oom_frontier",
    "energy": "energy",
    "sustained": "sustained",
    "serving": "serving",
}


class _Workload(Protocol):
    run: Run
    steps: Callable[[WorkloadSpec], int]


def _module(spec: WorkloadSpec) -> _Workload:
    return cast(_Workload, importlib.import_module(f"{__name__}.{_MODULES[spec.workload]}"))


def steps_of(spec: WorkloadSpec) -> int:
    """How often ``step`` is called; energy windows count as one step each."""
    return _module(spec).steps(spec)


def slots_of(spec: RunSpec) -> tuple[Target, ...]:
    """The targets of the processes that make up one round of a cell: its own, or several.

    A workload module may define ``slots(spec)``, for points that need a process each.
    """
    assert isinstance(spec.work, WorkloadSpec)
    if spec.work.workload not in _MODULES:
        return (spec.target,)
    slots = getattr(_module(spec.work), "slots", None)
    return (spec.target,) if slots is None else tuple(slots(spec))


def run_workload(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """The phases of the workload, each yielded as soon as it is over."""
    yield from _module(bench.spec).run(bench, load)


__all__ = ["Bench", "meters_for", "run_workload", "slots_of", "steps_of"]
