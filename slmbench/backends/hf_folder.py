"""What a model folder in Hugging Face layout must hold, checked before an engine touches it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from slmbench.backends.protocol import BackendError
from slmbench.records import Status

_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_UNSAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True, slots=True)
class FolderSize:
    """Bytes of a model folder."""

    artefact_bytes: int
    """All files."""
    weight_bytes: int
    """Tensors as stored in the safetensors files, headers left out."""


def check_folder(path: Path) -> FolderSize:
    """Sizes of a complete folder; BackendError (invalid) names what is missing and the fix."""
    if not path.is_dir():
        raise BackendError(
            Status.INVALID, f"{path}: not a folder", "transformers loads a folder (format: hf)"
        )
    if not (path / "config.json").is_file():
        raise BackendError(
            Status.INVALID,
            f"{path.name}: config.json is missing",
            "save the model with save_pretrained(), or fetch the whole repository",
        )
    _check_config(path / "config.json")
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        raise _no_weights(path)
    if not any((path / name).is_file() for name in _TOKENIZER):
        raise BackendError(
            Status.INVALID,
            f"{path.name}: no tokenizer (looked for {', '.join(_TOKENIZER)})",
            "save it beside the model: tokenizer.save_pretrained(folder)",
        )
    files = [file for file in path.rglob("*") if file.is_file()]
    return FolderSize(
        sum(file.stat().st_size for file in files), sum(_tensor_bytes(shard) for shard in shards)
    )


def _check_config(path: Path) -> None:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BackendError(
            Status.INVALID,
            f"{path.parent.name}: config.json is not JSON: {error}",
            "fetch it again",
        ) from error
    if not isinstance(config, dict) or not config.get("model_type"):
        raise BackendError(
            Status.INVALID,
            f"{path.parent.name}: config.json names no model_type",
            "it must be the configuration of a transformers model",
        )


def _no_weights(path: Path) -> BackendError:
    unsafe = sorted(file.name for pattern in _UNSAFE for file in path.glob(pattern))
    if unsafe:
        return BackendError(
            Status.INVALID,
            f"{path.name}: only {', '.join(unsafe[:3])}, which may run code when loaded; "
            "safetensors are required",
            "convert once where you trust the file: save_pretrained(folder)",
        )
    return BackendError(
        Status.INVALID,
        f"{path.name}: no *.safetensors file",
        "fetch the weights, or save the model with save_pretrained()",
    )


def _tensor_bytes(path: Path) -> int:
    """Bytes of the tensors of a safetensors file, from its header.

    Layout: 8 bytes little-endian header length, that much JSON, then the tensors
    (https://github.com/huggingface/safetensors#format).
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        spans = [entry["data_offsets"] for key, entry in header.items() if key != "__metadata__"]
        end = max((stop for _, stop in spans), default=0)
        if 8 + length + end > size:
            raise ValueError(f"{8 + length + end - size} bytes are missing at its end")
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise BackendError(
            Status.INVALID,
            f"{path.parent.name}/{path.name}: damaged safetensors file: {error}",
            "fetch or make it again",
        ) from error
    return sum(stop - start for start, stop in spans)
