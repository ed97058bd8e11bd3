"""Two small products in place of a large one: W [out, in] becomes B A with B [out, r], A [r, in].

The truncated singular value decomposition is the nearest product of that rank (Eckart & Young
1936). Weighted, it is that of W S with S the diagonal of (mean |input| of the column)^(1/2), and A
is divided by S again (ASVD, Yuan et al., arXiv 2312.05821, section 3.2): errors then count where
inputs are large. Both factors take the root of the singular values, so that neither is tiny.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from slmbench.backends.transformers_low_rank import BASES, RANKS, classes
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.activations import CalibrationRows, Inputs, calibration_rows, observe
from slmbench.lifecycle.float_folder import decoder_linears, load_float, save_folder
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import LowRankFacts
from slmbench.spec.recipe import LowRank

_EXPONENT = 0.5
_LEAST_INPUT = 1e-6
"""Of the largest: columns that never see an input keep a scale."""


@dataclass(frozen=True, slots=True)
class Factors:
    """W ≈ widen @ narrow."""

    narrow: torch.Tensor
    """[rank, inputs]"""
    widen: torch.Tensor
    """[outputs, rank]"""


def make(recipe: LowRank, bench: Workbench) -> Product:
    """Write ``hf/`` with factors, in the parent's number type; only slmbench's backend reads it.

    Raises UnsupportedModelError for an architecture that the backend has no class for, and
    ArtefactError for targets that the model does not have.
    """
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "low_rank")
    if model.config.model_type not in BASES:
        raise UnsupportedModelError(
            f"low_rank does not know {model.config.model_type}",
            hint=f"it factorises {', '.join(BASES)}",
        )
    layers = targets(model, recipe)
    ranks = ranks_of(layers, recipe.keep)
    stored, model = model.dtype, model.float()
    inputs: Mapping[str, Inputs] = {}
    rows: CalibrationRows | None = None
    if recipe.weighted:
        rows = calibration_rows(bench.parent, recipe.calibration)
        bench.report(f"inputs on {rows.facts.texts} texts, {rows.facts.tokens} tokens")
        inputs = observe(model, layers, rows.ids)
    state, error, size = dict(model.state_dict()), 0.0, 0.0
    for number, (name, layer) in enumerate(layers.items(), 1):
        weight = layer.weight.detach()
        found = factorise(weight, ranks[_last(name)], _scale(inputs.get(name)))
        error += float((weight - found.widen @ found.narrow).double().square().sum())
        size += float(weight.double().square().sum())
        _replace(state, name, found)
        if number % 30 == 0:
            bench.report(f"{number} of {len(layers)} matrices")
    narrowed = _with_factors(model, ranks, state).to(stored)
    facts = LowRankFacts(
        matrices=len(layers),
        ranks=tuple(ranks[_last(name)] for name in layers),
        parameters_before=model.num_parameters(),
        parameters_after=narrowed.num_parameters(),
        squared_error=error / size,
        calibration=None if rows is None else rows.facts,
    )
    out = save_folder(narrowed, bench.parent, bench.out)
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def targets(model: Any, recipe: LowRank) -> dict[str, torch.nn.Linear]:
    """The layers to factorise by name; ArtefactError names a target that no layer has."""
    layers = decoder_linears(model, "low_rank")
    known = sorted({_last(name) for name in layers})
    for target in recipe.targets:
        if target not in known:
            raise ArtefactError(
                f"targets: no linear layer of this {model.config.model_type} is named {target!r}",
                hint=f"its layers: {', '.join(known)}",
            )
    return {name: layer for name, layer in layers.items() if _last(name) in recipe.targets}


def ranks_of(layers: Mapping[str, torch.nn.Linear], keep: float) -> dict[str, int]:
    """By the last part of the name; layers of one name must have one shape."""
    ranks: dict[str, int] = {}
    for name, layer in layers.items():
        rank = rank_for(layer.out_features, layer.in_features, keep)
        if ranks.setdefault(_last(name), rank) != rank:
            raise UnsupportedModelError(
                f"low_rank needs one shape for all layers of a name, {name} has another",
                hint="leave it out of targets",
            )
    return ranks


def rank_for(outputs: int, inputs: int, keep: float) -> int:
    """The largest rank whose factors have at most ``keep`` of the parameters; at least 1.

    A multiple of 8 where that is possible, for the processor's sake.

    >>> rank_for(1536, 576, 0.6), rank_for(10, 10, 0.5)
    (248, 2)
    """
    rank = int(keep * outputs * inputs / (outputs + inputs))
    return max(1, rank // 8 * 8 or rank)


def factorise(weight: torch.Tensor, rank: int, scale: torch.Tensor | None) -> Factors:
    """Best factors of that rank for weight @ diag(scale), the scale taken out again.

    ``weight``: [outputs, inputs] float32; ``scale``: [inputs], positive; None: ones.
    """
    scaled = weight if scale is None else weight * scale
    left, values, right = torch.linalg.svd(scaled, full_matrices=False)
    roots = values[:rank].sqrt()
    narrow = roots[:, None] * right[:rank]
    return Factors(narrow if scale is None else narrow / scale, left[:, :rank] * roots)


def _scale(inputs: Inputs | None) -> torch.Tensor | None:
    if inputs is None:
        return None
    least = _LEAST_INPUT * float(inputs.absolute.max())
    return (inputs.absolute.clamp_min(max(least, _LEAST_INPUT)) ** _EXPONENT).float()


def _replace(state: dict[str, torch.Tensor], name: str, found: Factors) -> None:
    del state[f"{name}.weight"]
    state[f"{name}.narrow.weight"], state[f"{name}.widen.weight"] = found.narrow, found.widen
    if (bias := state.pop(f"{name}.bias", None)) is not None:
        state[f"{name}.widen.bias"] = bias


def _with_factors(model: Any, ranks: dict[str, int], state: dict[str, torch.Tensor]) -> Any:
    config_class, model_class = classes(model.config.model_type)
    settings = model.config.to_dict()
    for name in ("model_type", "architectures", "transformers_version"):
        settings.pop(name, None)
    found = model_class(config_class(**settings, **{RANKS: ranks})).eval()
    found.load_state_dict({name: tensor.contiguous() for name, tensor in state.items()})
    found.generation_config = model.generation_config
    return found


def _last(name: str) -> str:
    return name.rpartition(".")[2]
