"""What a GGUF is made of, and what one step of decoding reads of it, for llama.cpp.

llama.cpp tells the size of all weights together. What decoding does not read is the embedding
of the input, of which only a token's row is fetched, unless it is the head too. Its row of the
tensor table is searched for in the file: walking there past 100,000 strings of the tokenizer
takes so long that it would be a part of the load time.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import llama_cpp.llama_cpp as api

from slmbench.backends.llama_session import LlamaModel
from slmbench.backends.protocol import LoadJob
from slmbench.records import ModelInfo

_LOOKED_UP = ("token_embd.weight", "per_layer_token_embd.weight", "position_embd.weight")
"""Embeddings: a row of them is read per token."""

_row_size = api._lib.ggml_row_size  # noqa: SLF001 - it has no binding
_row_size.argtypes, _row_size.restype = [ctypes.c_int, ctypes.c_int64], ctypes.c_size_t


@dataclass(frozen=True, slots=True)
class DecodedWeights:
    """The weights that every token is multiplied with."""

    weight_bytes: int
    """As stored, scales included."""
    parameters: int


def model_info(job: LoadJob, model: LlamaModel, kv_bytes: int | None, engine: str) -> ModelInfo:
    """What the loaded file says of itself; ``kv_bytes``: keys and values of a token [bytes]."""
    read = read_by_decoding(job.path, model)
    return ModelInfo(
        artefact_sha256=job.artefact_sha256,
        artefact_bytes=job.path.stat().st_size,
        weight_bytes=model.weight_bytes,
        parameters=model.parameters,
        bits_per_weight=8 * model.weight_bytes / model.parameters,
        layers=model.layers,
        hidden_size=model.hidden_size,
        vocab_size=model.vocab_size,
        context_train=model.context_train,
        kv_bytes_per_token=kv_bytes,
        adds_bos=model.adds_bos,
        engine_version=engine,
        decode_weight_bytes=read.weight_bytes if read else None,
        matmul_parameters=read.parameters if read else None,
        attention_width=model.attention_width(),
    )


def read_by_decoding(path: Path, model: LlamaModel) -> DecodedWeights | None:
    """All weights but embeddings that are only looked up in; None for a mixture of experts."""
    arch = model.metadata("general.architecture")
    if int(model.metadata(f"{arch}.expert_count") or 0):
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = data[: max(0, len(data) - model.weight_bytes)]
    tied = _shape_and_type(header, "output.weight") is None
    names = [n for n in _LOOKED_UP if not (tied and n == "token_embd.weight")]
    found = [row for name in names if (row := _shape_and_type(header, name)) is not None]
    return DecodedWeights(
        model.weight_bytes - sum(_bytes(shape, kind) for shape, kind in found),
        model.parameters - sum(math.prod(shape) for shape, _ in found),
    )


def _shape_and_type(header: bytes, name: str) -> tuple[tuple[int, ...], int] | None:
    """The row of the tensor table: after the name, number of dimensions, they, and the type."""
    wanted = struct.pack("<Q", len(name)) + name.encode()
    at = header.find(wanted)
    if at < 0:
        return None
    at += len(wanted)
    (count,) = struct.unpack_from("<I", header, at)
    if not 1 <= count <= 4:
        return None
    *shape, kind = struct.unpack_from(f"<{count}QI", header, at + 4)
    return tuple(shape), kind


def _bytes(shape: tuple[int, ...], kind: int) -> int:
    return int(_row_size(kind, shape[0])) * math.prod(shape[1:])
