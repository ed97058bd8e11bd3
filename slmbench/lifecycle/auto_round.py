"""Rounding that is learnt, block by block, by the library auto-round (arXiv 2309.05516).

For each decoder block the library learns, by signed gradient descent, whether a weight is rounded
up or down and how far each group's range is clipped, so that the block's output on calibration text
changes least. The result is stored as float32 on the grid, as :mod:`slmbench.lifecycle.rtn` does
it: as many bits, with scales of its own. Embedding and output head stay as they were.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from auto_round import AutoRound as Library
from transformers import AutoTokenizer

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.activations import calibration_rows
from slmbench.lifecycle.float_folder import load_float, save_folder
from slmbench.lifecycle.rtn import Grid, Matrix, bits_per_weight, kept_float, matrices
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import GridFacts
from slmbench.spec.recipe import AutoRound

_OFF_GRID = 0.01
"""Of a step: more than float32 leaves."""


def make(recipe: AutoRound, bench: Workbench) -> Product:
    """Write ``hf/`` in float32."""
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "auto_round").float()
    calibration = calibration_rows(bench.parent, recipe.calibration)
    rows = packed(calibration.ids, recipe.calibration.max_tokens)
    chosen = {m.name: m for m in matrices(model, embeddings=False) if not m.transposed}
    before = {name: m.rows_first.clone() for name, m in chosen.items()}
    bench.report(
        f"learning the rounding of {len(chosen)} matrices on {rows.numel()} tokens, "
        f"{recipe.iterations} steps for each block"
    )
    done = _learn(recipe, model, bench.parent, rows)
    rounded = tuple(_settled(chosen[name], scale) for name, scale in done.items())
    if not rounded:
        raise UnsupportedModelError(
            f"auto-round found nothing to round in {type(model).__name__}",
            hint="it knows the common decoder architectures; rtn rounds any",
        )
    error = sum(_squares(m.rows_first - before[m.name]) for m in rounded)
    power = sum(_squares(before[m.name]) for m in rounded)
    out = save_folder(model, bench.parent, bench.out)
    facts = GridFacts(
        technique="auto_round",
        matrices=len(rounded),
        kept_float=kept_float(model, rounded),
        bits_per_weight=bits_per_weight(
            model, rounded, Grid(recipe.bits, recipe.group_size, recipe.symmetric)
        ),
        mean_squared_error=error / power if power else 0.0,
        calibration=calibration.facts,
    )
    return Product(out, facts, ("torch", "transformers", "safetensors", "auto-round"))


def packed(sequences: Sequence[Sequence[int]], length: int) -> torch.Tensor:
    """Texts one after the other, cut into rows of that length [rows, length].

    Raises ArtefactError for text that fills no row.
    """
    tokens = [token for ids in sequences for token in ids]
    rows = len(tokens) // length
    if not rows:
        raise ArtefactError(
            f"the calibration text has {len(tokens)} tokens, less than one row of {length}",
            hint="raise calibration.texts, or lower calibration.max_tokens",
        )
    return torch.tensor(tokens[: rows * length]).reshape(rows, length)


def _learn(
    recipe: AutoRound, model: Any, parent: Path, rows: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Round the model's weights in place; the scales [rows, groups] of each layer by its name."""
    logging.getLogger("autoround").setLevel(logging.WARNING)
    gc.collect()
    gc.freeze()  # the library collects garbage at every step, which takes longer than the step;
    # this process ends with the artefact, so nothing is lost
    library = Library(
        model,
        AutoTokenizer.from_pretrained(parent, local_files_only=True),
        bits=recipe.bits,
        group_size=recipe.group_size,
        sym=recipe.symmetric,
        iters=recipe.iterations,
        nsamples=len(rows),
        seqlen=rows.shape[1],
        batch_size=min(recipe.batch, len(rows)),
        dataset=[row.unsqueeze(0) for row in rows],
        device_map="cpu",
        seed=recipe.calibration.seed,
        enable_torch_compile=False,
        amp=False,
    )
    library.quantize()
    model.float().eval()
    modules = dict(model.named_modules())
    return {
        name: module.scale.detach().float()
        for name, module in modules.items()
        if isinstance(module, torch.nn.Linear) and torch.is_tensor(getattr(module, "scale", None))
    }


def _settled(matrix: Matrix, scale: torch.Tensor) -> Matrix:
    """The matrix with its weights exactly on the grid; ArtefactError if they were not on it."""
    weights = matrix.rows_first
    size = -(-weights.shape[1] // scale.shape[1])
    each = scale.repeat_interleave(size, dim=1)[:, : weights.shape[1]]
    steps = torch.where(each != 0, weights / each, 0)
    off = float((steps - steps.round()).abs().max())
    if off > _OFF_GRID:
        raise ArtefactError(
            f"{matrix.name}: auto-round left weights {off:.2f} steps beside its grid",
            hint="another version of auto-round? The one of constraints.txt is known to work",
        )
    with torch.no_grad():
        matrix.parameter.copy_(steps.round() * each)
    return matrix


def _squares(values: torch.Tensor) -> float:
    return float(values.double().square().sum())
