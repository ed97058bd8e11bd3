"""The ladder of families.yaml applies to every architecture in it; what does not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

from shape_bench import backend_logits, bench, family, logits, write

from slmbench.errors import UnsupportedModelError
from slmbench.lifecycle import cast, random_init, rtn, sparsify
from slmbench.lifecycle.training import train
from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.load import load_models
from slmbench.spec.recipe import Cast, RandomInit, RoundToNearest, Sparsify, TorchaoQuantize, Train

pytestmark = [
    pytest.mark.engine,
    # transformers looks for Mamba's kernels, which use a decorator that torch is giving up
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]

KINDS = ("llama", "gpt_neox", "mamba2")
STEPS: dict[str, Any] = {
    "rtn": (rtn, RoundToNearest(technique="rtn", bits=2)),
    "sparsify": (sparsify, Sparsify(technique="sparsify")),
    "cast": (cast, Cast(technique="cast", dtype="bfloat16")),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_changes_every_family(kind: str, step: str, tmp_path: Path) -> None:
    model = family(kind)
    module, recipe = STEPS[step]
    product = module.make(recipe, bench(write(model, tmp_path / "p"), tmp_path / "o"))
    info, backend = backend_logits(product.path)
    assert info.parameters == model.num_parameters()
    moved = (logits(backend._require_model()) - logits(model)).abs().max()
    assert 0 < moved < 100 * logits(model).abs().max()
    backend.close()


@pytest.mark.parametrize("kind", KINDS)
def test_int8_holds_every_linear_layer_of_every_family(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("torchao", reason="needs torchao")
    from slmbench.lifecycle import torchao_quantize

    model = family(kind)
    recipe = TorchaoQuantize(technique="torchao", scheme="int8_dynamic")
    product = torchao_quantize.make(recipe, bench(write(model, tmp_path / "p"), tmp_path / "o"))
    per_layer = {"llama": 7, "gpt_neox": 4, "mamba2": 2}[kind]
    assert product.facts.quantized_linears == 2 * per_layer
    info, backend = backend_logits(product.path)
    assert info.parameters == model.num_parameters()
    assert info.weight_bytes < 4 * info.parameters
    backend.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_can_be_drawn_and_trained(kind: str, tmp_path: Path) -> None:
    asked = RandomInit(technique="random_init", architecture=kind, hidden_size=64, layers=1)
    (tmp_path / "r").mkdir()
    drawn = random_init.make(asked, Workbench(None, tmp_path / "r", 1, lambda _: None))
    recipe = Train(
        technique="train",
        update={"kind": "full"},
        text={"passages": ["boolq"], "held_out": 0.4},
        tokens=1024,
        sequence=32,
        batch=4,
        learning_rate=5e-3,
        validations=2,
    )
    product = train.make(recipe, bench(drawn.path, tmp_path / "t"))
    curve = product.facts.training.curve
    assert curve[-1].validation < curve[0].validation - 0.3
    info, backend = backend_logits(product.path)
    assert info.parameters == drawn.facts.parameters
    backend.close()


def test_gpt2_has_matrices_of_another_class(tmp_path: Path) -> None:
    parent = write(family("gpt2"), tmp_path / "p")
    with pytest.raises(UnsupportedModelError, match="gpt2"):
        sparsify.make(STEPS["sparsify"][1], bench(parent, tmp_path / "o"))


def test_the_file_has_the_same_ladder_on_each_family() -> None:
    models = load_models("families")
    ladders: dict[str, list[str]] = {}
    budgets = set()
    for variant in models.variants:
        if isinstance(variant.recipe, RandomInit):
            ladders[variant.name.removesuffix("-random")] = []
        elif isinstance(variant.recipe, Train):
            budgets.add((variant.recipe.tokens, variant.recipe.seed, variant.recipe.text))
        else:
            assert variant.parent is not None
            ladders[variant.parent].append(variant.name.removeprefix(variant.parent))
            assert not models.has_random_weights(variant.name)
    assert len(budgets) == 1  # the same text in the same order for all
    assert set(ladders) == {"bytes-llama", "bytes-neox", "bytes-mamba2"}
    assert len({tuple(steps) for steps in ladders.values()}) == 1
    assert len(ladders["bytes-llama"]) == 7
