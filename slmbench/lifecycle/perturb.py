"""Gaussian noise in every linear layer but the output head; embeddings and norms stay.

    W' = W + s N,   N_ij ~ N(0, 1) independent,   s = r ||W||_F / ||N||_F

so that ||W' - W||_F = r ||W||_F for each matrix, whatever its size. The same share of each matrix
makes models of different depth comparable. N comes from the seed and the matrix's name.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.float_folder import load_float, save_folder
from slmbench.lifecycle.rtn import Matrix, matrices
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import PerturbFacts
from slmbench.spec.recipe import Perturb


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one matrix went: squared Frobenius norms."""

    noise: float
    before: float
    weights: int

    @property
    def relative_norm(self) -> float:
        """||ΔW|| / ||W||; 0 for a matrix of zeros."""
        return math.sqrt(self.noise / self.before) if self.before else 0.0


def make(recipe: Perturb, bench: Workbench) -> Product:
    """Write ``hf/`` in the parent's number type.

    Raises UnsupportedModelError for quantized weights and for a model without linear layers,
    ArtefactError for weights that are not finite, before or after.
    """
    torch.set_num_threads(bench.threads)
    model = load_float(bench.parent, "perturb")
    chosen = tuple(matrices(model, embeddings=False))
    if not chosen:
        raise UnsupportedModelError(
            f"{bench.parent}: perturb found no linear layer in {type(model).__name__}",
            hint="it moves torch.nn.Linear (Llama, NeoX, Mamba …) and GPT-2's Conv1D",
        )
    moved = [disturb(matrix, recipe) for matrix in chosen]
    whole = Moved(
        math.fsum(m.noise for m in moved), math.fsum(m.before for m in moved),
        sum(m.weights for m in moved),
    )  # fmt: skip
    bench.report(f"noise of {whole.relative_norm:.4g} of the norm in {len(moved)} matrices")
    facts = PerturbFacts(
        matrices=len(moved),
        weights=whole.weights,
        relative_norm=whole.relative_norm,
        smallest_relative_norm=min(m.relative_norm for m in moved),
        largest_relative_norm=max(m.relative_norm for m in moved),
    )
    out = save_folder(model, bench.parent, bench.out)
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def disturb(matrix: Matrix, recipe: Perturb) -> Moved:
    """Add the matrix's noise to it, in place; ArtefactError where a weight is not finite."""
    before = matrix.parameter.detach()
    power = _power(before)
    noise = _drawn(recipe.seed, matrix.name, before.shape)
    scale = recipe.relative_norm * math.sqrt(power / _power(noise))
    after = (before.float() + noise.mul_(scale)).to(before.dtype)
    if not bool(after.isfinite().all()):
        raise ArtefactError(
            f"{matrix.name}: weights are NaN or Inf, or {before.dtype} cannot hold them with noise",
            hint="lower relative_norm, or name a parent in float32",
        )
    moved = Moved(_power(after.double() - before.double()), power, before.numel())
    with torch.no_grad():
        matrix.parameter.copy_(after)
    return moved


def _drawn(seed: int, name: str, shape: torch.Size) -> torch.Tensor:
    own = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(own[:7], "big"))
    return torch.randn(shape, generator=generator)


def _power(values: torch.Tensor) -> float:
    """Squared Frobenius norm."""
    return float(values.double().square().sum())
