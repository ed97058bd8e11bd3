"""Recipes that store weights in fewer bits."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

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
    type: Literal[
        "F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_1", "Q4_0", "IQ4_NL",
        "IQ4_XS", "Q3_K_M", "IQ3_XXS", "Q2_K", "IQ2_XXS", "Q2_0",
    ]  # fmt: skip
    """llama.cpp file type; mixed types (``_M``) keep some tensors at more bits.

    Types with K, IQ2, IQ3 and IQ4_XS have blocks of 256 weights: rows that are no multiple of that
    get one with blocks of 32 and more bits. Q2_0 (blocks of 64) is three levels, scaled by the
    largest weight: made for models that were trained so, the end of the ladder for others.
    """
    importance: Calibration | None = None
    """Importance matrix: mean squared activation of every input of a matrix on this text, with
    which rounding errors are weighted; null: none."""

    @model_validator(mode="after")
    def _weighs_where_it_must(self) -> Self:
        if self.type == "IQ2_XXS" and self.importance is None:
            raise ValueError("IQ2_XXS needs an importance matrix: add `importance: {}`")
        return self

    @property
    def only_converts(self) -> bool:
        """To floats."""
        return self.type in ("F32", "F16")

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
    """``int8_dynamic``: int8 weights per channel, int8 activations per token, real kernels.
    ``int8_weight_only``: the same weights, cast for each product. ``int4_weight_only``: 4-bit
    levels in groups, one to a byte, without kernels."""
    group_size: int = Field(default=32, ge=8, le=1024)
    """Weights of a row that share a scale (int4_weight_only)."""

    @property
    def simulated(self) -> bool:
        """4 bits are: torchao has no kernels for processors. Each weight fills a byte, and is made
        a float before every product."""
        return self.scheme == "int4_weight_only"

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"


class RoundToNearest(Technique):
    """Round-to-nearest in groups, stored as floats: the baseline at equal bits.

    Also called fake quantization. Any number of bits, any architecture, no kernels.
    """

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
    def simulated(self) -> bool:
        """No kernel computes with its bits."""
        return True

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

    technique: Literal["auto_round"]
    version: Literal[1] = 1
    bits: int = Field(default=4, ge=2, le=8)
    group_size: int = Field(default=32, ge=8, le=1024)
    symmetric: bool = True
    iterations: int = Field(default=50, ge=1, le=10_000)
    """Steps for each block of layers. The library's own default is 200."""
    batch: int = Field(default=4, ge=1, le=256)
    """Rows of text in a step; a row has ``calibration.max_tokens`` tokens."""
    calibration: Calibration = Calibration()

    @property
    def simulated(self) -> bool:
        """No kernel computes with its bits."""
        return True

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "quantized"

    @property
    def label(self) -> str:
        """Technique and bits."""
        return f"auto_round_w{self.bits}"
