"""A tiny parent and a few dozen passages, for every test of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_training import PASSAGES, write_passages


@pytest.fixture(scope="session")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights."""
    pytest.importorskip("torch", reason="needs torch")
    from tiny_smollm import save_tiny_smollm

    return save_tiny_smollm(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of data sets: ``boolq`` and, with the same passages in capitals, ``squad``."""
    root = tmp_path_factory.mktemp("data")
    write_passages(root / "boolq", PASSAGES)
    write_passages(root / "squad", [text.upper() for text in PASSAGES])
    return root


@pytest.fixture(autouse=True)
def _data_here(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_DATA", str(data))
