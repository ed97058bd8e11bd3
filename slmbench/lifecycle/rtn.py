"""Round weights to the nearest level of a uniform grid, group by group, and store them as floats.

The baseline that any cleverer quantization has to beat at equal bits. The grid is that of GPTQ's
round-to-nearest (arXiv 2210.17323; uniform affine quantization: arXiv 2106.08295, section 2.2),
with a scale rounded to float16 as formats store it. Of b bits and a group w::

    symmetric   s = 2 max|w| / (2^b − 1)                     levels s · {−2^(b−1) … 2^(b−1) − 1}
    asymmetric  s = (max(w, 0) − min(w, 0)) / (2^b − 1)      levels s · {−z … 2^b − 1 − z}
                z = round(−min(w, 0) / s)

Groups run along a row, that is over the inputs of an output; the last is shorter where a row is no
multiple. Nothing computes with these bits: the folder is as large and as slow as its parent in
float32 (a level times a float16 scale is exact in it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.float_folder import load_float, save_folder
from slmbench.lifecycle.hf_folder import folded_modules
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import GridFacts
from slmbench.spec.recipe import RoundToNearest

SCALE_BITS = 16
KEPT_BITS = 16
"""What is not on the grid is counted as float16, in which formats of few bits keep it at most."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Which levels a group may take."""

    bits: int
    group_size: int | None
    """Weights that share a scale; None: a row."""
    symmetric: bool

    def bits_of(self, rows: int, columns: int) -> int:
        """What a matrix takes with its scales and zero points [bits]."""
        groups = rows * -(-columns // (self.group_size or columns))
        each = SCALE_BITS + (0 if self.symmetric else self.bits)
        return rows * columns * self.bits + groups * each


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight that is put on the grid, outputs first."""

    name: str
    parameter: torch.nn.Parameter
    transposed: bool
    """Stored inputs first (GPT-2's Conv1D)."""

    @property
    def rows_first(self) -> torch.Tensor:
        """The weight [outputs, inputs]."""
        weight = self.parameter.detach()
        return weight.T if self.transposed else weight


def make(recipe: RoundToNearest, bench: Workbench) -> Product:
    """Write ``hf/`` in float32."""
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "rtn").float()
    grid = Grid(recipe.bits, recipe.group_size, recipe.symmetric)
    chosen = tuple(matrices(model, embeddings=recipe.embeddings))
    if not chosen:
        raise UnsupportedModelError(
            f"{bench.parent}: rtn found no linear layer in {type(model).__name__}",
            hint="it rounds torch.nn.Linear (Llama, NeoX, Mamba …) and GPT-2's Conv1D",
        )
    bench.report(f"rounding {len(chosen)} matrices to {recipe.bits} bits")
    error = power = 0.0
    for matrix in chosen:
        rounded = on_grid(matrix.rows_first, grid, where=matrix.name)
        error += float((rounded.double() - matrix.rows_first.double()).square().sum())
        power += float(matrix.rows_first.double().square().sum())
        with torch.no_grad():
            matrix.parameter.copy_(rounded.T if matrix.transposed else rounded)
    out = save_folder(model, bench.parent, bench.out)
    facts = GridFacts(
        technique="rtn",
        matrices=len(chosen),
        kept_float=kept_float(model, chosen),
        bits_per_weight=bits_per_weight(model, chosen, grid),
        mean_squared_error=error / power if power else 0.0,
    )
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def matrices(model: Any, *, embeddings: bool) -> Iterator[Matrix]:
    """Weights of linear layers, each once; embedding and output head only where asked."""
    ends = {id(m.weight) for m in end_modules(model)}
    seen: set[int] = set()
    for name, module in model.named_modules():
        linear = isinstance(module, torch.nn.Linear | Conv1D)
        if not linear and not isinstance(module, torch.nn.Embedding):
            continue
        weight = module.weight
        if id(weight) in seen or (id(weight) in ends and not embeddings):
            continue
        if not linear and id(weight) not in ends:
            continue  # position embeddings
        seen.add(id(weight))
        yield Matrix(name, weight, isinstance(module, Conv1D))


def end_modules(model: Any) -> tuple[Any, ...]:
    """Embedding and output head."""
    found = (model.get_input_embeddings(), model.get_output_embeddings())
    return tuple(module for module in found if module is not None)


def on_grid(weights: torch.Tensor, grid: Grid, *, where: str = "a matrix") -> torch.Tensor:
    """The nearest levels, as float32.

    ``weights``: [rows, columns]. Raises ArtefactError for weights that are not finite or whose
    scale float16 cannot hold.
    """
    if not bool(weights.isfinite().all()):
        raise ArtefactError(f"{where}: weights that are NaN or Inf cannot be rounded")
    size = grid.group_size or weights.shape[1]
    parts = [_rounded(part, grid, where) for part in weights.float().split(size, dim=1)]
    return torch.cat(parts, dim=1)


def _rounded(part: torch.Tensor, grid: Grid, where: str) -> torch.Tensor:
    """``part``: [rows, weights of one group]."""
    top = 2**grid.bits - 1
    if grid.symmetric:
        scale = _storable(2 * part.abs().amax(1, keepdim=True) / top, where)
        zero = torch.full_like(scale, 2 ** (grid.bits - 1))
    else:
        low, high = part.amin(1, keepdim=True).clamp(max=0), part.amax(1, keepdim=True).clamp(min=0)
        scale = _storable((high - low) / top, where)
        zero = torch.where(scale > 0, -low / scale, 0).round().clamp(0, top)
    level = torch.where(scale > 0, part / scale, 0).round() + zero
    return (level.clamp(0, top) - zero) * scale


def _storable(scale: torch.Tensor, where: str) -> torch.Tensor:
    """Rounded to float16."""
    stored = scale.half().float()
    if not bool(stored.isfinite().all()):
        largest = float(scale.max())
        raise ArtefactError(f"{where}: float16 cannot hold a scale of {largest:.3g}")
    return stored


def bits_per_weight(model: Any, chosen: tuple[Matrix, ...], grid: Grid) -> float:
    """What the model would take with these matrices on that grid, over its weights."""
    weights: int = sum(p.numel() for p in model.parameters())
    gridded = [matrix.rows_first.shape for matrix in chosen]
    stored: int = sum(grid.bits_of(rows, columns) for rows, columns in gridded)
    kept: int = weights - sum(rows * columns for rows, columns in gridded)
    return (stored + KEPT_BITS * kept) / weights


def kept_float(model: Any, chosen: tuple[Matrix, ...]) -> tuple[str, ...]:
    """Modules whose weights stay as they were, layer numbers folded."""
    done = {id(matrix.parameter) for matrix in chosen}
    kept = [name for name, p in model.named_parameters() if id(p) not in done]
    embedding, *head = end_modules(model)
    tied = bool(head) and head[0].weight is embedding.weight and id(embedding.weight) not in done
    return folded_modules(kept, tied=tied)
