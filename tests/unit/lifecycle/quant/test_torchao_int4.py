"""torchao's 4-bit levels: on their grid, loaded by the backend, and never credited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("torchao", reason="needs torchao")

import tiny_models as tiny
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from slmbench.backends.transformers_load import load_model
from slmbench.backends.transformers_weights import weights_read
from slmbench.errors import UnsupportedModelError
from slmbench.lifecycle import torchao_quantize
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import TorchaoFacts
from slmbench.spec.recipe import TorchaoQuantize

pytestmark = pytest.mark.engine


def made(parent: Path, out: Path, **settings: object) -> tuple[Path, TorchaoFacts]:
    out.mkdir()
    recipe = TorchaoQuantize(technique="torchao", **settings)
    product = torchao_quantize.make(recipe, Workbench(parent, out, 1, lambda _: None))
    assert isinstance(product.facts, TorchaoFacts)
    return product.path, product.facts


def test_int4_is_on_its_grid_and_loads(tmp_path: Path) -> None:
    model = tiny.tiny_llama()
    parent = tiny.write_folder(model, tmp_path / "parent")
    folder, facts = made(parent, tmp_path / "out", scheme="int4_weight_only", group_size=16)
    assert facts.quantized_linears == 7 * tiny.LAYERS
    assert facts.reload_max_logit_difference == 0
    loaded = load_model(folder, "auto", attention=None)  # as the backend does
    before = model.model.layers[1].mlp.up_proj.weight.detach()
    held = loaded.model.layers[1].mlp.up_proj.weight
    after = held.dequantize()
    for old, new in zip(before.reshape(-1, 16), after.reshape(-1, 16), strict=True):
        levels = new / (2 * old.abs().max() / 15)
        assert float((levels - levels.round()).abs().max()) < 1e-3
        assert -8 <= float(levels.min()) <= float(levels.max()) <= 7.001
    assert 0 < float((after - before).abs().max()) < float(before.abs().max()) / 6
    read = weights_read(loaded)
    assert read is not None
    linear = sum(p.numel() for n, p in model.named_parameters() if "proj" in n)
    assert read.weight_bytes > linear  # a byte and more for each: 4 bits are not what is read


def test_what_the_grid_would_take(tmp_path: Path) -> None:
    model = tiny.tiny_llama()
    parent = tiny.write_folder(model, tmp_path / "parent")
    _, facts = made(parent, tmp_path / "out", scheme="int4_weight_only")
    named = {n: p.numel() for n, p in model.named_parameters()}
    linear = sum(n for name, n in named.items() if "proj" in name)
    everything = sum(named.values())
    wanted = (linear * (4 + 16 / 32) + 16 * (everything - linear)) / everything
    assert facts.grid_bits_per_weight == pytest.approx(wanted)
    _, facts = made(parent, tmp_path / "int8", scheme="int8_weight_only")
    assert facts.grid_bits_per_weight is None


def test_only_four_bits_are_simulated() -> None:
    schemes = ("int8_dynamic", "int8_weight_only", "int4_weight_only")
    found = [TorchaoQuantize(technique="torchao", scheme=scheme).simulated for scheme in schemes]
    assert found == [False, False, True]


def test_a_model_without_linear_layers_is_refused(tmp_path: Path) -> None:
    """All that GPT-2 has is its head, which is tied to the embedding."""
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=len(tiny.TOKENS), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    parent = tiny.write_folder(GPT2LMHeadModel(config).eval(), tmp_path / "parent")
    with pytest.raises(UnsupportedModelError, match=r"no torch\.nn\.Linear.* in a gpt2"):
        made(parent, tmp_path / "out", scheme="int4_weight_only")


def test_rows_that_the_group_does_not_divide(tmp_path: Path) -> None:
    parent = tiny.write_folder(tiny.tiny_llama(), tmp_path / "parent")
    with pytest.raises(UnsupportedModelError, match="group_size 40 does not divide the 64 columns"):
        made(parent, tmp_path / "out", scheme="int4_weight_only", group_size=40)


def test_a_quantized_parent_is_refused(tmp_path: Path) -> None:
    parent = tiny.write_folder(tiny.tiny_llama(), tmp_path / "parent")
    folder, _ = made(parent, tmp_path / "out", scheme="int8_dynamic")
    with pytest.raises(UnsupportedModelError, match="torchao changes float weights"):
        made(folder, tmp_path / "again", scheme="int4_weight_only")
    assert json.loads((folder / "config.json").read_text())["quantization_config"]


@pytest.mark.parametrize("scheme", ["int4_weight_only", "int8_dynamic"])
def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path, scheme: str) -> None:
    parent = tiny.write_folder(tiny.tiny_llama(), tmp_path / "parent")
    first, _ = made(parent, tmp_path / "a", scheme=scheme)
    second, _ = made(parent, tmp_path / "b", scheme=scheme)
    names = [path.name for path in sorted(first.glob("*.safetensors"))]
    assert names
    assert [(first / n).read_bytes() for n in names] == [(second / n).read_bytes() for n in names]
