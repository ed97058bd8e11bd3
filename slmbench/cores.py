"""Which processors a timed process gets, and the cache that they share; read from sysfs.

``root`` stands for the top of the file system, so that other machines can be simulated.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_CPUS = "sys/devices/system/cpu"
_SUFFIX = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def usable_cpus() -> tuple[int, ...]:
    """Logical processors that this process may run on, in order."""
    getter = getattr(os, "sched_getaffinity", None)
    return tuple(sorted(getter(0))) if getter else tuple(range(os.cpu_count() or 1))


def timed_cpus(
    threads: int, *, usable: Collection[int] | None = None, root: Path = Path("/")
) -> tuple[int, ...]:
    """As many logical processors as ``threads``: one of each physical core before any second.

    Fewer are given where fewer are ``usable`` (default: those of this process). In order of
    their numbers, so that the same process gets the same ones every time.
    """
    taken: dict[tuple[str, str], int] = {}
    ranked = []
    for cpu in sorted(usable_cpus() if usable is None else usable):
        core = _core(cpu, root)
        rank = taken[core] = taken.get(core, -1) + 1
        ranked.append((rank, cpu))
    return tuple(sorted(cpu for _, cpu in sorted(ranked)[: max(1, threads)]))


def bind(threads: int) -> tuple[int, ...]:
    """Let this process run on :func:`timed_cpus` only; gives those that it may then run on.

    Threads that exist already stay where they are. Where the system cannot bind, nothing changes.
    """
    setter = getattr(os, "sched_setaffinity", None)
    if setter is not None:
        with suppress(OSError):
            setter(0, timed_cpus(threads))
    return usable_cpus()


def last_level_cache(cpus: Collection[int], *, root: Path = Path("/")) -> int | None:
    """Bytes of the last-level caches that these processors have together; None: not told."""
    sizes: dict[str, int] = {}
    for cpu in cpus:
        found = [_cache(folder) for folder in (root / _CPUS / f"cpu{cpu}/cache").glob("index*")]
        known = [cache for cache in found if cache is not None]
        if known:
            _, shared, size = max(known)
            sizes[shared] = size
    return sum(sizes.values()) or None


def _core(cpu: int, root: Path) -> tuple[str, str]:
    """Package and core of a logical processor; its own number where the kernel tells neither."""
    topology = root / _CPUS / f"cpu{cpu}/topology"
    return _read(topology / "physical_package_id") or "0", _read(topology / "core_id") or f"?{cpu}"


def _cache(folder: Path) -> tuple[int, str, int] | None:
    """Level, who shares it, and bytes of one cache; None for instructions or an unknown size."""
    level, size = _read(folder / "level"), _read(folder / "size")
    if not level.isdigit() or not size or _read(folder / "type") == "Instruction":
        return None
    number, unit = (size[:-1], _SUFFIX[size[-1]]) if size[-1] in _SUFFIX else (size, 1)
    if not number.isdigit():
        return None
    return (
        int(level),
        _read(folder / "shared_cpu_list") or folder.parent.parent.name,
        int(number) * unit,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""
