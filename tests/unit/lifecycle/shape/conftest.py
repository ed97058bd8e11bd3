"""Calibration text for every test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``boolq`` is a local folder of a dozen texts."""
    pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("transformers", reason="needs transformers")
    import shape_bench
    import tiny_models

    folder = tiny_models.write_passages(tmp_path / "data", shape_bench.TEXTS)
    monkeypatch.setenv("SLMBENCH_DATA", str(folder))
