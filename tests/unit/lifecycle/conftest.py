"""A cache of one's own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; nothing outside it is written."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SLMBENCH_CACHE", str(folder))
    return folder
