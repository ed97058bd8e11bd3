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
    weighted_matrices: int = 0
    """Matrices whose rounding an importance matrix weighted; 0: there was none. (Types that scale
    by the largest weight alone, Q8_0 and Q2_0, come out the same with it.)"""
    calibration: TextFacts | None = None
    """Text of the importance matrix."""


class TorchaoFacts(Frozen):
    """Which weights torchao quantized."""

    technique: Literal["torchao"] = "torchao"
    quantized_linears: int
    kept_float: tuple[str, ...]
    """Modules whose weights stay float (embedding, norms; the head, tied or not)."""
    reload_max_logit_difference: float
    """Largest difference between logits before saving and after reloading; must be 0."""
    grid_bits_per_weight: float | None = None
    """What 4-bit weights would take packed, scales and all that stays float (as stored) included;
    None for int8, which is stored as such. What is stored is ``measured``."""


class GridFacts(Frozen):
    """How weights were put on a grid and stored as floats (round-to-nearest, auto-round)."""

    technique: Literal["rtn", "auto_round"]
    matrices: int
    """Linear layers (and embeddings, where asked) on the grid."""
    kept_float: tuple[str, ...]
    """Modules whose weights stay as they were."""
    bits_per_weight: float
    """What the grid would take: levels, scales in float16, zero points, and all that stays float,
    in float16."""
    mean_squared_error: float
    """Of the matrices on the grid, over their mean square."""
    calibration: TextFacts | None = None
