"""Weights that are rounded while they learn: the product is on the grid that was trained with."""

from __future__ import annotations

from pathlib import Path

import pytest
from little_training import bench_at, recipe, tensors_of

from slmbench.errors import ArtefactError
from slmbench.spec.recipe import TorchaoQuantize
from slmbench.spec.recipes.training import FakeQuant, LoraUpdate

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
LORA = {"kind": "lora", "rank": 4, "alpha": 8}


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("update", [LORA, {"kind": "full"}], ids=["lora", "full"])
def test_the_product_is_what_was_trained(
    tmp_path: Path, parent: Path, little_text: list[str], bits: int, update: dict[str, object]
) -> None:
    from slmbench.lifecycle.training.train import make

    made = make(recipe(quantize={"bits": bits}, update=update), bench_at(tmp_path, parent))
    assert made.facts.reload_max_logit_difference < 1e-4
    curve = made.facts.training.curve
    assert curve[-1].validation < curve[0].validation - 0.05
    assert {file.name for file in tmp_path.iterdir()} == {"hf"}


def test_training_starts_at_the_loss_of_the_quantized_parent(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    """Not at the float parent's: the rounding is there from the first step on."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from slmbench.lifecycle.torchao_quantize import make as quantize
    from slmbench.lifecycle.training import material
    from slmbench.lifecycle.training.train import make
    from slmbench.lifecycle.training.validation import held_out

    asked = recipe(quantize={"bits": 4}, update=LORA)
    made = make(asked, bench_at(tmp_path / "qat", parent))
    ptq = TorchaoQuantize(technique="torchao", scheme="int4_weight_only")
    shipped = quantize(ptq, bench_at(tmp_path / "ptq", parent))
    corpus = material.read_corpus(asked.text)
    checked = held_out(AutoTokenizer.from_pretrained(parent), corpus, 32)
    losses = [
        checked.loss(AutoModelForCausalLM.from_pretrained(folder).eval())
        for folder in (shipped.path, made.path, parent)
    ]
    curve = made.facts.training.curve
    assert curve[0].validation == pytest.approx(losses[0], abs=1e-5)
    assert curve[-1].validation == pytest.approx(losses[1], abs=1e-5)
    assert abs(losses[0] - losses[2]) > 1e-4
    assert made.facts.grid_bits_per_weight == shipped.facts.grid_bits_per_weight
    assert shipped.facts.grid_bits_per_weight < 16


def test_the_grid_is_torchaos_bit_for_bit(parent: Path) -> None:
    from transformers import AutoModelForCausalLM

    from slmbench.lifecycle.training.qat import add_updates, round_in_passes, rounded_alike

    for bits in (4, 8):
        model = AutoModelForCausalLM.from_pretrained(parent)
        settings = FakeQuant(bits=bits)
        names = round_in_passes(model, settings)
        assert len(names) == 14
        assert "lm_head" not in names
        add_updates(model, LoraUpdate(rank=2), seed=1)
        for name in names:
            assert rounded_alike(model.get_submodule(name), settings)


def test_only_updates_learn_and_they_change_the_rounded_weight(parent: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from slmbench.lifecycle.training.qat import add_updates, round_in_passes, take_out

    model = AutoModelForCausalLM.from_pretrained(parent)
    before = model.model.layers[0].mlp.up_proj.weight.detach().clone()
    round_in_passes(model, FakeQuant())
    count = add_updates(model, LoraUpdate(rank=2, alpha=4, targets=("up_proj",)), seed=1)
    assert count == 2 * 2 * (64 + 96)
    layer = model.model.layers[0].mlp.up_proj
    b = layer.parametrizations.weight[0].b
    a = layer.parametrizations.weight[0].a
    with torch.no_grad():
        b.fill_(0.5)
    model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
    assert float(a.grad.abs().sum()) > 0
    take_out(model)
    assert type(model.model.layers[0].mlp.up_proj) is torch.nn.Linear
    expected = before + 2 * torch.full((96, 2), 0.5) @ a.detach()
    assert torch.allclose(model.model.layers[0].mlp.up_proj.weight, expected)


def test_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    from slmbench.lifecycle.training.train import make

    asked = [recipe(quantize={}, update=LORA, tokens=256, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (
        tensors_of(make(one, bench_at(tmp_path / str(n), parent)).path)
        for n, one in enumerate(asked)
    )
    assert first == again
    assert first[1] != other[1]


def test_what_does_not_fit_is_named(tmp_path: Path, parent: Path, little_text: list[str]) -> None:
    from slmbench.lifecycle.training.train import make

    with pytest.raises(ArtefactError, match="rows of 64 weights, which groups of 48"):
        make(recipe(quantize={"group_size": 48}), bench_at(tmp_path / "a", parent))
    with pytest.raises(ArtefactError, match="no update can be put into nothing"):
        make(
            recipe(quantize={}, update={"kind": "lora", "targets": ["nothing"]}),
            bench_at(tmp_path / "b", parent),
        )
