"""Channels that go while updates learn: the right ones, in time, and out of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from little_training import bench_at, recipe, tensors_of

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.spec.recipes.training import PeftPrune
from tiny_llama import save_tiny_llama

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


def asked(keep: float = 0.5, until: float = 0.5, **train: Any) -> PeftPrune:
    lora = {"kind": "lora", "rank": 4, "alpha": 8}
    return PeftPrune.model_validate(
        {
            "technique": "peft_prune",
            "keep_ffn": keep,
            "prune_until": until,
            "train": recipe(update=lora, **train).model_dump(),
        }
    )


def test_the_folder_is_narrower_and_gives_the_masked_models_logits(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    from transformers import AutoModelForCausalLM

    from slmbench.lifecycle.training.peft_prune import make

    said: list[str] = []
    made = make(asked(), bench_at(tmp_path, parent, report=said.append))
    facts = made.facts
    assert (facts.ffn_before, facts.ffn_after) == (96, 64)  # 48 is no multiple of 32
    assert facts.parameters_before - facts.parameters_after == 2 * 3 * 32 * 64
    assert facts.reload_max_logit_difference < 1e-4
    model = AutoModelForCausalLM.from_pretrained(made.path)
    assert model.config.intermediate_size == 64
    assert model.num_parameters() == facts.parameters_after
    assert facts.pruned_at[-1] == 3  # of 8 steps, until the half
    assert "64 channels of every layer are left" in said
    curve = facts.training.curve
    assert curve[-1].validation < curve[0].validation


def test_dead_channels_go_first(tmp_path: Path, little_text: list[str]) -> None:
    """Channels that give nothing have no gradient, and none is taken that gives something."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from slmbench.lifecycle.training.peft_prune import make
    from tiny_llama import sizes

    config = LlamaConfig(**sizes() | {"initializer_range": 0.1})
    folder = save_tiny_llama(tmp_path / "parent", config=config)
    model = AutoModelForCausalLM.from_pretrained(folder)
    dead = [5, 7, *range(40, 70)]
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.gate_proj.weight[dead] = 0  # silu(0) = 0
            layer.mlp.up_proj.weight[dead] = 0
            layer.mlp.down_proj.weight[:, dead] = 0
    model.save_pretrained(folder)
    made = make(asked(keep=0.67, learning_rate=1e-9), bench_at(tmp_path / "out", folder))
    narrow = AutoModelForCausalLM.from_pretrained(made.path)
    alive = [n for n in range(96) if n not in dead]
    for layer, before in zip(narrow.model.layers, model.model.layers, strict=True):
        kept = before.mlp.up_proj.weight[alive]
        assert torch.allclose(layer.mlp.up_proj.weight, kept, atol=1e-5)


def test_importance_is_read_off_what_a_step_of_the_update_moves(parent: Path) -> None:
    """g is s (BA - (B - dB)(A - dA)), and importance (g W)² of the merged W."""
    import torch
    from transformers import AutoModelForCausalLM

    from slmbench.lifecycle.training.peft_prune import importance
    from slmbench.lifecycle.training.updates import with_update
    from slmbench.spec.recipes.training import LoraUpdate

    model = AutoModelForCausalLM.from_pretrained(parent).requires_grad_(False)
    trained = with_update(model, LoraUpdate(rank=3, alpha=6, targets=("up_proj",)), 1)
    layer = trained.get_base_model().model.layers[0].mlp.up_proj
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_(std=0.1)
    trained(torch.tensor([[1, 2, 3, 4]])).logits.square().mean().backward()
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    moved = (b @ a - (b - b.grad) @ (a - a.grad)).detach()  # what a step of rate 1 changes
    expected = (2 * moved * (layer.base_layer.weight + 2 * b @ a)).square()
    assert torch.allclose(importance(layer, 2.0), expected, atol=1e-12, rtol=1e-3)
    assert float(expected.detach().sum()) > 0


def test_interrupted_it_prunes_as_if_it_had_not_been(
    tmp_path: Path, parent: Path, little_text: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from slmbench.errors import InterruptedRunError
    from slmbench.lifecycle.training import loop, peft_prune

    whole = peft_prune.make(asked(), bench_at(tmp_path / "whole", parent))
    places = {"checkpoints": tmp_path / "checkpoints"}
    given_up = loop.Hook()

    def stop(self: Any, step: int) -> str:
        if step == 2:
            raise InterruptedRunError("here")
        return ""

    monkeypatch.setattr(loop.Checkpoints, "due", lambda _: True)
    monkeypatch.setattr(type(given_up), "after_step", stop)
    monkeypatch.setattr(peft_prune, "hooks_of", lambda _: (given_up,))
    with pytest.raises(InterruptedRunError):
        peft_prune.make(asked(), bench_at(tmp_path / "a", parent, **places))
    monkeypatch.setattr(type(given_up), "after_step", lambda self, step: "")
    again = peft_prune.make(asked(), bench_at(tmp_path / "b", parent, **places))
    assert again.facts.training.interruptions == 1
    assert again.facts.pruned_at == whole.facts.pruned_at
    assert tensors_of(again.path) == tensors_of(whole.path)


def test_what_cannot_be_pruned_is_named(
    tmp_path: Path, parent: Path, little_text: list[str]
) -> None:
    from transformers import GPTNeoXConfig

    from slmbench.lifecycle.training.peft_prune import make

    with pytest.raises(ArtefactError, match="of which pruning may take 10%: not one"):
        make(asked(until=0.1, tokens=256), bench_at(tmp_path / "a", parent))
    bad = asked()
    update = bad.train.update.model_copy(update={"targets": ("q_proj",)})
    train = bad.train.model_copy(update={"update": update})
    with pytest.raises(ArtefactError, match="name one of gate_proj") as raised:
        make(bad.model_copy(update={"train": train}), bench_at(tmp_path / "b", parent))
    assert "gate_proj" in str(raised.value.hint or "") or raised.value.message
    config = GPTNeoXConfig(
        vocab_size=258, hidden_size=64, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=96,
    )  # fmt: skip
    other = save_tiny_llama(tmp_path / "neox", config=config)
    with pytest.raises(UnsupportedModelError, match="gpt_neox"):
        make(asked(), bench_at(tmp_path / "c", other))
