"""What is stored in an artefact's files: tensors with their values, read without an engine."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slmbench.lifecycle.gguf_header import read_header

_CHUNK = 1 << 24
_TABLES = ("cos_cache", "sin_cache")
"""Endings of an exporter's tables of rotations: stored, and no weights."""
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor, or the parts of one (levels, scales, zero points)."""

    name: str
    weights: int
    """Numbers that it stands for."""
    bytes: int
    """As stored, with scales."""
    kind: str
    """Type of the numbers: ``F32``, ``Q4_0``, ``Int8Tensor``, ``MatMulNBits 4`` …"""
    values: Values | None = None
    """Floats of two dimensions or more, to be looked at; None for all else."""


@dataclass(frozen=True, slots=True)
class Values:
    """Floats in a file."""

    path: Path
    start: int
    kind: str
    shape: tuple[int, ...]

    def zeros(self) -> int:
        """How many are zero, of either sign."""
        total = math.prod(self.shape)
        flat = self._mapped(total)
        magnitude = 0x7FFF if self.kind == "BF16" else None
        found = 0
        for at in range(0, total, _CHUNK):
            part = flat[at : at + _CHUNK]
            found += part.size - int(np.count_nonzero(part & magnitude if magnitude else part))
        return found

    def matrix(self) -> npt.NDArray[np.float32] | None:
        """As float32 [rows, columns]; None unless there are two dimensions."""
        if len(self.shape) != 2:
            return None
        raw = self._mapped(math.prod(self.shape)).reshape(self.shape)
        step = max(1, self.shape[0] // 64)  # every row would be read for a sample of them
        if self.kind == "BF16":
            widened: npt.NDArray[np.uint32] = raw[::step].astype(np.uint32) << 16
            return widened.view(np.float32)
        return np.asarray(raw[::step], dtype=np.float32)

    def _mapped(self, count: int) -> Any:
        return np.memmap(self.path, _FLOATS[self.kind], "r", self.start, (count,))


def of_gguf(path: Path) -> Iterator[Stored]:
    """Tensors of a GGUF; plain floats with their values."""
    for tensor in read_header(path).tensors:
        shape = tuple(reversed(tensor.shape))
        values = None
        if tensor.type_name in _FLOATS and len(shape) > 1:
            values = Values(path, tensor.start, tensor.type_name, shape)
        yield Stored(tensor.name, tensor.weights, tensor.bytes or 0, tensor.type_name, values)


def of_folder(path: Path) -> Iterator[Stored]:
    """Tensors of a folder's safetensors files; those of torchao with their parts as one."""
    for file in sorted(path.glob("*.safetensors")):
        header, start = _safetensors(file)
        parts = _torchao_parts(header)
        grouped = {part for names in parts.values() for part in names.values()}
        for name, (kind, names) in _kinds(header, parts).items():
            held = sum(_bytes(header[part]) for part in names.values())
            yield Stored(name, math.prod(header[names["qdata"]]["shape"]), held, kind)
        for name, row in header.items():
            if name != "__metadata__" and name not in grouped:
                yield _plain(file, start, name, row)


def of_onnx(path: Path) -> Iterator[Stored]:
    """Initializers of an ONNX folder; those of a quantized product as one."""
    onnx: Any = importlib.import_module("onnx")
    for file in sorted(path.glob("*.onnx")):
        graph = onnx.load(str(file), load_external_data=False).graph
        held = {t.name: t for t in graph.initializer if not t.name.endswith(_TABLES)}
        sizes = {name: _onnx_bytes(tensor) for name, tensor in held.items()}
        for node in graph.node:
            if node.op_type != "MatMulNBits" or node.input[1] not in sizes:
                continue
            given = {a.name: a.i for a in node.attribute}
            parts = [sizes.pop(name) for name in node.input[1:] if name in sizes]
            kind = f"MatMulNBits {given.get('bits', 4)}"
            yield Stored(node.input[1], given["K"] * given["N"], sum(parts), kind)
        for name, size in sizes.items():
            kind = onnx.TensorProto.DataType.Name(held[name].data_type)
            yield Stored(name, math.prod(held[name].dims), size, kind)


def _safetensors(path: Path) -> tuple[dict[str, Any], int]:
    """Header, and where the data begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    return header, 8 + length


def _torchao_parts(header: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Logical tensor -> its parts' names in the file (torchao's safetensors metadata)."""
    found: dict[str, dict[str, str]] = {}
    for name, text in header.get("__metadata__", {}).items():
        told = json.loads(text) if text.startswith("{") else {}
        parts = told.get("_tensor_data_names")
        if not parts:
            continue
        module, _, attribute = name.rpartition(".")
        names = {part: f"{module}._{attribute}_{part}" for part in parts}
        found[name] = {part: stored for part, stored in names.items() if stored in header}
    return {name: names for name, names in found.items() if "qdata" in names}


def _kinds(
    header: dict[str, Any], parts: dict[str, dict[str, str]]
) -> dict[str, tuple[str, dict[str, str]]]:
    """Logical tensor -> (torchao's class with the type that its levels have, its parts)."""
    found = {}
    for name, names in parts.items():
        told = json.loads(header["__metadata__"][name])
        target = (told.get("_data") or {}).get("target_dtype") or {}
        kind = " ".join([told["_type"], *([target["_data"]] if "_data" in target else [])])
        found[name] = kind, names
    return found


def _plain(file: Path, start: int, name: str, row: dict[str, Any]) -> Stored:
    shape, kind = tuple(row["shape"]), str(row["dtype"])
    values = None
    if kind in _FLOATS and len(shape) > 1:
        values = Values(file, start + row["data_offsets"][0], kind, shape)
    return Stored(name, math.prod(shape), _bytes(row), kind, values)


def _bytes(row: dict[str, Any]) -> int:
    first, last = row["data_offsets"]
    return int(last - first)


def _onnx_bytes(tensor: Any) -> int:
    """Of an initializer, in the file or beside it."""
    for pair in tensor.external_data:
        if pair.key == "length":
            return int(pair.value)
    if tensor.raw_data:
        return len(tensor.raw_data)
    return int(tensor.ByteSize())
