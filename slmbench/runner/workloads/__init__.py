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
from slmbench.spec import WorkloadSpec

Run = Callable[[Bench, Sequence[PhaseRecord]], Iterator[PhaseRecord]]

_MODULES = {
    "latency": "latency",
    "memory": "memory",
    "energy": "energy",
    "sustained": "sustained",
}


class _Workload(Protocol):
    run: Run
    steps: Callable[[WorkloadSpec], int]


def _module(spec: WorkloadSpec) -> _Workload:
    return cast(_Workload, importlib.import_module(f"{__name__}.{_MODULES[spec.workload]}"))


def steps_of(spec: WorkloadSpec) -> int:
    """How often ``step`` is called; energy windows count as one step each."""
    return _module(spec).steps(spec)


def run_workload(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """The phases of the workload, each yielded as soon as it is over."""
    yield from _module(bench.spec).run(bench, load)


__all__ = ["Bench", "meters_for", "run_workload", "steps_of"]
