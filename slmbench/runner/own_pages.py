"""A copy of an artefact whose pages no other process holds.

The kernel charges page cache to the control group that touches it first, and does not drop what
somebody has mapped. So weights that another process uses at the same time would cost a worker in
a group of its own nothing. Pages of a copy are read by that worker alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from slmbench.locations import cache_dir

SHARED = "the artefact is not charged where other processes hold its pages: no room for a copy"


@contextmanager
def own_pages(artefact: Path) -> Iterator[tuple[Path, str]]:
    """A copy that is removed at the end, and an empty note; else the artefact itself and why.

    A variant of the fake backend has nothing on disk and is given back as it is.
    """
    size = _size(artefact)
    if size == 0:
        yield artefact, ""
        return
    home = cache_dir("scratch")
    home.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(home).free < 2 * size:
        yield artefact, SHARED
        return
    with TemporaryDirectory(prefix="pages-", dir=home) as folder:
        copy = Path(folder, artefact.name)
        if artefact.is_dir():
            shutil.copytree(artefact, copy)
        else:
            shutil.copyfile(artefact, copy)
        yield copy, ""


def _size(artefact: Path) -> int:
    """Bytes of a file or of all files of a folder; 0 for no path at all."""
    if artefact == Path():
        return 0
    files = artefact.rglob("*") if artefact.is_dir() else [artefact]
    return sum(path.stat().st_size for path in files if path.is_file())
