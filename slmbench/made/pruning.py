"""What taking weights away has to tell."""

from __future__ import annotations

from typing import Literal

from slmbench.made.text import TextFacts
from slmbench.spec import Frozen


class DepthPruneFacts(Frozen):
    """Which layers went, and why."""

    technique: Literal["depth_prune"] = "depth_prune"
    block_influence: tuple[float, ...]
    """Of every decoder layer of the parent, in order (0 = output equals input in direction)."""
    dropped_layers: tuple[int, ...]
    """Indices in the parent, counted from 0."""
    calibration: str
    """Name of the data set whose text was read."""
    calibration_source: str
    """Where it came from."""
    calibration_sha256: str
    """Digest of its files."""
    text_indices: tuple[int, ...]
    """Rows of the calibration set that were read."""
    tokens: int
    """Tokens that the means are taken over."""
    parameters_before: int
    parameters_after: int


class WidthPruneFacts(Frozen):
    """How much narrower each layer became."""

    technique: Literal["width_prune"] = "width_prune"
    ffn_before: int
    ffn_after: int
    """Feed-forward channels of a layer."""
    head_groups_before: int
    head_groups_after: int
    parameters_before: int
    parameters_after: int
    calibration: TextFacts


class SparsifyFacts(Frozen):
    """How many zeros there are."""

    technique: Literal["sparsify"] = "sparsify"
    matrices: int
    sparsity: float
    """Share of zeros in these matrices."""
    sparsity_of_all: float
    """Share of zeros in all weights, embeddings included."""
    calibration: TextFacts | None = None
