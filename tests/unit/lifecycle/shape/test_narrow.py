"""Narrower Llamas: what is kept computes what it did, and the folder is an ordinary one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from shape_bench import family, load, logits, write

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.narrow import (
    FAMILY,
    channels_kept,
    groups_kept,
    narrow_ffn,
    narrow_heads,
    require_family,
)

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("kind", FAMILY)
def test_dropping_what_is_silent_changes_nothing(kind: str, tmp_path: Path) -> None:
    """Channels and heads whose output weights are zero, other ones in every layer."""
    model = family(kind)
    kept_channels = [sorted({*range(96)} - {*range(i, 96, 3)}) for i in range(2)]
    kept_groups = [[1], [0]]
    with torch.no_grad():
        for i, layer in enumerate(model.model.layers):
            layer.mlp.down_proj.weight[:, sorted({*range(96)} - {*kept_channels[i]})] = 0
            silent = 1 - kept_groups[i][0]
            layer.self_attn.o_proj.weight[:, 32 * silent : 32 * (silent + 1)] = 0
    before = logits(model)
    narrow_ffn(model, kept_channels)
    narrow_heads(model, kept_groups)
    again = load(write(model, tmp_path / "m"))
    torch.testing.assert_close(logits(again), before)
    config = again.config
    assert (config.intermediate_size, config.num_attention_heads) == (64, 2)
    assert (config.num_key_value_heads, config.head_dim) == (1, 16)
    assert again.model.layers[1].mlp.up_proj.weight.shape == (64, 64)
    assert again.model.layers[0].self_attn.k_proj.weight.shape == (16, 64)
    with torch.inference_mode():
        again.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=3, do_sample=False, pad_token_id=0)


def test_rows_and_columns_are_the_chosen_ones() -> None:
    model = family("llama")
    mlp = model.model.layers[1].mlp
    up, down = mlp.up_proj.weight.clone(), mlp.down_proj.weight.clone()
    narrow_ffn(model, [[0, 1], [5, 90]])
    assert torch.equal(mlp.up_proj.weight, up[[5, 90]])
    assert torch.equal(mlp.down_proj.weight, down[:, [5, 90]])
    assert (mlp.up_proj.out_features, mlp.down_proj.in_features) == (2, 2)


def test_biases_go_with_their_rows() -> None:
    model = family("llama", mlp_bias=True, attention_bias=True)
    bias = torch.arange(96.0)
    model.model.layers[0].mlp.gate_proj.bias.data.copy_(bias)
    narrow_ffn(model, [[3, 7], [3, 7]])
    narrow_heads(model, [[1], [1]])
    assert model.model.layers[0].mlp.gate_proj.bias.tolist() == [3, 7]
    assert model.model.layers[0].mlp.down_proj.bias.shape == (64,)
    assert model.model.layers[0].self_attn.v_proj.bias.shape == (16,)
    assert logits(model).isfinite().all()


@pytest.mark.parametrize("kept", [[[0, 1], [0]], [[0, 1]], [[], []]])
def test_every_layer_keeps_as_many(kept: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="as many of every layer"):
        narrow_ffn(family("llama"), kept)


def test_another_family_is_named_and_those_that_work() -> None:
    with pytest.raises(UnsupportedModelError, match="width_prune does not know gpt_neox") as error:
        require_family(SimpleNamespace(model_type="gpt_neox"), "width_prune")
    assert "llama" in str(error.value.hint)


def test_counts_fit_blocks_and_the_hidden_size() -> None:
    assert channels_kept(1536, 0.75) == 1152
    assert channels_kept(96, 0.5) == 64  # 48 lies between: to even
    assert channels_kept(90, 0.5) == 45
    config = SimpleNamespace(num_key_value_heads=3, num_attention_heads=9, hidden_size=576)
    assert (groups_kept(config, 0.66), groups_kept(config, 0.01)) == (2, 1)
    odd = SimpleNamespace(num_key_value_heads=8, num_attention_heads=8, hidden_size=512)
    with pytest.raises(ArtefactError, match="5 of 8 groups leave 5 heads") as error:
        groups_kept(odd, 0.6)
    assert error.value.hint == "keep_heads can be 0.12, 0.25, 0.50, 1.00"
