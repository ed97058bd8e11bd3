"""Round-to-nearest: every weight is on its grid, and on its nearest level."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")

import tiny_models as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import rtn
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import GridFacts
from slmbench.spec.recipe import RoundToNearest

pytestmark = pytest.mark.engine


def made(model: torch.nn.Module, root: Path, **settings_: object) -> tuple[Path, GridFacts]:
    parent = tiny.write_folder(model, root / "parent")
    (root / "out").mkdir()
    recipe = RoundToNearest(technique="rtn", **settings_)
    product = rtn.make(recipe, Workbench(parent, root / "out", 1, lambda _: None))
    assert isinstance(product.facts, GridFacts)
    return product.path, product.facts


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return {name: p.detach() for name, p in model.named_parameters()}


@st.composite
def groups(draw: st.DrawFn) -> tuple[torch.Tensor, rtn.Grid]:
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    seed, spread = draw(st.integers(0, 2**31)), draw(st.floats(1e-3, 100))
    weights = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * spread
    weights += draw(st.sampled_from([0.0, spread, -3 * spread]))
    size = draw(st.sampled_from([None, 8, 16, 33]))
    return weights, rtn.Grid(draw(st.integers(2, 8)), size, draw(st.booleans()))


@settings(deadline=None, max_examples=200)
@given(groups())
def test_every_weight_is_on_the_nearest_level(case: tuple[torch.Tensor, rtn.Grid]) -> None:
    """Levels are written out here, one group at a time, and searched for the nearest."""
    weights, grid = case
    rounded = rtn.on_grid(weights, grid)
    size = grid.group_size or weights.shape[1]
    top = 2**grid.bits - 1
    for row, out in zip(weights, rounded, strict=True):
        for start in range(0, len(row), size):
            w, q = row[start : start + size].double(), out[start : start + size].double()
            if grid.symmetric:
                step = float((2 * row[start : start + size].abs().max() / top).half())
                levels = [step * k for k in range(-(2 ** (grid.bits - 1)), 2 ** (grid.bits - 1))]
            else:
                low, high = min(float(w.min()), 0.0), max(float(w.max()), 0.0)
                step = float(torch.tensor((high - low) / top).half())
                zero = round(-low / step) if step else 0
                levels = [step * (k - zero) for k in range(top + 1)]
            distances = (w[:, None] - torch.tensor(levels, dtype=torch.float64)).abs()
            on_a_level = (q[:, None] - torch.tensor(levels, dtype=torch.float64)).abs().amin(1)
            assert float(on_a_level.max()) <= 1e-6 * max(step, 1e-30) * 2**grid.bits
            slack = 1e-4 * step  # a tie may fall to either side
            assert bool(((w - q).abs() <= distances.amin(1) + slack).all())


def test_zero_weights_stay_zero_and_bad_ones_are_refused() -> None:
    grid = rtn.Grid(4, 8, symmetric=True)
    assert torch.equal(rtn.on_grid(torch.zeros(2, 16), grid), torch.zeros(2, 16))
    for symmetric in (True, False):
        grid = rtn.Grid(4, 8, symmetric)
        with pytest.raises(ArtefactError, match="up_proj: weights that are NaN or Inf"):
            rtn.on_grid(torch.tensor([[1.0, float("nan")]]), grid, where="up_proj")
        with pytest.raises(ArtefactError, match="float16 cannot hold a scale"):
            rtn.on_grid(torch.tensor([[3e6, 0.0]]), grid)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_folder_holds_what_the_facts_say(tmp_path: Path, symmetric: bool) -> None:
    model = tiny.tiny_llama()
    folder, facts = made(model, tmp_path, bits=3, group_size=16, symmetric=symmetric)
    after = weights_of(folder)
    before = {name: p.detach() for name, p in model.named_parameters()}
    rounded = [n for n in before if not torch.equal(before[n], after[n])]
    assert len(rounded) == facts.matrices == 7 * tiny.LAYERS
    assert all(".layers." in name and name.endswith("proj.weight") for name in rounded)
    assert "lm_head (tied to the embedding)" in facts.kept_float
    assert "model.layers.*.input_layernorm" in facts.kept_float
    error = sum(float((after[n] - before[n]).double().square().sum()) for n in rounded)
    power = sum(float(before[n].double().square().sum()) for n in rounded)
    assert facts.mean_squared_error == pytest.approx(error / power, rel=1e-6)
    for name in rounded:
        assert len(after[name].reshape(-1, 16)[0].unique()) <= 8
    on_grid = sum(before[n].numel() for n in rounded)
    kept = sum(p.numel() for p in before.values()) - on_grid
    each = 3 + (16 if symmetric else 16 + 3) / 16
    assert facts.bits_per_weight == pytest.approx((on_grid * each + kept * 16) / (on_grid + kept))


def test_more_bits_err_less_and_rounding_again_changes_nothing(tmp_path: Path) -> None:
    weights = torch.randn(8, 64)
    errors = []
    for bits in (2, 3, 4, 8):
        grid = rtn.Grid(bits, 32, symmetric=True)
        rounded = rtn.on_grid(weights, grid)
        errors.append(float((rounded - weights).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 20 * errors[2] > 20 * errors[3]


def test_a_tied_head_is_rounded_once_with_the_embedding(tmp_path: Path) -> None:
    model = tiny.tiny_llama()
    folder, facts = made(model, tmp_path, bits=4, embeddings=True)
    assert facts.matrices == 7 * tiny.LAYERS + 1
    again = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert len(again.lm_head.weight[5, :32].unique()) <= 16
    assert not any("embed" in name or "lm_head" in name for name in facts.kept_float)


def test_an_untied_head_is_left_alone_unless_asked(tmp_path: Path) -> None:
    model = tiny.tiny_llama(tie_word_embeddings=False)
    _, facts = made(model, tmp_path / "a", bits=4)
    assert {"model.embed_tokens", "lm_head"} <= set(facts.kept_float)
    _, facts = made(model, tmp_path / "b", bits=4, embeddings=True)
    assert facts.matrices == 7 * tiny.LAYERS + 2


def test_gpt2_is_rounded_along_its_inputs(tmp_path: Path) -> None:
    """Its layers store inputs first: groups must still run over the inputs of an output."""
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=len(tiny.TOKENS), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    model = GPT2LMHeadModel(config).eval()
    folder, facts = made(model, tmp_path, bits=2, group_size=None)
    assert facts.matrices == 4
    weight = weights_of(folder)["transformer.h.0.mlp.c_fc.weight"]  # [inputs, outputs]
    assert weight.shape == (32, 128)
    assert max(len(weight[:, i].unique()) for i in range(128)) <= 4
    assert len(weight[0].unique()) > 4


def test_a_quantized_parent_is_refused(tmp_path: Path) -> None:
    import json

    parent = tiny.write_folder(tiny.tiny_llama(), tmp_path / "parent")
    config = json.loads((parent / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "torchao"}
    (parent / "config.json").write_text(json.dumps(config))
    recipe = RoundToNearest(technique="rtn", bits=4)
    with pytest.raises(UnsupportedModelError, match=r"rtn changes float weights.*torchao"):
        rtn.make(recipe, Workbench(parent, tmp_path, 1, lambda _: None))


def test_it_is_the_same_twice_and_float32_from_bfloat16(tmp_path: Path) -> None:
    model = tiny.tiny_llama().to(torch.bfloat16)
    first, _ = made(model, tmp_path / "a", bits=4)
    second, _ = made(model, tmp_path / "b", bits=4)
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert all(p.dtype == torch.float32 for p in weights_of(first).values())
