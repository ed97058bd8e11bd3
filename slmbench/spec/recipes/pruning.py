"""Recipes that take weights away."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.recipes.quantization import Calibration
from slmbench.spec.recipes.technique import Stage, Technique


class DepthPrune(Technique):
    """Drop the decoder layers of least block influence (ShortGPT, arXiv 2403.03853).

    Or others, as baselines that it must beat. Block influence of layer i is 1 − mean cosine
    similarity of its input and output hidden states over the tokens of real calibration text.
    """

    later: ClassVar[frozenset[str]] = frozenset({"rank_by"})

    technique: Literal["depth_prune"]
    version: Literal[1] = 1
    drop_layers: int = Field(ge=1, le=64)
    """How many decoder layers to remove."""
    calibration: str = "boolq"
    """Data set whose text is used; not one that the accuracy suite scores."""
    calibration_texts: int = Field(default=16, ge=1, le=4096)
    """How many seeded texts of it."""
    max_tokens: int = Field(default=256, ge=16, le=8192)
    """Each text is cut to this many tokens."""
    seed: int = 1234
    """Chooses the calibration texts; the layers, where they are drawn."""
    rank_by: Literal["influence", "last", "random"] = "influence"
    """Which go: those of least influence, the last ones, or any (baselines)."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "pruned"


class WidthPrune(Technique):
    """Drop feed-forward channels and attention heads of least activation (arXiv 2407.14679).

    Importance of a channel is the mean absolute activation that goes into the down projection, of
    a head that of its part of the input of the output projection, over calibration text. Of
    grouped heads whole groups go, with their keys and values. The result is an ordinary folder.
    """

    technique: Literal["width_prune"]
    version: Literal[1] = 1
    keep_ffn: float = Field(default=0.75, gt=0, le=1)
    """Share of the feed-forward channels of every layer that stays."""
    keep_heads: float = Field(default=1.0, gt=0, le=1)
    """Share of the groups of heads (queries with their keys and values) that stays."""
    calibration: Calibration = Calibration()

    @model_validator(mode="after")
    def _drops_something(self) -> Self:
        if self.keep_ffn == self.keep_heads == 1:
            raise ValueError("keep_ffn and keep_heads are both 1: nothing would be dropped")
        return self

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "pruned"


class Sparsify(Technique):
    """Set weights of the decoder's linear layers to zero; the matrices stay dense.

    ``magnitude``: the smallest |w| of each matrix. ``wanda`` (arXiv 2306.11695): the smallest
    |w| · norm of its input over calibration text, row by row. ``random``: any.
    """

    technique: Literal["sparsify"]
    version: Literal[1] = 1
    method: Literal["magnitude", "wanda", "random"] = "magnitude"
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    """Share of zeros; with a pattern it follows from that."""
    pattern: Literal["2:4", "4:8"] | None = None
    """At most so many weights that are not zero in each so many neighbours of a row."""
    calibration: Calibration = Calibration()
    seed: int = 1234
    """Of ``random``."""

    @model_validator(mode="after")
    def _half(self) -> Self:
        if self.pattern is not None and self.sparsity != 0.5:
            raise ValueError(f"pattern {self.pattern} means sparsity 0.5: leave sparsity out")
        return self

    @property
    def simulated(self) -> bool:
        """The zeros are computed with like any weight."""
        return True

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "pruned"

    @property
    def label(self) -> str:
        """Method, and how much."""
        return f"{self.method}_{self.pattern or f'{self.sparsity:.0%}'}"
