"""GGUF files by hand, byte by byte, so that the reader is tested against the format itself."""

from __future__ import annotations

import struct
from pathlib import Path


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, payload: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + payload


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", kind, offset)


def small_gguf(
    *, version: int = 3, magic: bytes = b"GGUF", data: int = 128 + 40, more: bytes = b""
) -> bytes:
    """Two tensors: F32 [32] and Q4_1 [32, 2]; ``data`` bytes of them are there.

    ``more`` is one further pair.
    """
    pairs: tuple[bytes, ...] = (
        pair("general.architecture", 8, text("llama")),
        pair("llama.block_count", 4, struct.pack("<I", 7)),
        pair("a.float", 6, struct.pack("<f", 0.5)),
        pair("a.bool", 7, b"\x01"),
        pair("an.array", 9, struct.pack("<IQ3i", 5, 3, -1, 0, 1)),
        pair("words", 9, struct.pack("<IQ", 8, 2) + text("né") + text("")),
    )
    pairs += (more,) if more else ()
    rows = (tensor("norm.weight", (32,), 0, 0), tensor("w.weight", (32, 2), 3, 128))
    head = magic + struct.pack("<IQQ", version, len(rows), len(pairs))
    head += b"".join(pairs) + b"".join(rows)
    return head + bytes(-len(head) % 32) + bytes(data)


def write_small(path: Path) -> Path:
    path.write_bytes(small_gguf())
    return path
