"""Folder to GGUF: equal bit by bit, in the order and with the words that llama.cpp expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import gguf
import numpy as np
import torch
from derivation import artefact_at, child, ref_of
from transformers import AutoModelForCausalLM

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import dequantize, gguf_export, materialise
from slmbench.lifecycle.gguf_header import read_header
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import GgufExportFacts
from slmbench.spec.recipe import Dequantize, GgufExport
from tiny_smollm import CHAT, MERGES, SPECIAL, edit_json, save_tiny_smollm, smollm_tokenizer

pytestmark = pytest.mark.engine


def bench(parent: Path, out: Path) -> Workbench:
    out.mkdir()
    return Workbench(parent, out, 1, lambda _: None)


def export(parent: Path, out: Path, dtype: str = "float32") -> tuple[Path, GgufExportFacts]:
    product = gguf_export.make(GgufExport(technique="gguf_export", dtype=dtype), bench(parent, out))
    assert isinstance(product.facts, GgufExportFacts)
    return product.path, product.facts


@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back_again_is_the_same_model(tmp_path: Path, tied: bool) -> None:
    """Exported, then read by the dequantizer, which was tested against llama.cpp on its own."""
    folder = save_tiny_smollm(tmp_path / "hf", tie_word_embeddings=tied)
    path, facts = export(folder, tmp_path / "out")
    assert facts.rounded_weights == 0
    assert facts.tied_head is tied
    assert (facts.tensors, facts.pre_tokenizer) == (2 * 9 + (2 if tied else 3), "smollm")
    assert facts.tokenizer_check.startswith("equal to llama.cpp's")
    again = dequantize.make(Dequantize(technique="dequantize"), bench(path, tmp_path / "back")).path
    before = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    after = AutoModelForCausalLM.from_pretrained(again, local_files_only=True)
    assert before.state_dict().keys() == after.state_dict().keys()
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name
    assert after.config.rope_parameters["rope_theta"] == 100000.0
    assert after.config.num_key_value_heads == 2
    vocabulary = json.loads((again / "tokenizer.json").read_text())["model"]
    assert vocabulary["merges"] == [m.split(" ") for m in MERGES]


def test_metadata_says_what_the_tokenizer_does(tmp_path: Path) -> None:
    path, _ = export(save_tiny_smollm(tmp_path / "hf", bos=True), tmp_path / "out")
    meta = read_header(path).metadata
    assert meta["tokenizer.ggml.add_bos_token"] is True
    assert meta["tokenizer.ggml.add_eos_token"] is False
    assert meta["tokenizer.ggml.merges"] == MERGES
    assert meta["tokenizer.chat_template"] == CHAT
    kinds = meta["tokenizer.ggml.token_type"]
    assert isinstance(kinds, tuple)
    assert kinds[:3] == (3,) * len(SPECIAL)
    assert set(kinds[3:]) == {1}
    ids = [meta[f"tokenizer.ggml.{n}_token_id"] for n in ("bos", "eos", "unknown", "padding")]
    assert ids == [1, 2, 0, 2]


@pytest.mark.parametrize(
    ("dtype", "cast"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)]
)
def test_sixteen_bits_are_the_cast_and_vectors_stay_float32(
    tmp_path: Path, dtype: str, cast: torch.dtype
) -> None:
    folder = save_tiny_smollm(tmp_path / "hf")
    path, facts = export(folder, tmp_path / "out", dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    wanted = model.model.layers[0].mlp.down_proj.weight.detach()
    found = {t.name: t for t in gguf.GGUFReader(path).tensors}
    raw = found["blk.0.ffn_down.weight"]
    floats = np.array(gguf.quants.dequantize(raw.data, raw.tensor_type), np.float32)
    assert torch.equal(torch.from_numpy(floats), wanted.to(cast).float())
    assert facts.rounded_weights > 0
    assert found["output_norm.weight"].tensor_type == gguf.GGMLQuantizationType.F32


def test_more_embeddings_than_tokens_become_unused_tokens(tmp_path: Path) -> None:
    size = len(smollm_tokenizer()) + 5
    path, _ = export(save_tiny_smollm(tmp_path / "hf", vocab_size=size), tmp_path / "out")
    meta = read_header(path).metadata
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    assert isinstance(tokens, tuple)
    assert isinstance(kinds, tuple)
    assert (len(tokens), tokens[-1], kinds[-5:]) == (size, f"[PAD{size - 1}]", (5,) * 5)


def altered(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Write something else than what was meant, behind the exporter's back."""
    original = gguf.GGUFWriter.write_tensor_data
    state = {"left": 3}

    def write(self: gguf.GGUFWriter, tensor: Any, *rest: Any) -> None:
        state["left"] -= 1
        original(self, change(tensor) if state["left"] == 0 else tensor, *rest)

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", write)


