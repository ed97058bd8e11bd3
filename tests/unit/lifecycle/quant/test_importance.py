"""The importance matrix: what llama.cpp computes with is what the model's layers get."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import numpy as np
import tiny_models as tiny
import torch
from pydantic import ValidationError

from slmbench.backends.llama_session import LlamaModel
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import gguf_quantize, importance
from slmbench.lifecycle.dequantize import hf_name
from slmbench.lifecycle.gguf_header import read_header
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import GgufQuantizeFacts
from slmbench.spec.recipe import Calibration, GgufQuantize

pytestmark = pytest.mark.engine

SEQUENCES = [[5, 9, 40, 7, 200, 33], [12, 12, 3]]


def observed(path: Path, sequences: list[list[int]]) -> dict[str, Any]:
    model = LlamaModel(path, gpu=None, extra_bufts=False)
    try:
        return importance.observe(model, sequences, 1)
    finally:
        model.close()


def by_hooks(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Mean squared inputs of every linear layer, as transformers computes them."""
    sums: dict[str, list[torch.Tensor]] = {}

    def watch(name: str) -> Any:
        def add(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            sums.setdefault(name, []).append(inputs[0].flatten(0, -2).double().square())

        return add

    hooks = [
        module.register_forward_pre_hook(watch(f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    with torch.inference_mode():
        for ids in SEQUENCES:
            model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(rows).mean(0) for name, rows in sums.items()}


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return tiny.write_gguf(tiny.tiny_llama(), tmp_path / "parent.gguf")


def quantized(parent: Path, out: Path, kind: str, **settings: Any) -> tuple[Path, Any]:
    out.mkdir()
    recipe = GgufQuantize(technique="gguf_quantize", type=kind, **settings)
    product = gguf_quantize.make(recipe, Workbench(parent, out, 1, lambda _: None))
    assert isinstance(product.facts, GgufQuantizeFacts)
    return product.path, product.facts


def test_it_is_what_goes_into_the_layers(parent: Path) -> None:
    """Every matrix of every block, every column, every token (the last block's too)."""
    found = observed(parent, SEQUENCES)
    assert len(found) == 7 * tiny.LAYERS
    wanted = by_hooks(tiny.tiny_llama())
    for name, values in found.items():
        expected = wanted[str(hf_name(name))].numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6, err_msg=name)


def test_texts_are_read_apart_and_weighted_by_their_tokens(parent: Path) -> None:
    both = observed(parent, SEQUENCES)
    first, second = observed(parent, SEQUENCES[:1]), observed(parent, SEQUENCES[1:])
    name = "blk.1.ffn_down.weight"
    np.testing.assert_allclose(both[name], (6 * first[name] + 3 * second[name]) / 9, rtol=1e-4)


def test_its_facts_and_its_effect(parent: Path, tmp_path: Path) -> None:
    plain, told = quantized(parent, tmp_path / "plain", "Q4_0")
    assert (told.weighted_matrices, told.calibration) == (0, None)
    weighted, facts = quantized(
        parent, tmp_path / "weighted", "Q4_0", importance=Calibration(texts=8, max_tokens=16)
    )
    assert facts.weighted_matrices == 7 * tiny.LAYERS
    assert facts.calibration.texts == 8
    assert facts.calibration.tokens == 8 * 16
    assert facts.calibration.sources[0].startswith("boolq: ")
    assert plain.read_bytes() != weighted.read_bytes()
    again, _ = quantized(
        parent, tmp_path / "again", "Q4_0", importance=Calibration(texts=8, max_tokens=16)
    )
    assert again.read_bytes() == weighted.read_bytes()


def test_errors_move_to_columns_that_matter_less(parent: Path, tmp_path: Path) -> None:
    """By hand: only the first column of each block of 32 matters."""
    made = importance.importance_of(parent, Calibration(texts=4, max_tokens=16), 1)
    for values in made.columns.values():
        values[:] = 1e-6
        values[::32] = 1.0
    native = gguf_quantize.native
    params = native.llama_model_quantize_default_params()
    params.ftype = native.LLAMA_FTYPE_MOSTLY_Q4_0
    entries = made.as_argument()
    params.imatrix = entries
    out = tmp_path / "steered.gguf"
    given = str(parent).encode(), str(out).encode(), ctypes.byref(params)
    assert native.llama_model_quantize(*given) == 0
    plain, _ = quantized(parent, tmp_path / "plain", "Q4_0")
    for name in ("blk.0.ffn_up.weight", "blk.2.attn_q.weight"):
        before = weights(parent, name)
        steered, usual = (np.abs(weights(path, name) - before) for path in (out, plain))
        assert steered[:, ::32].mean() < 0.3 * usual[:, ::32].mean()
        assert steered.mean() > usual.mean()


def weights(path: Path, name: str) -> Any:
    import gguf

    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == name)
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def test_what_cannot_be_observed_is_an_error(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArtefactError, match="hold no token"):
        observed(parent, [[]])
    monkeypatch.setattr(importance, "_overhead", lambda: 400)
    with pytest.raises(UnsupportedModelError, match="lays tensors out in another way"):
        observed(parent, SEQUENCES)


def test_an_error_inside_the_callback_is_raised(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("inside")

    monkeypatch.setattr(importance, "_rows", fail)
    with pytest.raises((ArtefactError, ValueError), match=r"inside|could not read"):
        observed(parent, SEQUENCES)


def test_weights_that_are_not_finite_are_seen(tmp_path: Path) -> None:
    def spoil(arrays: dict[str, Any]) -> None:
        arrays["blk.0.attn_v.weight"][0, 0] = np.inf

    parent = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "bad.gguf", alter=spoil)
    with pytest.raises(ArtefactError, match="NaN or infinite"):
        observed(parent, SEQUENCES)


@pytest.mark.parametrize("kind", ["Q4_1", "Q5_0", "IQ4_NL", "Q2_0"])
def test_types_with_small_blocks_are_what_they_are_called(
    parent: Path, tmp_path: Path, kind: str
) -> None:
    path, facts = quantized(parent, tmp_path / kind, kind)
    assert read_header(path).main_type == kind
    model = LlamaModel(path, gpu=None, extra_bufts=False)
    model.close()
    assert facts.bits_per_weight < 9


@pytest.mark.parametrize("kind", ["IQ4_XS", "IQ3_XXS", "IQ2_XXS", "Q3_K_M"])
def test_types_with_large_blocks_fall_back_and_say_so(
    parent: Path, tmp_path: Path, kind: str
) -> None:
    """Rows of 64 and 96 fill no block of 256."""
    settings = {"importance": Calibration(texts=2, max_tokens=16)} if kind == "IQ2_XXS" else {}
    _, facts = quantized(parent, tmp_path / kind, kind, **settings)
    assert {c.type for c in facts.to_types} <= {"F32", "Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "Q5_1"}


def test_the_lowest_type_needs_an_importance_matrix() -> None:
    with pytest.raises(ValidationError, match="IQ2_XXS needs an importance matrix"):
        GgufQuantize(technique="gguf_quantize", type="IQ2_XXS")
