"""Limits and throttling of the control group of this process, version 1 and 2.

A limit may sit on any ancestor, so every level from the process's group up to the mount is
read: the tightest limit holds, and throttling is summed because each level counts its own
quota only. In a container the path in ``/proc/self/cgroup`` may name the host's tree; levels
that do not exist under the mount are passed over.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from slmbench.meters.procfs import field, read_int, read_text

MOUNT = "sys/fs/cgroup"
NO_LIMIT_BYTES = 1 << 60
"""Version 1 writes its largest page count for "no limit"; nothing real is this big."""

Version = Literal[0, 1, 2]


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """What the control group allows; None is unlimited."""

    version: Version
    """0: not in a control group (or not Linux)."""
    memory_bytes: int | None
    cpus: float | None
    """CPU quota in cores: quota / period."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """How often and how long the CPU quota stopped this group since it was made."""

    periods: int
    seconds: float


def limits(root: Path = Path("/")) -> CgroupLimits:
    """Limits of the current process; ``root`` stands for the file system's top."""
    version = _version(root)
    if version == 0:
        return CgroupLimits(0, None, None)
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    sizes = [read_int(level / name) for level in _levels(root, version, "memory")]
    memory = [size for size in sizes if size is not None and size < NO_LIMIT_BYTES]
    quotas = [_quota(level, version) for level in _levels(root, version, "cpu")]
    cpus = [quota for quota in quotas if quota is not None]
    return CgroupLimits(version, min(memory, default=None), min(cpus, default=None))


def throttling(root: Path = Path("/")) -> Throttling | None:
    """Throttled periods and time so far, or None where the kernel does not count them."""
    version = _version(root)
    periods, seconds, found = 0, 0.0, False
    for level in _levels(root, version, "cpu") if version else ():
        text = read_text(level / "cpu.stat")
        count = field(text, "nr_throttled")
        if count is None:
            continue
        found = True
        periods += count
        seconds += (field(text, "throttled_usec") or 0) / 1e6  # version 2
        seconds += (field(text, "throttled_time") or 0) / 1e9  # version 1
    return Throttling(periods, seconds) if found else None


def usable_cores(root: Path = Path("/"), affinity: int | None = None) -> int:
    """Cores that this process can keep busy: affinity, cut by whole cores of CPU quota.

    ``affinity`` replaces what the scheduler says. A quota of 1.5 gives 1: two threads there
    are stopped for a quarter of each period.
    """
    if affinity is None:
        getter = getattr(os, "sched_getaffinity", None)
        affinity = len(getter(0)) if getter else (os.cpu_count() or 1)
    cpus = limits(root).cpus
    return affinity if cpus is None else max(1, min(affinity, math.floor(cpus)))


def group_levels(root: Path = Path("/")) -> tuple[Version, tuple[Path, ...]]:
    """Memory groups from the one of this process up to the mount, with their version."""
    version = _version(root)
    return version, tuple(_levels(root, version, "memory")) if version else ()


def peak_of(folder: Path, version: Version) -> int | None:
    """Most that was charged to a group since it was made or its counter reset [bytes].

    Anonymous memory, page cache, kernel memory; of all processes in it and below it. None where
    the kernel keeps no such counter (version 2 before Linux 5.19).
    """
    return read_int(folder / ("memory.peak" if version == 2 else "memory.max_usage_in_bytes"))


def split_of(folder: Path, version: Version) -> tuple[int, int] | None:
    """Anonymous memory and page cache that are charged to a group now [bytes]; None: unknown."""
    text = read_text(folder / "memory.stat")
    names = ("anon", "file") if version == 2 else ("total_rss", "total_cache")
    anon, file = (field(text, name) for name in names)
    return None if anon is None or file is None else (anon, file)


def _version(root: Path) -> Version:
    lines = (read_text(root / "proc/self/cgroup") or "").splitlines()
    controllers = [line.split(":", 2)[1] for line in lines if line.count(":") >= 2]
    named = {part for entry in controllers for part in entry.split(",")}
    if named & {"cpu", "memory"}:
        return 1
    return 2 if "" in controllers and (root / MOUNT / "cgroup.controllers").exists() else 0


def _levels(root: Path, version: Version, controller: str) -> Iterator[Path]:
    """Existing folders from the group of this process up to the controller's mount."""
    top = root / MOUNT if version == 2 else root / MOUNT / controller
    own = PurePosixPath("/")
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if (names == "") if version == 2 else (controller in names.split(",")):
            own = PurePosixPath(path or "/")
    for level in (own, *own.parents):
        folder = top / str(level).lstrip("/")
        if ".." not in level.parts and folder.is_dir():
            yield folder


def _quota(level: Path, version: Version) -> float | None:
    if version == 2:
        words = (read_text(level / "cpu.max") or "").split()
        if len(words) != 2 or not all(word.isdigit() for word in words):
            return None
        quota, period = int(words[0]), int(words[1])
    else:
        quota = read_int(level / "cpu.cfs_quota_us") or -1
        period = read_int(level / "cpu.cfs_period_us") or 0
    return quota / period if quota > 0 and period > 0 else None
