"""Hugging Face folder to one with torchao int8 or int4 weights in the decoder's linear layers.

Stored as safetensors with torchao's metadata, so ``AutoModelForCausalLM.from_pretrained``
loads it like any other folder (torchao must be installed). Embedding and output head stay
float: where they are tied, quantizing one would change or duplicate the other.

torchao has no 4-bit kernels for processors that outlive saving and loading. ``int4_weight_only``
(IntxWeightOnlyConfig) puts weights on a grid of 16 levels in groups and keeps each level in a byte;
the product is taken with the weights made floats again. So it is a measure of quality alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torchao.quantization import (
    Int8DynamicActivationInt8WeightConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    PerGroup,
)
from torchao.utils import TorchAOBaseTensor
from transformers import AutoModelForCausalLM, TorchAoConfig

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.float_folder import decoder_linears, require_float, save_folder
from slmbench.lifecycle.hf_folder import folded_modules
from slmbench.lifecycle.tensor_files import sort_metadata
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import TorchaoFacts
from slmbench.spec.recipe import TorchaoQuantize

_PROBE_TOKENS = 24
_FLOAT_BITS = 16


def make(recipe: TorchaoQuantize, bench: Workbench) -> Product:
    """Write ``hf/``; the logits after reloading must equal those before saving."""
    torch.set_num_threads(bench.threads)
    _check_rows(require_float(bench.parent, "torchao"), recipe)
    bench.report(f"quantizing linear layers ({recipe.scheme})")
    model = AutoModelForCausalLM.from_pretrained(
        bench.parent, quantization_config=TorchAoConfig(_config(recipe)), local_files_only=True
    ).eval()
    quantized = {n: p for n, p in model.named_parameters() if isinstance(p, TorchAOBaseTensor)}
    kept = [n for n, p in model.named_parameters() if not isinstance(p, TorchAOBaseTensor)]
    bits = _grid_bits(model, recipe, quantized) if recipe.scheme == "int4_weight_only" else None
    out = save_folder(model, bench.parent, bench.out)
    for file in sorted(out.glob("*.safetensors")):
        sort_metadata(file)
    before = _probe(model)
    del model
    facts = TorchaoFacts(
        quantized_linears=len(quantized),
        kept_float=folded_modules(kept, tied="lm_head.weight" not in kept),
        reload_max_logit_difference=_compare(before, out, recipe.scheme),
        grid_bits_per_weight=bits,
    )
    return Product(out, facts, ("torch", "torchao", "transformers", "safetensors"))


def _config(recipe: TorchaoQuantize) -> Any:
    if recipe.scheme == "int8_dynamic":
        return Int8DynamicActivationInt8WeightConfig()
    if recipe.scheme == "int8_weight_only":
        return Int8WeightOnlyConfig()
    return IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(recipe.group_size))


def _check_rows(config: Any, recipe: TorchaoQuantize) -> None:
    """UnsupportedModelError without linear layers, or where a group does not divide their rows."""
    with torch.device("meta"):
        linears = decoder_linears(AutoModelForCausalLM.from_config(config), "torchao")
    if recipe.scheme != "int4_weight_only":
        return
    for name, layer in linears.items():
        if layer.in_features % recipe.group_size:
            raise UnsupportedModelError(
                f"group_size {recipe.group_size} does not divide the {layer.in_features} columns "
                f"of {name}",
                hint="choose a group_size that divides all rows, such as 32",
            )


def _grid_bits(model: Any, recipe: TorchaoQuantize, quantized: Mapping[str, Any]) -> float:
    """Bits per weight if levels were packed, with scales and the rest in float16."""
    levels = sum(p.numel() for p in quantized.values())
    kept = sum(p.numel() for name, p in model.named_parameters() if name not in quantized)
    packed = levels * (4 + _FLOAT_BITS / recipe.group_size)
    return float((packed + _FLOAT_BITS * kept) / (levels + kept))


def _probe(model: Any) -> torch.Tensor:
    """Logits [1, tokens, vocabulary] of fixed ids."""
    ids = torch.arange(_PROBE_TOKENS).unsqueeze(0) * 97 % model.config.vocab_size
    with torch.inference_mode():
        logits: torch.Tensor = model(ids).logits
    return logits


def _compare(before: torch.Tensor, out: Path, scheme: str) -> float:
    again = AutoModelForCausalLM.from_pretrained(out, local_files_only=True).eval()
    after = _probe(again)
    difference = float((after - before).abs().max())
    if not torch.equal(before, after):
        raise ArtefactError(
            f"the reloaded {scheme} model differs from the saved one (largest logit gap "
            f"{difference})",
            hint="please report it with the versions of torch, torchao and transformers",
        )
    return difference
