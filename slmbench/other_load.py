"""Processor time that others used on the cores of this process: the direct sign of other work.

The load average lags by a minute; this one covers just the window. Per core /proc/stat counts
ticks of work; what this process and its descendants did is taken off (proc(5): utime, stime and
those of children that were waited for). Both count in ticks, of 10 ms as a rule.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from slmbench.cores import usable_cpus

OTHER_SHARE = 0.03
"""Share of the cores' time. The supervisor sleeps and takes 0.1 %, a machine's own services about
as much; where threads meet at barriers, a core that is lost for 3 % of the time costs as much of
the whole, which is more than the differences that we report. A rival loop takes half a core."""
ELSEWHERE_CORES = 0.5
"""Busy cores beside ours, where it is also more than :data:`ELSEWHERE_SHARE` of the machine: a
rival there takes memory bandwidth, cache and clock. Half of one is more than services take."""
ELSEWHERE_SHARE = 0.05
"""Of the machine's cores: a large shared host is never all quiet."""
OTHER_TICKS = 5
"""Fewer are within the steps of the counters: one at either end of the window, per core."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Counters at one moment."""

    cpus: frozenset[int]
    """Cores that this process may run on."""
    busy: int
    """Ticks of work on them by anyone, interrupts included, steal and idle not."""
    total: int
    """All their ticks."""
    own: int
    """Ticks of this process and its descendants, on any core."""
    machine_busy: int
    """Ticks of work on all cores of the machine."""
    machine_total: int
    machine_cores: int


def look(root: Path, cpus: Collection[int] | None = None) -> Ticks | None:
    """Read every counter; None where /proc does not tell. About 20 us a process of the machine."""
    own = _own_ticks(root)
    cores = frozenset(usable_cpus() if cpus is None else cpus)
    counts = _counts(_text(root / "proc/stat"))
    if own is None or not cores <= set(counts):
        return None
    return Ticks(
        cores,
        sum(counts[cpu][0] for cpu in cores),
        sum(counts[cpu][1] for cpu in cores),
        own,
        sum(busy for busy, _ in counts.values()),
        sum(total for _, total in counts.values()),
        len(counts),
    )


def _counts(text: str) -> dict[int, tuple[int, int]]:
    """Busy ticks and all ticks of each core."""
    found: dict[int, tuple[int, int]] = {}
    for words in map(str.split, text.splitlines()):
        if words and words[0][:3] == "cpu" and words[0][3:].isdigit() and len(words) >= 9:
            ticks = [int(word) for word in words[1:9]]
            user, nice, system, _, _, irq, soft, _ = ticks
            found[int(words[0][3:])] = user + nice + system + irq + soft, sum(ticks)
    return found


def other_share(before: Ticks | None, after: Ticks | None) -> float | None:
    """Share of the cores' time that others used, or None where it is little or not known.

    Not known either when the process was given other cores in between.
    """
    if before is None or after is None or before.cpus != after.cpus:
        return None
    total = after.total - before.total
    others = (after.busy - before.busy) - (after.own - before.own)
    if others < OTHER_TICKS or total <= 0 or others / total <= OTHER_SHARE:
        return None
    return others / total


def cores_elsewhere(before: Ticks | None, after: Ticks | None) -> float | None:
    """How many cores others kept busy on the whole machine, or None where few or not known."""
    if before is None or after is None or before.machine_cores != after.machine_cores:
        return None
    total = after.machine_total - before.machine_total
    others = (after.machine_busy - before.machine_busy) - (after.own - before.own)
    if others < OTHER_TICKS or total <= 0:
        return None
    busy = others / total * after.machine_cores
    return busy if busy > max(ELSEWHERE_CORES, ELSEWHERE_SHARE * after.machine_cores) else None


def _own_ticks(root: Path) -> int | None:
    """Of this process, its descendants, and those of them that ended and were waited for."""
    folder = f"{root}/proc"
    me = _times(f"{folder}/self/stat")
    if me is None:
        return None
    parents: dict[int, int] = {}
    times: dict[int, int] = {}
    for name in (entry.name for entry in os.scandir(folder)):
        if name.isdigit() and (read := _times(f"{folder}/{name}/stat")) is not None:
            pid, parents[pid], times[pid] = read[0], read[1], read[2]
    family, total = {me[0]}, me[2]
    fresh = family
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - family
        family = family | fresh
        total += sum(times[pid] for pid in fresh)
    return total


def _times(file: str) -> tuple[int, int, int] | None:
    """Process id, its parent's, and utime + stime + cutime + cstime; the name may hold blanks.

    Plain system calls: it is done for every process of the machine.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        head, _, rest = os.read(descriptor, 4096).rpartition(b")")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    words = rest.split(None, 16)
    if len(words) < 15:
        return None
    return int(head.split(None, 1)[0]), int(words[1]), sum(map(int, words[11:15]))


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except OSError:
        return ""
