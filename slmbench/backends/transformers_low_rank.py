"""Models whose linear layers are two small ones, as slmbench's low-rank factorisation leaves them.

Such a folder is an ordinary one but for two things in its config: ``model_type`` is
``slmbench_low_rank_<type of the parent>``, and ``slmbench_low_rank`` gives the rank by the last
part of a layer's name. For each such layer the weights hold ``<name>.narrow.weight`` [rank, inputs]
and ``<name>.widen.weight`` [outputs, rank] (and ``<name>.widen.bias``). Plain transformers refuses
the type by its name instead of making weights up; :func:`know` teaches it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

PREFIX = "slmbench_low_rank_"
RANKS = "slmbench_low_rank"
"""Setting of the config: last part of a layer's name -> rank."""
BASES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "mistral": ("MistralConfig", "MistralForCausalLM"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM"),
}
"""Model type -> its classes in transformers."""


def know(folder: Path) -> None:
    """Teach transformers this folder's type, if it is one of ours; else do nothing.

    A folder without a readable config is left to whoever opens it.
    """
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return
    kind = found.get("model_type") if isinstance(found, dict) else None
    if isinstance(kind, str) and kind.removeprefix(PREFIX) in BASES and kind.startswith(PREFIX):
        classes(kind.removeprefix(PREFIX))


@cache
def classes(base: str) -> tuple[Any, Any]:
    """Config and model class for a base of :data:`BASES`, known to transformers from now on."""
    config_base, model_base = (getattr(transformers, name) for name in BASES[base])
    about = {
        "__module__": __name__,
        "__annotations__": {RANKS: dict | None},
        "model_type": PREFIX + base,
        RANKS: None,
    }
    config_class: Any = type(f"LowRank{config_base.__name__}", (config_base,), about)

    def start(self: Any, config: Any) -> None:
        model_base.__init__(self, config)
        replace_layers(self, getattr(config, RANKS) or {})

    model_class: Any = type(
        f"LowRank{model_base.__name__}",
        (model_base,),
        {"__module__": __name__, "config_class": config_class, "__init__": start},
    )
    AutoConfig.register(PREFIX + base, config_class)
    AutoModelForCausalLM.register(config_class, model_class)
    return config_class, model_class


def replace_layers(model: Any, ranks: Mapping[str, int]) -> None:
    """Put two linear layers in the place of each one whose name ends so; weights are made up."""
    head = model.get_output_embeddings()
    for name, layer in list(model.named_modules()):
        above, _, last = name.rpartition(".")
        if last in ranks and type(layer) is torch.nn.Linear and layer is not head:
            setattr(model.get_submodule(above), last, two_layers(layer, ranks[last]))


def two_layers(layer: torch.nn.Linear, rank: int) -> torch.nn.Sequential:
    """x -> widen(narrow(x)), where the second has the bias."""
    kind = {"dtype": layer.weight.dtype, "device": layer.weight.device}
    narrow = torch.nn.Linear(layer.in_features, rank, bias=False, **kind)
    widen = torch.nn.Linear(rank, layer.out_features, bias=layer.bias is not None, **kind)
    return torch.nn.Sequential(OrderedDict(narrow=narrow, widen=widen))
