"""What beginning with a model has to tell."""

from __future__ import annotations

from typing import Literal

from slmbench.made.text import TextFacts
from slmbench.spec import Frozen


class RandomInitFacts(Frozen):
    """What was drawn."""

    technique: Literal["random_init"] = "random_init"
    parameters: int
    """Weights, a tied output head counted once."""
    vocab_size: int
    tokenizer: Literal["bytes", "the parent's"]
    note: str = "random weights: latency, memory and energy only"


class LowRankFacts(Frozen):
    """How much of the factorised matrices is left."""

    technique: Literal["low_rank"] = "low_rank"
    matrices: int
    ranks: tuple[int, ...]
    """Of every matrix, in the order of the layers."""
    parameters_before: int
    parameters_after: int
    squared_error: float
    """||W - BA||² over ||W||², all matrices together; not weighted."""
    calibration: TextFacts | None = None
    note: str = "read by slmbench's transformers backend only"


class MergeFacts(Frozen):
    """What was fused."""

    technique: Literal["merge"] = "merge"
    tensors: int
    nearly_parallel: int
    """Tensors whose angle is so small that slerp is linear."""
    distance: float
    """||parent - other|| / ||parent|| over all weights."""
    tool: str
