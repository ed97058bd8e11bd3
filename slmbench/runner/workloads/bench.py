"""What a workload is given, and which meters stand around its phases."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from slmbench.backends import Backend
from slmbench.meters.wall import configured
from slmbench.records import ModelInfo, PhaseRecord
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import Repetition, repetitions

_GPU_METERS = ("cuda", "nvml")
_MEMORY = ("interference", "memory", "cgroup", "cuda", "nvml")


def meters_for(use: str, device: str) -> tuple[str, ...]:
    """Names of the meters for a use: a workload's name, ``window`` (energy) or ``idle``.

    Meters of a GPU are left out on other devices: there is nothing that they could say. The
    first one starts first and stops last, so counters stand closest to the work.
    """
    wall = ("wall",) if configured() else ()
    names = {
        "memory": _MEMORY,
        "memory_context": _MEMORY,
        "oom_frontier": _MEMORY,
        "window": (*wall, "codecarbon", "interference", "rapl", "nvml"),
        "idle": (*wall, "interference", "rapl", "nvml"),
        "sustained": ("interference", "nvml"),
    }.get(use, ("interference",))
    if device.startswith("cuda"):
        return names
    return tuple(name for name in names if name not in _GPU_METERS)


@dataclass(frozen=True, slots=True)
class Bench:
    """A loaded model and what a workload may use around it."""

    backend: Backend
    spec: WorkloadSpec
    device: str
    step: Callable[[], None]
    """Called after every repetition."""
    process: int = 0
    """Which of the cell's processes this is."""
    model: ModelInfo | None = None
    """What was loaded; None in tests that need no model."""

    def repetitions(self, point: WorkloadPoint) -> tuple[Repetition, ...]:
        """Warm-up and timed repetitions of a point, with this process's own prompts."""
        planned = repetitions(self.spec, self.backend.vocab_size(), self.process)
        return tuple(r for r in planned if r.point == point)


def samples(record: PhaseRecord, metric: str) -> tuple[float, ...]:
    """All readings of a metric in a phase."""
    return tuple(s for m in record.measurements if m.metric == metric for s in m.samples)


def spent(begin_ns: int) -> float:
    """Time since ``begin_ns`` of perf_counter_ns [s]."""
    return (time.perf_counter_ns() - begin_ns) * 1e-9
