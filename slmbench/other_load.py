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


def look(root: Path, cpus: Collection[int] | None = None) -> Ticks | None:
    """Read every counter; None where /proc does not tell. About 20 us a process of the machine."""
    own = _own_ticks(root)
    cores = frozenset(usable_cpus() if cpus is None else cpus)
    lines = [line.split() for line in _text(root / "proc/stat").splitlines()]
    counts = [
        [int(word) for word in words[1:9]]
        for words in lines
        if words and words[0][:3] == "cpu" and words[0][3:].isdigit() and int(words[0][3:]) in cores
    ]
    if own is None or len(counts) < len(cores) or any(len(count) < 8 for count in counts):
        return None
    busy = sum(
        user + nice + system + irq + soft for user, nice, system, _, _, irq, soft, _ in counts
    )
    return Ticks(cores, busy, sum(map(sum, counts)), own)


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
