"""What decoding reads of a GGUF: the embedding is left out unless it is the head too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import gguf
import numpy as np

from slmbench.backends.llama_weights import DecodedWeights, read_by_decoding

pytestmark = pytest.mark.engine

Q8_0 = gguf.GGMLQuantizationType.Q8_0


class Sized:
    """As much of a LlamaModel as is asked for."""

    def __init__(self, tensors: dict[str, Any], experts: str = "") -> None:
        self.weight_bytes = sum(array.nbytes for array in tensors.values())
        self.parameters = 100_000
        self.experts = experts

    def metadata(self, key: str) -> str:
        return {"general.architecture": "llama", "llama.expert_count": self.experts}.get(key, "")


def tensors(*, untied: bool) -> dict[str, Any]:
    rows = np.zeros((50, 64 // 32 * 34), dtype=np.uint8)  # 50 tokens, 64 values each, Q8_0
    found = {"token_embd.weight": rows, "blk.0.attn_q.weight": np.zeros((64, 64), np.float32)}
    return {**found, "output.weight": rows} if untied else found


def written(path: Path, arrays: dict[str, Any]) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.description", "output.weight is only mentioned")
    for name, array in arrays.items():
        writer.add_tensor(name, array, raw_dtype=Q8_0 if array.dtype == np.uint8 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_tied_embedding_is_read(tmp_path: Path) -> None:
    arrays = tensors(untied=False)
    model: Any = Sized(arrays)
    found = read_by_decoding(written(tmp_path / "m.gguf", arrays), model)
    assert found == DecodedWeights(model.weight_bytes, 100_000)


def test_an_untied_embedding_is_not(tmp_path: Path) -> None:
    arrays = tensors(untied=True)
    model: Any = Sized(arrays)
    found = read_by_decoding(written(tmp_path / "m.gguf", arrays), model)
    assert found == DecodedWeights(model.weight_bytes - 50 * 68, 100_000 - 50 * 64)


def test_experts_are_not_counted(tmp_path: Path) -> None:
    arrays = tensors(untied=True)
    model: Any = Sized(arrays, experts="8")
    assert read_by_decoding(written(tmp_path / "m.gguf", arrays), model) is None
