"""What the weights of an ONNX graph are, read off the file without an engine.

Protocol-buffer fields as in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: a message is
a row of (number, wire type, value); nested messages are bytes. Only the graph is read, weights lie
in a file beside it or are skipped.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slmbench.backends.protocol import BackendError
from slmbench.records import Status

_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
"""Bits of a value of each ``TensorProto.DataType``."""
_INDICES = (6, 7, 9, 12, 13)
"""int32, int64, bool, uint32, uint64: shapes and indices, no weights."""
_QUANTIZED = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
"""Operator -> input that holds packed weights; scales and zero points come after it."""
_LOOKS_UP = ("Gather", "GatherBlockQuantized")
_PASSES_ON = ("Reshape", "Transpose", "Cast")
_TABLES = {"GroupQueryAttention": (7, 8), "RotaryEmbedding": (2, 3)}
"""Operator -> inputs that hold sines and cosines: computed, not learnt."""


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The weights of a graph."""

    weight_bytes: int
    """As stored, scales and zero points included."""
    parameters: int
    """Logical weights: packed ones counted singly, scales not at all."""
    decode_weight_bytes: int
    """Of them, what every token is multiplied with: no embedding that is only looked up in."""
    matmul_parameters: int
    quantized_matmuls: int
    kv_bits: int | None
    """Bits of a cached key or value; None: the graph has no such input."""

    @property
    def is_full(self) -> bool:
        """Whether every weight is a float32."""
        return 8 * self.weight_bytes == 32 * self.parameters


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    kind: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return (self.size * _BITS[self.kind] + 7) // 8


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, int]

    def input(self, at: int) -> str:
        return self.inputs[at] if at < len(self.inputs) else ""


def read_graph(path: Path) -> GraphFacts:
    """The facts of a ``model.onnx``; BackendError (invalid) where it is none."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _facts(data)
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise BackendError(
            Status.INVALID, f"{path.name}: not an ONNX model: {error}", "export it again"
        ) from error


def _facts(data: mmap.mmap) -> GraphFacts:
    tensors: list[_Tensor] = []
    nodes: list[_Node] = []
    kv_bits: int | None = None
    for span in _parts(data, 0, len(data), 7):
        nodes += [_node(data, *part) for part in _parts(data, *span, 1)]
        tensors += [_tensor(data, *part) for part in _parts(data, *span, 5)]
        inputs = [_input(data, *part) for part in _parts(data, *span, 11)]
        kv_bits = next((_BITS[kind] for name, kind in inputs if name.endswith(".key")), None)
    if not nodes:
        raise ValueError("it has no graph")
    tables = {n.input(at) for n in nodes for at in _TABLES.get(n.op, ())}
    weights = [t for t in tensors if t.kind not in _INDICES and t.name not in tables]
    packed = _packed(nodes, {t.name: t for t in weights})
    beside = {
        name for n in nodes if n.op in _QUANTIZED for name in n.inputs[_QUANTIZED[n.op] + 1 :]
    }
    counts = {t.name: 0 if t.name in beside else packed.get(t.name, t.size) for t in weights}
    idle = _only_looked_up(nodes, {t.name for t in weights})
    read = [t for t in weights if t.name not in idle]
    return GraphFacts(
        weight_bytes=sum(t.bytes for t in weights),
        parameters=sum(counts.values()),
        decode_weight_bytes=sum(t.bytes for t in read),
        matmul_parameters=sum(counts[t.name] for t in read),
        quantized_matmuls=sum(n.op == "MatMulNBits" for n in nodes),
        kv_bits=kv_bits,
    )


def _packed(nodes: list[_Node], weights: dict[str, _Tensor]) -> dict[str, int]:
    """Logical weights of each packed tensor: a multiplication names its shape."""
    found = {
        n.input(0): 8 * weights[n.input(0)].bytes // n.numbers.get("bits", 4)
        for n in nodes
        if n.op == "GatherBlockQuantized" and n.input(0) in weights
    }
    return found | {
        n.input(1): n.numbers["K"] * n.numbers["N"] for n in nodes if n.op == "MatMulNBits"
    }


def _only_looked_up(nodes: list[_Node], names: set[str]) -> set[str]:
    """Weights, scales included, of which a token's row is fetched and nothing else done."""
    origin = {
        out: n.input(0) for n in nodes if n.op in _PASSES_ON for out in n.outputs
    }  # a view of a weight
    looked_up: set[str] = set()
    multiplied: set[str] = set()
    for node in nodes:
        if node.op in _PASSES_ON:
            continue
        found = {origin.get(name, name) for name in node.inputs} & names
        (looked_up if node.op in _LOOKS_UP else multiplied).update(found)
    return looked_up - multiplied


def _node(data: mmap.mmap, start: int, stop: int) -> _Node:
    inputs: list[str] = []
    outputs: list[str] = []
    numbers: dict[str, int] = {}
    op = ""
    for number, first, last in _fields(data, start, stop):
        if number == 1:
            inputs.append(_text(data, first, last))
        elif number == 2:
            outputs.append(_text(data, first, last))
        elif number == 4:
            op = _text(data, first, last)
        elif number == 5:
            numbers |= _number(data, first, last)
    return _Node(op, tuple(inputs), tuple(outputs), numbers)


def _number(data: mmap.mmap, start: int, stop: int) -> dict[str, int]:
    """An attribute that is a whole number, by name."""
    name, value = "", None
    for number, first, last in _fields(data, start, stop):
        if number == 1:
            name = _text(data, first, last)
        elif number == 3:
            value = first
    return {} if value is None else {name: value}


def _tensor(data: mmap.mmap, start: int, stop: int) -> _Tensor:
    name, kind = "", 0
    shape: list[int] = []
    for number, first, last in _fields(data, start, stop):
        if number == 1 and last < 0:
            shape.append(first)
        elif number == 1:
            while first < last:
                value, first = _varint(data, first)
                shape.append(value)
        elif number == 2:
            kind = first
        elif number == 8:
            name = _text(data, first, last)
    return _Tensor(name, kind, tuple(shape))


def _input(data: mmap.mmap, start: int, stop: int) -> tuple[str, int]:
    """Name and element type of an input of the graph."""
    name, kind = "", 0
    for number, first, last in _fields(data, start, stop):
        if number == 1:
            name = _text(data, first, last)
        elif number == 2:
            for tensor in _parts(data, first, last, 1):
                kind = next((v for n, v, _ in _fields(data, *tensor) if n == 1), 0)
    return name, kind


def _parts(data: mmap.mmap, start: int, stop: int, wanted: int) -> list[tuple[int, int]]:
    """Where the nested messages of one field lie."""
    return [(first, last) for n, first, last in _fields(data, start, stop) if n == wanted]


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(number, first, last) of each field; a whole number comes as (number, value, -1)."""
    at = start
    while at < stop:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value, -1
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > stop:
                raise ValueError("it ends in the middle of a field")
            yield key >> 3, at, at + size
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _text(data: mmap.mmap, first: int, last: int) -> str:
    return data[first:last].decode("utf-8")
