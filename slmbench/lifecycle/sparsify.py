"""Set weights to zero; the matrices stay dense, so nothing becomes faster or smaller.

Every linear layer but the output head, each by itself. The score of a weight is ``magnitude``: |w|,
ranked over the whole matrix (Han et al. 2015, arXiv 1506.02626); ``wanda``: |w| times the 2-norm of
its input over calibration text, ranked within each row (Sun et al., arXiv 2306.11695, eq. 1); or
drawn from a seed (``random``), the baseline that the others must beat. A pattern n:m ranks within
each m neighbours of a row and keeps n of them (arXiv 2104.08378). Of equal scores the earlier goes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.activations import CalibrationRows, Inputs, calibration_rows, observe
from slmbench.lifecycle.float_folder import decoder_linears, load_float, save_folder
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import SparsifyFacts
from slmbench.spec.recipe import Sparsify


@dataclass(frozen=True, slots=True)
class Zeros:
    """How many of how many weights are zero."""

    zeros: int
    weights: int

    @property
    def share(self) -> float:
        """Of the weights."""
        return self.zeros / self.weights


def make(recipe: Sparsify, bench: Workbench) -> Product:
    """Write ``hf/`` with zeros, in the parent's number type.

    Raises UnsupportedModelError for a model without linear layers or with rows that a pattern
    does not divide.
    """
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "sparsify")
    layers = decoder_linears(model, "sparsify")
    _check_rows(layers, recipe)
    inputs: Mapping[str, Inputs] = {}
    rows: CalibrationRows | None = None
    if recipe.method == "wanda":
        rows = calibration_rows(bench.parent, recipe.calibration)
        bench.report(f"inputs on {rows.facts.texts} texts, {rows.facts.tokens} tokens")
        stored = model.dtype
        inputs = observe(model.float(), layers, rows.ids)
        model.to(stored)  # 16-bit numbers come back as they were
    for name, layer in layers.items():
        scores = _scores(recipe, name, layer.weight, inputs.get(name))
        layer.weight.data.masked_fill_(smallest(scores, recipe), 0)
    mine = count_zeros({id(layer.weight): layer.weight for layer in layers.values()})
    everything = count_zeros({id(p): p for p in model.parameters()})
    bench.report(f"{mine.share:.1%} zeros in {len(layers)} matrices")
    facts = SparsifyFacts(
        matrices=len(layers),
        sparsity=mine.share,
        sparsity_of_all=everything.share,
        calibration=None if rows is None else rows.facts,
    )
    out = save_folder(model, bench.parent, bench.out)
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def smallest(scores: torch.Tensor, recipe: Sparsify) -> torch.Tensor:
    """True where a weight goes: the smallest scores [rows, columns] of each group of weights.

    A group is m neighbours (pattern), a row (wanda), or the whole matrix.
    """
    if recipe.pattern is not None:
        kept, of = map(int, recipe.pattern.split(":"))
        return _smallest_of_rows(scores.view(-1, of), of - kept).view_as(scores)
    if recipe.method == "wanda":
        return _smallest_of_rows(scores, round(scores.shape[1] * recipe.sparsity))
    count = round(scores.numel() * recipe.sparsity)
    return _smallest_of_rows(scores.view(1, -1), count).view_as(scores)


def count_zeros(tensors: Mapping[int, torch.Tensor]) -> Zeros:
    """Over all of them; keyed by identity, so that a tied weight counts once."""
    zeros = sum(int((t == 0).sum()) for t in tensors.values())
    return Zeros(zeros, sum(t.numel() for t in tensors.values()))


def _smallest_of_rows(scores: torch.Tensor, count: int) -> torch.Tensor:
    order = torch.argsort(scores, dim=1, stable=True)[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, value=True)


def _scores(
    recipe: Sparsify, name: str, weight: torch.Tensor, inputs: Inputs | None
) -> torch.Tensor:
    if recipe.method == "random":
        own = hashlib.sha256(f"{recipe.seed} {name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(own[:7], "big"))
        return torch.rand(weight.shape, generator=generator)
    magnitude = weight.detach().float().abs()
    if recipe.method == "magnitude":
        return magnitude
    if inputs is None:
        raise ArtefactError(f"no inputs of {name} were observed")
    return magnitude * inputs.squared.sqrt().float()


def _check_rows(layers: Mapping[str, torch.nn.Linear], recipe: Sparsify) -> None:
    if recipe.pattern is None:
        return
    of = int(recipe.pattern.split(":")[1])
    for name, layer in layers.items():
        if layer.in_features % of:
            raise UnsupportedModelError(
                f"pattern {recipe.pattern} needs rows of a multiple of {of} weights, those of "
                f"{name} have {layer.in_features}",
                hint="leave pattern out, or name another parent",
            )
