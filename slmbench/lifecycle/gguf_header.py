"""What a GGUF file says of itself: metadata and tensor table, read without an engine.

The ``gguf`` package keeps each of some 100,000 tokenizer strings as an array and needs
seconds for a small model; this reader walks the header once (about a tenth of a second), and
so every GGUF can be checked before an engine sees it. Format: "GGUF", version, counts, key-value
pairs, tensor table, padding to ``general.alignment``, tensor data.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from slmbench.errors import ArtefactError

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | tuple[Scalar, ...]

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_MAX_COUNT = 1 << 24

_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
"""ggml type number -> name, weights in a block, bytes of a block."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the tensor table."""

    name: str
    shape: tuple[int, ...]
    """ggml order: the first is the fastest running (columns)."""
    type_number: int
    type_name: str
    start: int
    """Offset of its data in the file [bytes]."""
    bytes: int | None
    """Size of its data; None for a type that this reader does not know."""

    @property
    def weights(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """Metadata and tensor table of a GGUF file whose data was found to be all there."""

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]

    @property
    def types(self) -> tuple[tuple[str, int], ...]:
        """Tensor types with how many tensors have each, most frequent first."""
        return tuple(Counter(t.type_name for t in self.tensors).most_common())

    @property
    def bits_per_weight(self) -> float:
        """Bits of tensor data per weight; the file's other content is left out."""
        weights = sum(t.weights for t in self.tensors)
        return 8 * sum(t.bytes or 0 for t in self.tensors) / max(1, weights)

    @property
    def main_type(self) -> str:
        """The type that holds most weights: what the file is usually named after."""
        held: Counter[str] = Counter()
        for tensor in self.tensors:
            held[tensor.type_name] += tensor.weights
        embedding = next((t for t in self.tensors if t.name == "token_embd.weight"), None)
        if embedding is not None and len(held) > 1:
            held[embedding.type_name] -= embedding.weights
        return held.most_common(1)[0][0] if held else "none"


def read_header(path: Path) -> Header:
    """Read it, and check that every tensor's data lies within the file.

    Raises ArtefactError for a file that is missing, is no GGUF, is damaged or is cut short.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(path, data)
    except (OSError, struct.error, ValueError, UnicodeDecodeError, IndexError) as error:
        raise ArtefactError(
            f"{path}: no readable GGUF file ({error})", hint="fetch or make the file again"
        ) from error


def _parse(path: Path, data: mmap.mmap) -> Header:
    if data[:4] != b"GGUF":
        raise ValueError(f"it begins with {data[:4]!r} instead of b'GGUF'")
    cursor = _Cursor(data, 4)
    version = cursor.take("<I")
    if version not in (2, 3):
        raise ValueError(f"format version {version}; 2 and 3 are known")
    n_tensors, n_pairs = cursor.count(), cursor.count()
    metadata: dict[str, Value] = {}
    for _ in range(n_pairs):
        key = cursor.string()
        metadata[key] = cursor.value(int(cursor.take("<I")))
    rows = [_row(cursor) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"an alignment of {alignment!r}")
    start = -(-cursor.at // alignment) * alignment
    tensors = tuple(_tensor(row, start) for row in rows)
    for tensor in tensors:
        end = tensor.start + (tensor.bytes or 0)
        if end > len(data):
            raise ValueError(
                f"cut short: tensor {tensor.name} ends at byte {end}, the file at {len(data)}"
            )
    return Header(metadata, tensors)


_Row: TypeAlias = tuple[str, tuple[int, ...], int, int]


def _row(cursor: _Cursor) -> _Row:
    name = cursor.string()
    dims = int(cursor.take("<I"))
    if not 1 <= dims <= 4:
        raise ValueError(f"tensor {name!r} has {dims} dimensions")
    shape = tuple(int(cursor.take("<Q")) for _ in range(dims))
    return name, shape, int(cursor.take("<I")), int(cursor.take("<Q"))


def _tensor(row: _Row, start: int) -> Tensor:
    name, shape, number, offset = row
    known = _TYPES.get(number)
    if known is None:
        return Tensor(name, shape, number, f"type {number}", start + offset, None)
    type_name, block, size = known
    if shape[0] % block:
        raise ValueError(f"tensor {name!r}: {shape[0]} columns do not fill blocks of {block}")
    n_bytes = math.prod(shape) // block * size
    return Tensor(name, shape, number, type_name, start + offset, n_bytes)


class _Cursor:
    """A place in the file that moves on with every read."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self.data, self.at = data, at

    def take(self, form: str) -> int | float | bool:
        value: int | float | bool = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def count(self) -> int:
        number = int(self.take("<Q"))
        if number > _MAX_COUNT:
            raise ValueError(f"an implausible count of {number}")
        return number

    def string(self) -> str:
        length = int(self.take("<Q"))
        if length > len(self.data) - self.at:
            raise ValueError(f"a string of {length} bytes runs past the end")
        text = self.data[self.at : self.at + length].decode("utf-8")
        self.at += length
        return text

    def value(self, kind: int) -> Value:
        if kind != _ARRAY:
            return self.scalar(kind)
        item, length = int(self.take("<I")), self.count()
        if item in _SCALARS:
            form = f"<{length}{_SCALARS[item][1]}"
            values: tuple[Scalar, ...] = struct.unpack_from(form, self.data, self.at)
            self.at += struct.calcsize(form)
            return values
        return tuple(self.scalar(item) for _ in range(length))

    def scalar(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self.string()
        if kind not in _SCALARS:
            raise ValueError(f"value type {kind} is unknown")
        return self.take(_SCALARS[kind])
