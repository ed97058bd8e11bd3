"""What disturbing weights has to tell."""

from __future__ import annotations

from typing import Literal

from slmbench.spec import Frozen


class PerturbFacts(Frozen):
    """How far the weights went, read off what is stored."""

    technique: Literal["perturb"] = "perturb"
    matrices: int
    """Linear layers that got noise."""
    weights: int
    """In them."""
    relative_norm: float
    """Of all of them together, rounding to the stored type included: root of sum ||ΔW||² over
    sum ||W||²."""
    smallest_relative_norm: float
    largest_relative_norm: float
    """Of single matrices; 0 for a matrix of zeros, which stays as it is."""
