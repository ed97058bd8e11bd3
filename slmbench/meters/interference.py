"""Signs that something else disturbed the phase: warnings with a size, never corrections."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import ClassVar, Self

from slmbench.meters.absence import no_window
from slmbench.meters.cgroup import Throttling, throttling, usable_cores
from slmbench.meters.procfs import field, read_text
from slmbench.meters.protocol import Availability, Reading
from slmbench.other_load import Ticks, cores_elsewhere, look, other_share
from slmbench.records import Method, Observation, ObservationKind

LOAD_SLACK = 0.5
"""Half a thread above what the cores can run: less is within the noise of a 1-minute mean."""
STEAL_SHARE = 0.01
"""1 % of the cores' time taken by the hypervisor is the size of effects that we report."""
STEAL_TICKS = 2
"""A single tick (10 ms) is the counter's own step and says nothing."""
SWITCHES_PER_SECOND = 100.0
"""A thread that shares its core with one other is preempted every few ms, an undisturbed one
hardly ever. With more rivals the rate falls again, because turns come round less often."""
SWITCHES_LEAST = 10
"""Fewer than this in a window are no rate at all."""
WAIT_SHARE = 0.05
"""Share of the window that a thread was ready but had no core. Wake-ups alone cost a few
per cent; beyond it cores were shared. Unlike the two above it grows with every rival."""
BUSY_SHARE = 0.1
"""A thread that ran for a tenth of the window counts as one of ours in the load."""


