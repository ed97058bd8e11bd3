"""What quantizing has to tell."""

from __future__ import annotations

from typing import Literal

from slmbench.made.conversion import TypeCount
from slmbench.made.text import TextFacts
from slmbench.spec import Frozen


class GgufQuantizeFacts(Frozen):
    """How a GGUF became another."""

    technique: Literal["gguf_quantize"] = "gguf_quantize"
    note: str
    """``requantized from Q4_1``, or ``quantized from F16``."""
    from_types: tuple[TypeCount, ...]
    to_types: tuple[TypeCount, ...]
    """Tensor types that llama.cpp chose: rows that are no multiple of 256 fall back to others."""
    bits_per_weight: float
    """Bits of tensor data per weight in the result."""


class TorchaoFacts(Frozen):
    """Which weights torchao quantized."""

    technique: Literal["torchao"] = "torchao"
    quantized_linears: int
    kept_float: tuple[str, ...]
    """Modules whose weights stay float (embedding, norms; the head, tied or not)."""
    reload_max_logit_difference: float
    """Largest difference between logits before saving and after reloading; must be 0."""


class GridFacts(Frozen):
    """How weights were put on a grid and stored as floats (round-to-nearest, auto-round)."""

    technique: Literal["rtn", "auto_round"]
    matrices: int
    """Linear layers (and embeddings, where asked) on the grid."""
    kept_float: tuple[str, ...]
    """Modules whose weights stay as they were."""
    bits_per_weight: float
    """What the grid would take: levels, scales in float16, zero points, all that stays float."""
    mean_squared_error: float
    """Of the matrices on the grid, over their mean square."""
    calibration: TextFacts | None = None
