"""What of an artefact is in the page cache, on real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmbench.runner import page_cache
from slmbench.runner.page_cache import Residency, residency

PAGES = 64


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(PAGES * os.sysconf("SC_PAGE_SIZE")))
    return path


def test_what_was_just_written_is_there(artefact: Path) -> None:
    seen = residency(artefact, drop=False)
    assert seen == Residency(dropped=False, share=1.0)
    assert (seen.told, seen.share) == ("page cache as it was", 1.0)
    assert not seen.cold


def test_dropping_is_verified_and_changes_no_byte(artefact: Path) -> None:
    """Whether pages really go is the file system's affair (tmpfs keeps them); it is told."""
    before = artefact.read_bytes()
    seen = residency(artefact, drop=True)
    assert seen is not None
    assert seen.dropped
    assert seen.share is not None
    assert seen.cold == (seen.share <= page_cache.LEAST_COLD)
    assert seen.told == "page cache dropped"
    assert artefact.read_bytes() == before
    again = residency(artefact, drop=False)
    assert again is not None
    assert again.share == 1.0  # reading brought it back


def test_a_folder_counts_all_its_files(tmp_path: Path, artefact: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/empty").write_bytes(b"")
    (tmp_path / "sub/more").write_bytes(b"y" * 10_000)
    seen = residency(tmp_path, drop=False)
    assert seen is not None
    assert seen.share == 1.0


def test_without_a_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert residency(Path(), drop=True) is None
    assert residency(tmp_path / "gone", drop=True) is None


def test_a_share_that_is_not_known_is_not_zero(
    artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "_resident_pages", lambda path: None)
    seen = residency(artefact, drop=False)
    assert seen is not None
    assert seen.share is None


def test_what_could_not_be_dropped_is_warm(artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "_drop", lambda path: False)
    seen = residency(artefact, drop=True)
    assert seen is not None
    assert (seen.dropped, seen.cold) == (False, False)


@pytest.mark.parametrize(("share", "cold"), [(0.0, True), (0.1, True), (0.11, False), (None, True)])
def test_mostly_dropped_counts_as_cold(share: float | None, cold: bool) -> None:
    assert Residency(dropped=True, share=share).cold is cold
