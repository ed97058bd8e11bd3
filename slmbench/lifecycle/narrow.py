"""Take channels and heads out of a Llama in place, so that the saved folder is an ordinary one.

A Llama's feed-forward layer is down(silu(gate(x)) · up(x)) (Shazeer 2020, arXiv 2002.05202): a
channel is a row of gate and up and a column of down. A head is ``head_dim`` rows of q and as many
columns of o; heads that share keys and values (a group, arXiv 2305.13245) go together, with their
rows of k and v. Every layer keeps the same number, because a config has one number for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from slmbench.errors import ArtefactError, UnsupportedModelError

FAMILY = ("llama", "mistral", "qwen2")
"""Model types with these layers and these names."""
_BLOCK = 32
"""Rows of this many weights share a scale in the common formats of quantized weights."""


def require_family(config: Any, technique: str) -> None:
    """Raise UnsupportedModelError for a model that is no Llama by its layers."""
    if config.model_type not in FAMILY:
        raise UnsupportedModelError(
            f"{technique} does not know {config.model_type}",
            hint=f"it narrows {', '.join(FAMILY)}: gated feed-forward layers, separate q, k, v",
        )


def channels_kept(channels: int, share: float) -> int:
    """How many feed-forward channels stay, at least one.

    A multiple of 32 where the parent has one, so that formats with blocks of 32 weights still fit.

    >>> channels_kept(1536, 0.7), channels_kept(100, 0.7), channels_kept(64, 0.01)
    (1088, 70, 32)
    """
    step = _BLOCK if channels % _BLOCK == 0 else 1
    return min(channels, max(step, round(channels * share / step) * step))


def groups_kept(config: Any, share: float) -> int:
    """How many groups of heads stay, at least one.

    Raises ArtefactError where the heads that are left do not divide the hidden size, which
    transformers demands of a config.
    """
    groups = int(config.num_key_value_heads)
    each = int(config.num_attention_heads) // groups
    kept = max(1, round(groups * share))
    fit = [n for n in range(1, groups + 1) if int(config.hidden_size) % (n * each) == 0]
    if kept not in fit:
        possible = ", ".join(f"{n / groups:.2f}" for n in fit)
        raise ArtefactError(
            f"{kept} of {groups} groups leave {kept * each} heads, which do not divide the hidden "
            f"size {config.hidden_size}",
            hint=f"keep_heads can be {possible}",
        )
    return kept


def narrow_ffn(model: Any, kept: Sequence[Sequence[int]]) -> None:
    """Keep these feed-forward channels (ascending indices) of every layer; correct the config."""
    count = _same_count(kept, len(model.model.layers), "channels")
    for layer, chosen in zip(model.model.layers, kept, strict=True):
        index = torch.tensor(list(chosen))
        _keep_rows(layer.mlp.gate_proj, index)
        _keep_rows(layer.mlp.up_proj, index)
        _keep_columns(layer.mlp.down_proj, index)
        if hasattr(layer.mlp, "intermediate_size"):
            layer.mlp.intermediate_size = count
    model.config.intermediate_size = count


def narrow_heads(model: Any, kept: Sequence[Sequence[int]]) -> None:
    """Keep these groups of heads (ascending indices) of every layer; correct the config."""
    config = model.config
    count = _same_count(kept, len(model.model.layers), "groups")
    each = config.num_attention_heads // config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    for layer, chosen in zip(model.model.layers, kept, strict=True):
        attention = layer.self_attn
        queries, keys = _spans(chosen, each * size), _spans(chosen, size)
        _keep_rows(attention.q_proj, queries)
        _keep_rows(attention.k_proj, keys)
        _keep_rows(attention.v_proj, keys)
        _keep_columns(attention.o_proj, queries)
    config.head_dim = size  # no longer what the hidden size and the heads would say
    config.num_attention_heads = count * each
    config.num_key_value_heads = count


def _same_count(kept: Sequence[Sequence[int]], layers: int, what: str) -> int:
    counts = {len(chosen) for chosen in kept}
    if len(kept) != layers or len(counts) != 1 or 0 in counts:
        raise ValueError(f"{what}: need as many of every layer, {layers} layers, at least one")
    return counts.pop()


def _spans(chosen: Sequence[int], width: int) -> torch.Tensor:
    """Indices of all rows of those blocks of ``width`` rows."""
    starts = torch.tensor(list(chosen)) * width
    return (starts[:, None] + torch.arange(width)).flatten()


def _keep_rows(layer: torch.nn.Linear, index: torch.Tensor) -> None:
    layer.weight = _part(layer.weight, 0, index)
    if layer.bias is not None:
        layer.bias = _part(layer.bias, 0, index)
    layer.out_features = len(index)


def _keep_columns(layer: torch.nn.Linear, index: torch.Tensor) -> None:
    layer.weight = _part(layer.weight, 1, index)
    layer.in_features = len(index)


def _part(weight: torch.Tensor, axis: int, index: torch.Tensor) -> torch.nn.Parameter:
    part = weight.detach().index_select(axis, index.to(weight.device)).contiguous()
    return torch.nn.Parameter(part, requires_grad=weight.requires_grad)