def test_a_tensor_that_was_written_wrong_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_bit(tensor: Any) -> Any:
        tensor = tensor.copy()
        tensor.reshape(-1)[7] = np.nextafter(tensor.reshape(-1)[7], np.float32(9))
        return tensor

    altered(monkeypatch, one_bit)
    with pytest.raises(ArtefactError, match="is not what the folder holds"):
        export(save_tiny_smollm(tmp_path / "hf"), tmp_path / "out")


def test_rows_that_were_not_reordered_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_export, "permute", lambda weights, heads: weights)
    with pytest.raises(ArtefactError, match=r"[qk]_proj.weight is not what the folder holds"):
        export(save_tiny_smollm(tmp_path / "hf"), tmp_path / "out")


@pytest.mark.parametrize(
    ("method", "value", "says"),
    [
        ("add_rope_freq_base", 10000.0, "rope_base is 10000.0 where the config says 100000.0"),
        ("add_head_count_kv", 4, "kv_heads is 4 where the config says 2"),
        ("add_add_bos_token", True, "tokenizer.ggml.add_bos_token is not what was written"),
    ],
)
def test_metadata_that_was_written_wrong_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, value: Any, says: str
) -> None:
    original = getattr(gguf.GGUFWriter, method)
    monkeypatch.setattr(gguf.GGUFWriter, method, lambda self, _: original(self, value))
    with pytest.raises(ArtefactError, match=says):
        export(save_tiny_smollm(tmp_path / "hf"), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mistral", "architectures": ["MistralForCausalLM"]}, "this is Mistral"),
        ({"attention_bias": True}, "does not know biases"),
        ({"hidden_act": "gelu"}, "the activation gelu"),
        (
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
            "scaled rotary embeddings",
        ),
        ({"quantization_config": {"quant_method": "torchao"}}, "quantized weights"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    folder = save_tiny_smollm(tmp_path / "hf")
    edit_json(folder / "config.json", **changes)
    with pytest.raises(UnsupportedModelError, match=says) as error:
        export(folder, tmp_path / "out")
    assert error.value.hint


def test_weights_that_do_not_fit_the_config_are_damage_and_no_refusal(tmp_path: Path) -> None:
    folder = save_tiny_smollm(tmp_path / "hf")
    edit_json(folder / "config.json", intermediate_size=128)
    with pytest.raises(ArtefactError, match="where its config says") as error:
        export(folder, tmp_path / "out")
    assert not isinstance(error.value, UnsupportedModelError)


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("normalizer", {"type": "NFC"}, "a normalizer"),
        ("pre_tokenizer", {"type": "Whitespace"}, "splitter .Whitespace. is not one"),
        ("decoder", {"type": "Fuse"}, "does not decode bytes"),
    ],
)
def test_other_tokenizers_are_refused(tmp_path: Path, part: str, value: Any, says: str) -> None:
    folder = save_tiny_smollm(tmp_path / "hf")
    edit_json(folder / "tokenizer.json", **{part: value})
    with pytest.raises(UnsupportedModelError, match=says):
        export(folder, tmp_path / "out")


def test_weights_that_are_not_finite_or_too_large_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_smollm(tmp_path / "hf")
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e6
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ArtefactError, match="more than float16 can"):
        export(folder, tmp_path / "f16", "float16")
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ArtefactError, match=r"up_proj.weight has weights that are NaN"):
        export(folder, tmp_path / "f32")


def test_as_a_recipe_in_a_process_of_its_own(tmp_path: Path) -> None:
    parent = artefact_at(save_tiny_smollm(tmp_path / "hf"))
    variant = child(GgufExport(technique="gguf_export"))
    made = materialise(variant, ref_of(variant), parent, base=Path(), report=lambda _: None)
    assert made.path.name == "model.gguf"
    assert made.made is not None
    assert isinstance(made.made.facts, GgufExportFacts)
