"""Width pruning: importance by its formula, and the folder that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from pydantic import ValidationError
from shape_bench import CALIBRATION, backend_logits, bench, family, load, logits, write

from slmbench.content import content_of
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import width_prune
from slmbench.lifecycle.activations import calibration_rows, observe
from slmbench.made import WidthPruneFacts
from slmbench.spec.recipe import WidthPrune

pytestmark = pytest.mark.engine


def recipe(**changes: Any) -> WidthPrune:
    settings = {"keep_ffn": 0.67, "calibration": CALIBRATION, **changes}
    return WidthPrune(technique="width_prune", **settings)


def make(parent: Path, out: Path, **changes: Any) -> tuple[Path, WidthPruneFacts]:
    product = width_prune.make(recipe(**changes), bench(parent, out))
    assert isinstance(product.facts, WidthPruneFacts)
    return product.path, product.facts


def quieten(model: Any) -> None:
    """Every third channel and one group of heads give almost nothing, others in each layer."""
    with torch.no_grad():
        for i, layer in enumerate(model.model.layers):
            layer.mlp.up_proj.weight[i::3] = 0
            layer.self_attn.v_proj.weight[16 * i : 16 * (i + 1)] = 0


def test_the_channels_and_heads_that_do_nothing_go(tmp_path: Path) -> None:
    model = family("llama")
    quieten(model)
    parent = write(model, tmp_path / "parent")
    path, facts = make(parent, tmp_path / "out", keep_heads=0.5)
    again = load(path)
    torch.testing.assert_close(logits(again), logits(model))
    assert (facts.ffn_before, facts.ffn_after) == (96, 64)
    assert (facts.head_groups_before, facts.head_groups_after) == (2, 1)
    assert facts.parameters_before == model.num_parameters()
    assert facts.parameters_after == again.num_parameters() < facts.parameters_before
    assert (facts.calibration.texts, facts.calibration.tokens) == (6, 6 * 24)
    assert facts.calibration.sources[0].startswith("boolq: local folder")
    assert (path / "tokenizer.json").read_bytes() == (parent / "tokenizer.json").read_bytes()
    assert str(tmp_path) not in (path / "config.json").read_text()


def test_the_same_recipe_gives_the_same_bytes_in_the_parents_type(tmp_path: Path) -> None:
    parent = write(family("llama").to(torch.bfloat16), tmp_path / "parent")
    first, _ = make(parent, tmp_path / "1")
    again, _ = make(parent, tmp_path / "2")
    assert content_of(first).sha256 == content_of(again).sha256
    assert load(first).dtype is torch.bfloat16


def test_importance_is_the_mean_magnitude_of_what_the_projection_reads(tmp_path: Path) -> None:
    """By hand: the layer's own parts on the states that go into it."""
    model = family("llama")
    rows = calibration_rows(write(model, tmp_path / "m"), CALIBRATION)
    layer = model.model.layers[0]
    found = observe(model, {"down": layer.mlp.down_proj}, rows.ids)["down"]
    total, squares, tokens = torch.zeros(96), torch.zeros(96), 0
    states: list[torch.Tensor] = []
    hook = layer.mlp.register_forward_pre_hook(lambda _, x: states.append(x[0]))
    for ids in rows.ids:
        logits(model, torch.tensor([ids]))
        with torch.inference_mode():
            gate, up = layer.mlp.gate_proj(states[-1]), layer.mlp.up_proj(states[-1])
            inside = torch.nn.functional.silu(gate) * up
        total += inside[0].abs().sum(0)
        squares += inside[0].square().sum(0)
        tokens += len(ids)
    hook.remove()
    torch.testing.assert_close(found.absolute.float(), total / tokens)
    torch.testing.assert_close(found.squared.float(), squares / tokens)


def test_the_most_important_stay_in_their_order() -> None:
    assert width_prune.most(torch.tensor([5.0, 1.0, 4.0, 4.0, 9.0]), 3) == [0, 2, 4]


def test_the_backend_runs_it(tmp_path: Path) -> None:
    path, facts = make(write(family("llama"), tmp_path / "parent"), tmp_path / "out")
    info, backend = backend_logits(path)
    assert info.parameters == facts.parameters_after
    assert len(backend.generate_ids([[5, 6, 7]], 3)[0].token_ids) == 3
    backend.close()


def test_what_cannot_be_narrowed_is_said(tmp_path: Path) -> None:
    neox = write(family("gpt_neox"), tmp_path / "neox")
    with pytest.raises(UnsupportedModelError, match="does not know gpt_neox"):
        make(neox, tmp_path / "1")
    llama = write(family("llama"), tmp_path / "llama")
    with pytest.raises(ArtefactError, match="leave all 96 channels and 2 groups"):
        make(llama, tmp_path / "2", keep_ffn=0.99)
    with pytest.raises(ValidationError, match="keep_ffn and keep_heads are both 1"):
        recipe(keep_ffn=1.0)
