"""GGUF to a Hugging Face folder: the same weights, the same tokens, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")

import tiny_models as tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.dequantize import make, unpermute
from slmbench.lifecycle.gguf_header import read_header
from slmbench.lifecycle.hf_folder import check_folder
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import DequantizeFacts
from slmbench.spec.recipe import Dequantize

pytestmark = pytest.mark.engine

RECIPE = Dequantize(technique="dequantize")


def run(parent: Path, out: Path) -> tuple[Path, DequantizeFacts]:
    out.mkdir()
    product = make(RECIPE, Workbench(parent, out, 1, lambda _: None))
    assert isinstance(product.facts, DequantizeFacts)
    return product.path, product.facts


@pytest.mark.parametrize("tied", [True, False])
def test_weights_and_logits_are_the_models(tmp_path: Path, tied: bool) -> None:
    model = tiny.tiny_llama(tie_word_embeddings=tied)
    folder, facts = run(tiny.write_gguf(model, tmp_path / "m.gguf"), tmp_path / "out")
    check_folder(folder)
    again = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name
    ids = torch.arange(40).unsqueeze(0)
    with torch.inference_mode():
        torch.testing.assert_close(again(ids).logits, model(ids).logits)
    assert again.dtype == torch.float32
    assert facts.tied_head is tied
    assert facts.parameters == model.num_parameters()
    assert {(c.type, c.tensors) for c in facts.from_types} == {("F32", facts.tensors)}


def test_the_tokenizer_is_the_ggufs(tmp_path: Path) -> None:
    """The pre-tokenizer that the GGUF names splits digits: "123" must not be merged."""
    folder, facts = run(tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf"), tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.tokenize("the 123") == ["t", "he", "Ġ", "1", "2", "3"]
    assert tokenizer.tokenize(" t<|im_end|>") == ["Ġt", "<|im_end|>"]
    assert tokenizer.decode(tokenizer("naïve 日本 12\n").input_ids) == "naïve 日本 12\n"
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>hi<|im_end|>"
    assert facts.tokenizer_check.startswith("equal to llama.cpp's on 10 probe texts")


def test_gpt2s_splitter_and_a_start_token(tmp_path: Path) -> None:
    path = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf", pre="gpt-2", add_bos=True)
    folder, _ = run(path, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.convert_ids_to_tokens(tokenizer("123").input_ids) == ["<|im_start|>", "123"]


def test_a_tokenizer_that_differs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slmbench.lifecycle import gguf_tokenizer

    gpt2 = gguf_tokenizer._splitter("gpt-2")
    monkeypatch.setattr(gguf_tokenizer, "_splitter", lambda _: gpt2)
    with pytest.raises(ArtefactError, match="could not be rebuilt"):
        run(tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf"), tmp_path / "out")


def nan(arrays: dict[str, Any]) -> None:
    arrays["blk.1.ffn_up.weight"] = arrays["blk.1.ffn_up.weight"].copy()
    arrays["blk.1.ffn_up.weight"][3, 5] = np.nan


def missing(arrays: dict[str, Any]) -> None:
    del arrays["blk.2.attn_q.weight"]


def extra(arrays: dict[str, Any]) -> None:
    arrays["blk.0.attn_q.bias"] = np.zeros(tiny.HIDDEN, np.float32)


def wrong(arrays: dict[str, Any]) -> None:
    arrays["blk.0.attn_k.weight"] = np.zeros((8, tiny.HIDDEN), np.float32)


@pytest.mark.parametrize(
    ("alter", "meta", "cause"),
    [
        (nan, {}, "blk.1.ffn_up.weight has 1 weights that are NaN or Inf"),
        (missing, {}, "model.layers.2.self_attn.q_proj.weight is nothing"),
        (extra, {}, "blk.0.attn_q.bias is .* where a Llama has nothing"),
        (wrong, {}, r"k_proj.weight is \(8, 64\) where a Llama has \(32, 64\)"),
        (dict, {"arch": "gemma"}, "architecture llama, this is gemma"),
        (dict, {"scaling": "yarn"}, "scaled rotary"),
        (dict, {"pre": "qwen2"}, "pre-tokenizer 'qwen2' is not known"),
        (dict, {"kind": "llama"}, "of the kind 'llama'"),
        (dict, {"kind": None}, "holds no tokenizer"),
    ],
)
def test_what_it_does_not_know_is_refused(
    tmp_path: Path, alter: Any, meta: dict[str, Any], cause: str
) -> None:
    path = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf", alter=alter, **meta)
    with pytest.raises(ArtefactError, match=cause):
        run(path, tmp_path / "out")


def test_unpermute_undoes_llama_cpps_order() -> None:
    weights = np.arange(4 * 6 * 5, dtype=np.float32).reshape(24, 5)
    assert np.array_equal(unpermute(tiny.permute(weights, 4), 4), weights)
    assert not np.array_equal(tiny.permute(weights, 4), weights)


def test_the_header_reader_agrees_with_the_gguf_package(tmp_path: Path) -> None:
    import gguf

    path = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf")
    header, reference = read_header(path), gguf.GGUFReader(path)
    ours = [(t.name, t.shape, t.type_number, t.start, t.bytes) for t in header.tensors]
    theirs = [
        (t.name, tuple(int(n) for n in t.shape), int(t.tensor_type), t.data_offset, t.n_bytes)
        for t in reference.tensors
    ]
    assert ours == theirs
    for key, value in header.metadata.items():
        wanted = reference.fields[key].contents()
        assert (list(value) if isinstance(value, tuple) else value) == wanted, key


def test_the_table_of_types_is_ggmls() -> None:
    import ctypes

    import llama_cpp.llama_cpp as api

    from slmbench.lifecycle.gguf_header import _TYPES

    def asked(name: str, result: type) -> Callable[[int], Any]:
        function = getattr(api._lib, name)
        function.argtypes, function.restype = [ctypes.c_int], result
        return cast("Callable[[int], Any]", function)

    name_of = asked("ggml_type_name", ctypes.c_char_p)
    block_of, size_of = (
        asked("ggml_blck_size", ctypes.c_int64),
        asked("ggml_type_size", ctypes.c_size_t),
    )
    for number, (name, block, size) in _TYPES.items():
        found = name_of(number).decode().upper(), block_of(number), size_of(number)
        assert found == (name, block, size)
