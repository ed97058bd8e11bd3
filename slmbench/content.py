"""The digest of an artefact's content: of a file, or of a folder."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORD = "variant.json"
"""Name of the record beside a derived artefact; never part of its content."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an artefact holds."""

    sha256: str
    """Of a file: its SHA-256. Of a folder: see :func:`content_of`."""
    bytes: int
    """Size; of a folder the sum of its files [bytes]."""


def content_of(path: Path) -> Content:
    """Read everything and digest it.

    A folder's digest is the SHA-256 over one line ``<sha256 of file>  <relative path>\\n`` per
    file, sorted by path (what ``sha256sum`` prints); hidden files are left out. Raises
    FileNotFoundError where nothing is.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.is_file():
        return Content(_sha256_of_file(path), path.stat().st_size)
    files = list(files_of(path))
    lines = "".join(f"{_sha256_of_file(f)}  {f.relative_to(path).as_posix()}\n" for f in files)
    return Content(hashlib.sha256(lines.encode()).hexdigest(), size_of(path))


def size_of(path: Path) -> int:
    """Size of a file, or of all files that count in a folder [bytes]."""
    return sum(file.stat().st_size for file in files_of(path))


def newest_of(path: Path) -> int:
    """The latest modification of the file, or of any file in the folder [ns since 1970]."""
    return max((file.stat().st_mtime_ns for file in files_of(path)), default=0)


def files_of(path: Path) -> Iterator[Path]:
    """The files that make up the artefact, sorted by relative path."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*"), key=lambda p: p.relative_to(path).as_posix()):
        parts = file.relative_to(path).parts
        if file.is_file() and file.name != RECORD and not any(p.startswith(".") for p in parts):
            yield file


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