@dataclass(frozen=True, slots=True)
class _Thread:
    switches: int
    """Involuntary context switches so far."""
    ran_ns: int
    waited_ns: int
    """Time ready to run but without a core."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    at_ns: int
    load1: float | None
    threads: dict[str, _Thread]
    steal_ticks: int
    all_ticks: int
    throttled: Throttling | None
    swapped_pages: int
    ticks: Ticks | None


class InterferenceMeter:
    """Work of others, load, preemption, waiting, steal, CPU quota, swap: what passes a threshold.

    ``root`` stands for the file system's top. Load, steal and swap are of the whole machine
    (in a container: the host's), work of others is on the cores of this process, preemption,
    waiting and quota are its own.
    """

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = (
        "load: 1-minute mean; steal and other work: 10 ms ticks; start and stop about 0.1 ms per "
        "thread and 0.02 ms per process of the machine"
    )
    metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._begun: _Snapshot | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Needs Linux's /proc; never raises."""
        if read_text(Path("/proc/loadavg")) is None or read_text(Path("/proc/stat")) is None:
            return Availability(
                False,
                "/proc/loadavg or /proc/stat cannot be read",
                "run on Linux with /proc mounted",
            )
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """The same for every device."""
        del device
        return cls()

    def start(self) -> None:
        """Read every counter once."""
        self._begun = _look(self._root)

    def stop(self) -> Reading:
        """Read again and judge the differences."""
        before, self._begun = self._begun, None
        if before is None:
            raise no_window("interference")
        after = _look(self._root)
        seconds = max((after.at_ns - before.at_ns) / 1e9, 1e-9)
        seen = (
            _others(before, after),
            _load(before, after, seconds, usable_cores(self._root)),
            _preempted(before, after, seconds),
            _steal(before, after),
            _quota(before, after),
            _swap(before, after),
        )
        return Reading(observations=tuple(one for one in seen if one is not None))


def _look(root: Path) -> _Snapshot:
    steal, total = _cpu_ticks(root)
    vmstat = read_text(root / "proc/vmstat")
    load = (read_text(root / "proc/loadavg") or "").split()
    return _Snapshot(
        at_ns=perf_counter_ns(),
        load1=float(load[0]) if load else None,
        threads=_threads(root / "proc/self/task"),
        steal_ticks=steal,
        all_ticks=total,
        throttled=throttling(root),
        swapped_pages=(field(vmstat, "pswpin") or 0) + (field(vmstat, "pswpout") or 0),
        ticks=look(root),
    )


def _cpu_ticks(root: Path) -> tuple[int, int]:
    """Steal and all ticks of all cores since boot; guest time is inside user (proc(5))."""
    first = (read_text(root / "proc/stat") or "").partition("\n")[0].split()
    ticks = [int(word) for word in first[1:9]]
    return (ticks[7], sum(ticks)) if len(ticks) == 8 else (0, 0)


def _threads(folder: Path) -> dict[str, _Thread]:
    try:
        return {entry.name: _thread(entry) for entry in folder.iterdir()}
    except OSError:
        return {}


def _thread(folder: Path) -> _Thread:
    """Counters of one thread; zero for one that ended while we looked.

    ``schedstat`` holds time on the cpu, time waiting for one [ns] and the number of turns.
    """
    switches = field(read_text(folder / "status"), "nonvoluntary_ctxt_switches") or 0
    words = (read_text(folder / "schedstat") or "").split()
    ran, waited = (int(words[0]), int(words[1])) if len(words) == 3 else (0, 0)
    return _Thread(switches, ran, waited)


_NEW = _Thread(0, 0, 0)


def _others(before: _Snapshot, after: _Snapshot) -> Observation | None:
    """Work on our cores, else on those beside them."""
    share = other_share(before.ticks, after.ticks)
    if share is not None and after.ticks is not None:
        cores = len(after.ticks.cpus)
        which = "our core" if cores == 1 else f"our {cores} cores"
        return _seen(
            "other_load",
            share,
            "fraction",
            f"others used {share:.0%} of the time of {which} during the phase: times are too long "
            "and scatter",
        )
    busy = cores_elsewhere(before.ticks, after.ticks)
    if busy is None:
        return None
    return _seen(
        "other_load",
        busy,
        "cores",
        f"others kept {busy:.1f} cores of the machine busy during the phase: memory bandwidth, "
        "cache and clock were shared",
    )


def _load(before: _Snapshot, after: _Snapshot, seconds: float, cores: int) -> Observation | None:
    """A mean over minutes, which still holds what ended before: only where nothing better is."""
    if before.ticks is not None and after.ticks is not None:
        return None
    loads = [load for load in (before.load1, after.load1) if load is not None]
    needed = seconds * BUSY_SHARE * 1e9
    own = sum(
        1
        for name, thread in after.threads.items()
        if thread.ran_ns - before.threads.get(name, _NEW).ran_ns > needed
    )
    room = max(cores, own)
    worst = max(loads, default=0.0)
    if worst <= room + LOAD_SLACK:
        return None
    return _seen(
        "load_average",
        worst,
        "threads",
        f"load average {worst:.1f} on {cores} usable cores ({own} busy threads are ours): "
        "other work ran here, times are too long and scatter",
    )


def _preempted(before: _Snapshot, after: _Snapshot, seconds: float) -> Observation | None:
    """One observation for both signs of a shared core: the wait if it shows, else the rate."""
    rate, share = _switch_rate(before, after, seconds), _wait_share(before, after, seconds)
    if share > WAIT_SHARE:
        return _seen(
            "cpu_wait",
            share,
            "fraction",
            f"a thread was ready but had no core for {share:.0%} of the phase ({rate:.0f} "
            "preemptions a second): other work, or more threads than cores; times are too long",
        )
    if rate > SWITCHES_PER_SECOND:
        return _seen(
            "involuntary_switches",
            rate,
            "1/s",
            f"a thread was preempted {rate:.0f} times a second: it shared its core, "
            "times are too long",
        )
    return None


def _switch_rate(before: _Snapshot, after: _Snapshot, seconds: float) -> float:
    """Involuntary switches of the worst thread [1/s]; zero for too few to be a rate."""
    counts = [
        thread.switches - before.threads.get(name, _NEW).switches
        for name, thread in after.threads.items()
    ]
    worst = max(counts, default=0)
    return worst / seconds if worst >= SWITCHES_LEAST else 0.0


def _wait_share(before: _Snapshot, after: _Snapshot, seconds: float) -> float:
    """Share of the window that the worst thread was ready without a core."""
    waits = [
        thread.waited_ns - before.threads.get(name, _NEW).waited_ns
        for name, thread in after.threads.items()
    ]
    return max(waits, default=0) / (seconds * 1e9)


def _steal(before: _Snapshot, after: _Snapshot) -> Observation | None:
    stolen = after.steal_ticks - before.steal_ticks
    total = after.all_ticks - before.all_ticks
    if stolen < STEAL_TICKS or total <= 0 or stolen / total <= STEAL_SHARE:
        return None
    share = stolen / total
    return _seen(
        "steal",
        share,
        "fraction",
        f"the hypervisor took {share:.1%} of the processor time: times are too long",
    )


def _quota(before: _Snapshot, after: _Snapshot) -> Observation | None:
    if before.throttled is None or after.throttled is None:
        return None
    periods = after.throttled.periods - before.throttled.periods
    seconds = after.throttled.seconds - before.throttled.seconds
    if periods <= 0:
        return None
    return _seen(
        "cgroup_throttled",
        seconds,
        "s",
        f"the CPU quota stopped this process in {periods} periods, {seconds:.2f} s in all: "
        "use fewer threads than the quota, or raise it",
    )


def _swap(before: _Snapshot, after: _Snapshot) -> Observation | None:
    pages = after.swapped_pages - before.swapped_pages
    if pages <= 0:
        return None
    moved = pages * os.sysconf("SC_PAGE_SIZE")
    return _seen(
        "swap",
        moved,
        "bytes",
        f"{moved / 2**20:.1f} MiB were swapped on this machine: times hold disk accesses",
    )


def _seen(kind: ObservationKind, value: float, unit: str, message: str) -> Observation:
    return Observation(kind=kind, value=value, unit=unit, message=message)
