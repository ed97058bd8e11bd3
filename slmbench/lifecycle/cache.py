"""Where variants are kept: one folder per identity, renamed into place once, one maker at a time.

::

    models/<identity[:16]>/   variant.json + the artefact (derived), or source.json (found)
    models/.partial-<identity[:16]>-<pid>   being written; swept when its writer is gone
    models/.locks/<identity[:16]>           held (flock) while it is made
    models/.checkpoints/<identity[:16]>/    of an interrupted training; gone when it is whole
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.content import RECORD, content_of, newest_of, size_of
from slmbench.errors import DiskSpaceError, PrerequisiteError
from slmbench.lifecycle.job import Artefact
from slmbench.locations import cache_dir
from slmbench.made import MadeRecord
from slmbench.spec import Frozen
from slmbench.spec.base import Sha256

PARTIAL = ".partial-"
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
"""A folder that cannot be written: read only, not ours, or no folder."""
SOURCE = "source.json"


class SourceRecord(Frozen):
    """Where a source was found and what it held: spares digesting it again."""

    schema_version: Literal[1] = 1
    identity: str
    path: str
    sha256: Sha256
    bytes: int
    newest_ns: int
    """Latest modification in it [ns since 1970]; another value means digest it again."""


def home_of(identity: str) -> Path:
    """The folder of that variant, there or not."""
    return cache_dir("models") / identity[:16]


def read_made(identity: str, *, verify: bool) -> Artefact | None:
    """The derived artefact of that identity, if it is whole (``verify``: digest it again).

    One that was changed after its record was written is digested in any case.
    """
    home = home_of(identity)
    try:
        record = MadeRecord.model_validate_json((home / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None
    path = home / record.artefact
    if record.identity != identity or not path.exists() or size_of(path) != record.artefact_bytes:
        return None
    changed = newest_of(path) > (home / RECORD).stat().st_mtime_ns
    if (verify or changed) and content_of(path).sha256 != record.artefact_sha256:
        return None
    return Artefact(path, record.artefact_sha256, record.artefact_bytes, record)


def is_damaged(identity: str) -> bool:
    """Whether something was derived under that identity that is not whole any more."""
    return (home_of(identity) / RECORD).exists() and read_made(identity, verify=False) is None


def making_records() -> tuple[MadeRecord, ...]:
    """Records of everything that was derived into this cache."""
    found = []
    for path in sorted(cache_dir("models").glob(f"[!.]*/{RECORD}")):
        try:
            found.append(MadeRecord.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return tuple(found)


def read_source(identity: str, *, verify: bool) -> Artefact | None:
    """The source that was found under that identity, if it is still as it was."""
    try:
        record = SourceRecord.model_validate_json((home_of(identity) / SOURCE).read_bytes())
    except (OSError, ValidationError):
        return None
    path = Path(record.path)
    if record.identity != identity or not path.exists():
        return None
    if size_of(path) != record.bytes or newest_of(path) != record.newest_ns:
        return None
    if verify and content_of(path).sha256 != record.sha256:
        return None
    return Artefact(path, record.sha256, record.bytes, None)


def write_source(identity: str, artefact: Artefact) -> None:
    """Remember a source."""
    record = SourceRecord(
        identity=identity,
        path=str(artefact.path),
        sha256=artefact.sha256,
        bytes=artefact.bytes,
        newest_ns=newest_of(artefact.path),
    )
    home = home_of(identity)
    with room_to_write(home):
        home.mkdir(parents=True, exist_ok=True)
        partial = home / f"{PARTIAL}{SOURCE}"
        partial.write_text(record.model_dump_json(indent=1) + "\n", "utf-8")
        partial.replace(home / SOURCE)


@contextmanager
def only_maker(identity: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of one variant; ``waiting`` is called when another process has it."""
    locks = cache_dir("models") / ".locks"
    with room_to_write(locks):
        locks.mkdir(parents=True, exist_ok=True)
        file = (locks / identity[:16]).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def fresh_folder(identity: str, pid: int) -> Iterator[Path]:
    """A temporary folder that is gone afterwards, unless it was renamed; call under the lock.

    What earlier makers left behind (killed in the middle) is swept first: leftovers of this
    variant, which only the holder of its lock can write, and of others whose writer is gone.
    """
    models = cache_dir("models")
    for old in models.glob(f"{PARTIAL}*"):
        mine = old.name.startswith(f"{PARTIAL}{identity[:16]}-")
        if mine or not _alive(old):
            shutil.rmtree(old, ignore_errors=True)
    partial = models / f"{PARTIAL}{identity[:16]}-{pid}"
    with room_to_write(models):
        partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checkpoints_of(identity: str) -> Path:
    """Where a maker may keep what it needs to go on after an interruption; there or not."""
    return cache_dir("models") / ".checkpoints" / identity[:16]


def drop_checkpoints(identity: str) -> None:
    """Take them away: the artefact is whole."""
    shutil.rmtree(checkpoints_of(identity), ignore_errors=True)


def settle(partial: Path, identity: str) -> None:
    """Give a finished folder its final name; a damaged one in its place is removed first."""
    final = home_of(identity)
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)


@contextmanager
def room_to_write(place: Path) -> Iterator[None]:
    """Raise DiskSpaceError with the place when it is full, PrerequisiteError when it is closed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(place) from error
        if error.errno in _CLOSED:
            raise PrerequisiteError(
                f"cannot write {place}: {error.strerror}",
                hint="make it writable, or point $SLMBENCH_CACHE at another folder",
            ) from error
        raise


def no_room(place: Path) -> DiskSpaceError:
    """The error for a full disk."""
    return DiskSpaceError(
        f"no space left to write {place}",
        hint="free some space, or point $SLMBENCH_CACHE at a larger disk, and run it again",
    )


def _alive(partial: Path) -> bool:
    pid = partial.name.rpartition("-")[2]
    return pid.isdigit() and Path(f"/proc/{pid}").exists()
