"""What the supervisor itself costs while a worker runs."""

from __future__ import annotations

import time
from pathlib import Path

from slmbench.meters.procfs import kib_field, read_text
from slmbench.records import ObserverCost


class Observer:
    """Counts from its making on: processor time of this process, and the clock."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def cost(self, meters_s: float) -> ObserverCost:
        """Since it was made; ``meters_s`` is what the worker told of its meters [s]."""
        return ObserverCost(
            supervisor_cpu_s=time.process_time() - self._cpu,
            supervisor_rss_bytes=resident_bytes(self._root),
            wall_s=time.monotonic() - self._wall,
            meters_s=meters_s,
        )


def resident_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process [bytes]; 0 where /proc does not tell."""
    return kib_field(read_text(root / "proc/self/status"), "VmRSS") or 0


def added(costs: list[ObserverCost]) -> ObserverCost | None:
    """Of several processes: times summed, the largest memory; None for none."""
    if not costs:
        return None
    return ObserverCost(
        supervisor_cpu_s=sum(c.supervisor_cpu_s for c in costs),
        supervisor_rss_bytes=max(c.supervisor_rss_bytes for c in costs),
        wall_s=sum(c.wall_s for c in costs),
        meters_s=sum(c.meters_s for c in costs),
    )
