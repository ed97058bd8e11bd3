"""Drop the feed-forward channels and the groups of heads that carry the least activation.

Importance is read off activations on real text, in one pass and without gradients, as in Minitron
(Muralidharan et al., arXiv 2407.14679, section 2.2, with the mean of magnitudes over tokens). Of a
channel it is the mean |input| of the down projection's column, of a group of heads the sum of that
over its columns of the output projection. Every layer ranks its own, one shot, no training
afterwards. Of equals the later goes.
"""

from __future__ import annotations

from typing import Any

import torch

from slmbench.errors import ArtefactError
from slmbench.lifecycle.activations import Inputs, calibration_rows, observe
from slmbench.lifecycle.float_folder import load_float, save_folder
from slmbench.lifecycle.narrow import (
    channels_kept,
    groups_kept,
    narrow_ffn,
    narrow_heads,
    require_family,
)
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import WidthPruneFacts
from slmbench.spec.recipe import WidthPrune


def make(recipe: WidthPrune, bench: Workbench) -> Product:
    """Write ``hf/`` with narrower layers, in the parent's number type.

    Raises UnsupportedModelError for another family than Llama's, ArtefactError where rounding
    leaves nothing to drop.
    """
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "width_prune")
    stored, model = model.dtype, model.float()
    config = model.config
    require_family(config, "width_prune")
    channels, groups = int(config.intermediate_size), int(config.num_key_value_heads)
    keep_channels = channels_kept(channels, recipe.keep_ffn)
    keep_groups = groups_kept(config, recipe.keep_heads)
    if (keep_channels, keep_groups) == (channels, groups):
        raise ArtefactError(
            f"keep_ffn {recipe.keep_ffn} and keep_heads {recipe.keep_heads} leave all {channels} "
            f"channels and {groups} groups of heads",
            hint="lower one of them",
        )
    rows = calibration_rows(bench.parent, recipe.calibration)
    bench.report(f"activations on {rows.facts.texts} texts, {rows.facts.tokens} tokens")
    before = model.num_parameters()
    inputs = observe(model, _projections(model), rows.ids)
    if keep_channels < channels:
        narrow_ffn(model, [_channels(inputs, i, keep_channels) for i in range(_layers(model))])
    if keep_groups < groups:
        kept = [_groups(inputs, i, groups, keep_groups) for i in range(_layers(model))]
        narrow_heads(model, kept)
    bench.report(
        f"kept {keep_channels} of {channels} channels, {keep_groups} of {groups} groups of heads"
    )
    facts = WidthPruneFacts(
        ffn_before=channels,
        ffn_after=keep_channels,
        head_groups_before=groups,
        head_groups_after=keep_groups,
        parameters_before=before,
        parameters_after=model.num_parameters(),
        calibration=rows.facts,
    )
    out = save_folder(model.to(stored), bench.parent, bench.out)
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def most(importance: torch.Tensor, count: int) -> list[int]:
    """The ``count`` indices of most importance, ascending; of equals the earlier first.

    >>> most(torch.tensor([1.0, 3.0, 1.0, 2.0]), 3)
    [0, 1, 3]
    """
    ranked = torch.argsort(importance, descending=True, stable=True)
    return sorted(ranked[:count].tolist())


def _layers(model: Any) -> int:
    return len(model.model.layers)


def _projections(model: Any) -> dict[str, torch.nn.Module]:
    found: dict[str, torch.nn.Module] = {}
    for i, layer in enumerate(model.model.layers):
        found |= {f"{i}.down": layer.mlp.down_proj, f"{i}.o": layer.self_attn.o_proj}
    return found


def _channels(inputs: dict[str, Inputs], layer: int, count: int) -> list[int]:
    return most(inputs[f"{layer}.down"].absolute, count)


def _groups(inputs: dict[str, Inputs], layer: int, groups: int, count: int) -> list[int]:
    """Heads of a group lie side by side in the output projection's input."""
    return most(inputs[f"{layer}.o"].absolute.view(groups, -1).sum(1), count)
