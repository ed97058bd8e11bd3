"""A memory control group for one worker: a hard limit that nothing outside it feels.

The group is a child of the one that this process is in (version 1, or version 2 where that is
delegated), so it can only be tighter than what already holds. It is removed afterwards; what a
killed campaign left behind goes when the next one makes a group.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmbench.meters.cgroup import group_levels, peak_of

_PREFIX = "slmbench-"
_NUMBERS = itertools.count()
_REMOVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A group that a worker can be started in."""

    folder: Path
    version: Literal[1, 2]

    def peak(self) -> int | None:
        """Most that was charged to the group: anonymous memory, page cache, kernel [bytes]."""
        return peak_of(self.folder, self.version)


@dataclass(frozen=True, slots=True)
class NoGroup:
    """Why there is no group."""

    reason: str


@contextmanager
def memory_group(limit: int | None, root: Path = Path("/")) -> Iterator[MemoryGroup | NoGroup]:
    """A group with this limit and no swap [bytes], None: unlimited; removed at the end.

    Gives the reason instead where the kernel, the rights or the container allow none.
    """
    version, levels = group_levels(root)
    if version == 0:
        yield NoGroup("this system has no memory control groups")
        return
    reasons: list[str] = []
    for level in levels if version == 2 else levels[:1]:
        _sweep(level)
        folder = level / f"{_PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        try:
            folder.mkdir()
        except OSError as error:
            reasons.append(f"{level}: {error.strerror}")
            continue
        group = MemoryGroup(folder, version)
        try:
            refused = _bound(group, limit)
            if not refused:
                yield group
                return
            reasons.append(f"{level}: {refused}")
        finally:
            _remove(group)
    yield NoGroup("no memory control group can be made: " + ("; ".join(reasons) or "no folder"))


def _bound(group: MemoryGroup, limit: int | None) -> str:
    """Set the limit; why it cannot be set, or nothing."""
    names = ("memory.max",) if group.version == 2 else ("memory.limit_in_bytes",)
    swap = "memory.swap.max" if group.version == 2 else "memory.memsw.limit_in_bytes"
    if not (group.folder / names[0]).exists():
        return "the memory controller is not passed on to its children"
    if limit is None:
        return ""
    try:
        (group.folder / names[0]).write_text(str(limit), encoding="ascii")
        if (group.folder / swap).exists():  # not there when the kernel does not account for swap
            (group.folder / swap).write_text(
                "0" if group.version == 2 else str(limit), encoding="ascii"
            )
    except OSError as error:
        return f"the limit was refused ({error.strerror})"
    return ""


def _remove(group: MemoryGroup) -> None:
    """Give its page cache back and remove it; one that still holds a process stays for _sweep."""
    empty = group.folder / "memory.force_empty"  # version 1
    with suppress(OSError):
        if empty.exists():
            empty.write_text("0", encoding="ascii")
    end = time.monotonic() + _REMOVAL_S
    while group.folder.is_dir():
        try:
            group.folder.rmdir()
        except OSError:
            if time.monotonic() > end:
                return
            time.sleep(0.05)


def _sweep(level: Path) -> None:
    """Remove empty groups of campaigns that no longer run."""
    for folder in level.glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with suppress(OSError):
                folder.rmdir()
