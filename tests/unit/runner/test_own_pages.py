"""Copies of artefacts, so that nobody else's pages count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from slmbench.runner import own_pages as module
from slmbench.runner.own_pages import SHARED, own_pages


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_copied_and_the_copy_removed(tmp_path: Path) -> None:
    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"GGUF" * 1000)
    with own_pages(weights) as (copy, note):
        assert (copy.read_bytes(), note) == (weights.read_bytes(), "")
        assert copy.name == weights.name
        assert copy.stat().st_ino != weights.stat().st_ino
    assert not copy.exists()
    assert weights.exists()


def test_a_folder_is_copied_whole(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.safetensors").write_bytes(b"1")
    with own_pages(folder) as (copy, _):
        assert (copy / "inner" / "a.safetensors").read_bytes() == b"1"
    assert not copy.exists()


def test_without_room_the_artefact_itself_is_used_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "model.gguf"
    weights.write_bytes(b"GGUF")
    full = SimpleNamespace(free=3)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: full)
    with own_pages(weights) as found:
        assert found == (weights, SHARED)


def test_nothing_on_disk_stays_nothing() -> None:
    with own_pages(Path()) as found:
        assert found == (Path(), "")
