"""Recipes that disturb weights on purpose, to see how much a model bears."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slmbench.spec.recipes.technique import Technique


class Perturb(Technique):
    """Add Gaussian noise to the linear layers of the decoder: ||ΔW|| = relative_norm · ||W||.

    The rise of the loss is the model's sensitivity (arXiv 2503.19206 measures it along training).
    At the size of a compression's own error it is the control for it: what an error would cost that
    knows nothing of the model. Round-to-nearest's record gives that size, the root of its
    ``mean_squared_error``.
    """

    technique: Literal["perturb"]
    version: Literal[1] = 1
    relative_norm: float = Field(default=0.1, gt=0, le=10)
    """Frobenius norm of the noise of every matrix over that of the matrix."""
    seed: int = 1234
    """Of the noise; each matrix draws from it and from its name."""

    @property
    def label(self) -> str:
        """How much."""
        return f"noise_{self.relative_norm:g}"
