"""Hugging Face folder to one with torchao int8 weights in the decoder's linear layers.

Stored as safetensors with torchao's metadata, so ``AutoModelForCausalLM.from_pretrained``
loads it like any other folder (torchao must be installed). Embedding and output head stay
float: where they are tied, quantizing one would change or duplicate the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig
from torchao.utils import TorchAOBaseTensor
from transformers import AutoModelForCausalLM, TorchAoConfig

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import check_folder, copy_companions
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import TorchaoFacts
from slmbench.spec.recipe import TorchaoQuantize

_SCHEMES: dict[str, Any] = {
    "int8_dynamic": Int8DynamicActivationInt8WeightConfig,
    "int8_weight_only": Int8WeightOnlyConfig,
}
_PROBE_TOKENS = 24


def make(recipe: TorchaoQuantize, bench: Workbench) -> Product:
    """Write ``hf/``; the logits after reloading must equal those before saving."""
    torch.set_num_threads(bench.threads)
    check_folder(bench.parent)
    bench.report(f"quantizing linear layers ({recipe.scheme})")
    model = AutoModelForCausalLM.from_pretrained(
        bench.parent,
        quantization_config=TorchAoConfig(_SCHEMES[recipe.scheme]()),
        local_files_only=True,
    ).eval()
    quantized = [name for name, p in model.named_parameters() if isinstance(p, TorchAOBaseTensor)]
    kept = [n for n, p in model.named_parameters() if not isinstance(p, TorchAOBaseTensor)]
    if not quantized:
        raise ArtefactError(f"{bench.parent}: torchao found no linear layer to quantize")
    out = bench.out / "hf"
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    model.save_pretrained(out)
    copy_companions(bench.parent, out)
    before = _probe(model)
    del model
    facts = TorchaoFacts(
        quantized_linears=len(quantized),
        kept_float=_modules(kept, tied="lm_head.weight" not in kept),
        reload_max_logit_difference=_compare(before, out),
    )
    return Product(out, facts, ("torch", "torchao", "transformers", "safetensors"))


def _probe(model: Any) -> torch.Tensor:
    """Logits [1, tokens, vocabulary] of fixed ids."""
    ids = torch.arange(_PROBE_TOKENS).unsqueeze(0) * 97 % model.config.vocab_size
    with torch.inference_mode():
        logits: torch.Tensor = model(ids).logits
    return logits


def _compare(before: torch.Tensor, out: Path) -> float:
    again = AutoModelForCausalLM.from_pretrained(out, local_files_only=True).eval()
    after = _probe(again)
    difference = float((after - before).abs().max())
    if not torch.equal(before, after):
        raise ArtefactError(
            f"the reloaded int8 model differs from the saved one (largest logit gap {difference})",
            hint="please report it with the versions of torch, torchao and transformers",
        )
    return difference


def _modules(names: list[str], *, tied: bool) -> tuple[str, ...]:
    """Kept modules, with layer numbers folded: ``model.layers.*.input_layernorm``."""
    folded = dict.fromkeys(
        ".".join("*" if part.isdigit() else part for part in name.split(".")[:-1]) for name in names
    )
    return (*folded, "lm_head (tied to the embedding)") if tied else tuple(folded)
