"""Recipes that store weights in fewer bits."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from slmbench.spec.base import Frozen
from slmbench.spec.recipes.technique import Format, Stage, Technique


class Calibration(Frozen):
    """Text that activations are observed on."""

    data: str = "boolq"
    """Data set whose passages are read (`slmbench data list`); not one that a suite scores."""
    texts: int = Field(default=64, ge=1, le=4096)
    """How many seeded texts of it."""
    max_tokens: int = Field(default=256, ge=16, le=8192)
    """Each text is cut to this many tokens."""
    seed: int = 1234


class GgufQuantize(Technique):
    """GGUF to GGUF of another type, by llama.cpp in process."""

    takes: ClassVar[tuple[Format, ...]] = ("gguf",)
    gives: ClassVar[Format] = "gguf"
    later: ClassVar[frozenset[str]] = frozenset({"importance"})

    technique: Literal["gguf_quantize"]
    version: Literal[1] = 1
    type: Literal["F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"]
    """llama.cpp file type; mixed types (``_M``) keep some tensors at more bits."""
    importance: Calibration | None = None
    """Importance matrix: mean squared activation of every input of a matrix on this text, with
    which rounding errors are weighted; null: none."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"


class TorchaoQuantize(Technique):
    """Hugging Face folder to one with torchao int8 or int4 weights."""

    later: ClassVar[frozenset[str]] = frozenset({"group_size"})

    technique: Literal["torchao"]
    version: Literal[1] = 1
    scheme: Literal["int8_dynamic", "int8_weight_only", "int4_weight_only"] = "int8_dynamic"
    """``int8_dynamic``: int8 weights per channel, int8 activations per token, real kernels."""
    group_size: int = Field(default=32, ge=8, le=1024)
    """Weights of a row that share a scale (int4_weight_only)."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"


class RoundToNearest(Technique):
    """Round-to-nearest in groups, stored as floats: the baseline at equal bits.

    Also called fake quantization. Any number of bits, any architecture, no kernels.
    """

    simulated: ClassVar[bool] = True

    technique: Literal["rtn"]
    version: Literal[1] = 1
    bits: int = Field(ge=2, le=8)
    group_size: int | None = Field(default=32, ge=8, le=8192)
    """Weights of a row that share a scale; null: one scale for each row."""
    symmetric: bool = True
    """Levels around zero; false: a zero point of its own for each group."""
    embeddings: bool = False
    """Whether embedding and output head are rounded too."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"

    @property
    def label(self) -> str:
        """Technique and bits."""
        return f"rtn_w{self.bits}"


class AutoRound(Technique):
    """Rounding learnt by signed gradient descent (arXiv 2309.05516), by the library auto-round.

    Stored as floats on the grid, like :class:`RoundToNearest`.
    """

    simulated: ClassVar[bool] = True

    technique: Literal["auto_round"]
    version: Literal[1] = 1
    bits: int = Field(default=4, ge=2, le=8)
    group_size: int = Field(default=32, ge=8, le=1024)
    symmetric: bool = True
    iterations: int = Field(default=100, ge=1, le=10_000)
    """Steps for each block of layers."""
    calibration: Calibration = Calibration()

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"

    @property
    def label(self) -> str:
        """Technique and bits."""
        return f"auto_round_w{self.bits}"
