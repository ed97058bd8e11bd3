"""A cache of one's own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.lifecycle import derive


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; nothing outside it is written."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SLMBENCH_CACHE", str(folder))
    monkeypatch.setattr(derive, "METER_ENERGY", False)
    return folder
