"""A model folder is checked before an engine sees it; the message names what is missing."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from slmbench.backends.hf_folder import check_folder
from slmbench.backends.protocol import BackendError
from slmbench.records import Status


def safetensors(size: int = 24) -> bytes:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "U8", "shape": [size - 8], "data_offsets": [8, size]},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    return tmp_path


def test_sizes_of_a_complete_folder(folder: Path) -> None:
    (folder / "model-2.safetensors").write_bytes(safetensors(100))
    size = check_folder(folder)
    assert size.weight_bytes == 124
    assert size.artefact_bytes == sum(f.stat().st_size for f in folder.iterdir())


def refused(folder: Path) -> BackendError:
    with pytest.raises(BackendError) as caught:
        check_folder(folder)
    assert caught.value.status is Status.INVALID
    return caught.value


@pytest.mark.parametrize(
    ("missing", "reason", "hint"),
    [
        ("config.json", "config.json is missing", "save_pretrained"),
        ("tokenizer.json", "no tokenizer", "tokenizer.save_pretrained(folder)"),
        ("model.safetensors", "no *.safetensors", "fetch the weights"),
    ],
)
def test_missing_parts(folder: Path, missing: str, reason: str, hint: str) -> None:
    (folder / missing).unlink()
    error = refused(folder)
    assert reason in error.reason
    assert hint in error.hint


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    error = refused(folder)
    assert "only pytorch_model.bin" in error.reason
    assert "save_pretrained" in error.hint


def test_not_a_folder(tmp_path: Path) -> None:
    assert "not a folder" in refused(tmp_path / "none").reason


@pytest.mark.parametrize("config", ["{", "[]", "{}"])
def test_broken_config(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    assert "config.json" in refused(folder).reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (safetensors()[:-5], "5 bytes are missing at its end"),
        (b"short", "damaged"),
        (b"\xff" * 40, "longer than the file"),
        (struct.pack("<Q", 4) + b"null", "damaged"),
    ],
)
def test_damaged_weights(folder: Path, data: bytes, reason: str) -> None:
    (folder / "model.safetensors").write_bytes(data)
    error = refused(folder)
    assert reason in error.reason
    assert "model.safetensors" in error.reason
