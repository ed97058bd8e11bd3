"""Calibration text for every test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

TEXTS = [f"Passage {i} of some words, and {i * 7} more of the same kind." for i in range(12)]


@pytest.fixture(autouse=True)
def passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``boolq`` is a local folder of a dozen texts."""
    pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("transformers", reason="needs transformers")
    import tiny_models

    monkeypatch.setenv("SLMBENCH_DATA", str(tiny_models.write_passages(tmp_path / "data", TEXTS)))
