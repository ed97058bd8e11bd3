"""Whether an artefact's bytes are in the kernel's page cache, and how to drop them from it.

A cold load reads from the disk what a warm one finds in memory. ``posix_fadvise(DONTNEED)`` drops
the clean pages that nobody has mapped; ``mincore`` tells which ones stayed. Both are of this
file alone: libraries and the interpreter stay cached, other processes lose nothing else.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEAST_COLD = 0.1
"""With more than this share still in memory a load is called warm, with what was there."""


@dataclass(frozen=True, slots=True)
class Residency:
    """How much of an artefact was in the page cache just before its worker started."""

    dropped: bool
    """We asked the kernel to drop it."""
    share: float | None
    """Part of its bytes that were there all the same; None where the kernel does not tell."""

    @property
    def cold(self) -> bool:
        """Whether a load that follows reads (nearly) all of it from the disk, as far as known."""
        return self.dropped and (self.share is None or self.share <= LEAST_COLD)

    @property
    def told(self) -> str:
        """For the scope of a number: the same words for all processes of a kind."""
        return "page cache dropped" if self.dropped else "page cache as it was"


def residency(artefact: Path, *, drop: bool) -> Residency | None:
    """Look at a file, or at all files of a folder, after dropping them if asked.

    None when there is nothing on disk (variants of the fake backend).
    """
    files = tuple(_files(artefact))
    if not files:
        return None
    done = [_drop(path) for path in files] if drop else [False]
    return Residency(all(done), _share(files))


def _files(artefact: Path) -> Iterator[Path]:
    if artefact == Path():  # no path at all
        return
    for path in sorted(artefact.rglob("*")) if artefact.is_dir() else [artefact]:
        if path.is_file() and path.stat().st_size:
            yield path


def _drop(path: Path) -> bool:
    """Write back what is dirty, then let go of the rest; False where that is not possible."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    except (OSError, AttributeError):
        return False
    finally:
        os.close(handle)
    return True


def _share(files: tuple[Path, ...]) -> float | None:
    resident = total = 0
    for path in files:
        pages = _resident_pages(path)
        if pages is None:
            return None
        resident, total = resident + sum(pages), total + len(pages)
    return resident / total


def _resident_pages(path: Path) -> bytes | None:
    """One byte per page, 1 where it is in memory; None where the kernel does not tell.

    It tells only those who own the file or may write to it (mincore(2), since Linux 5.2); for
    others it says that everything is there.
    """
    if not os.access(path, os.W_OK) and path.stat().st_uid != os.geteuid():
        return None
    size = path.stat().st_size
    found = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
            first = ctypes.c_char.from_buffer(view)  # a private map: nothing is touched or copied
            failed = mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), found)
            del first  # or the map cannot be closed
    except (OSError, AttributeError, ValueError):
        return None
    return None if failed else bytes(page & 1 for page in found)
