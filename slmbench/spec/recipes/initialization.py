"""Recipes that a model begins with: random weights, or those of larger or several models."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Name
from slmbench.spec.recipes.quantization import Calibration
from slmbench.spec.recipes.technique import Format, Stage, Technique

_SETTINGS = {
    "intermediate_size": ("llama", "gpt_neox"),
    "kv_heads": ("llama",),
    "state_size": ("mamba", "mamba2"),
    "chunk": ("mamba2",),
}
"""Setting of a random model -> architectures that have it."""


class RandomInit(Technique):
    """A model of random weights: what its architecture costs, and nothing else.

    Time, memory and energy do not depend on what weights say. No quality suite takes such a
    variant, nor anything made of it without training. With a parent it gets the parent's
    tokenizer, without one a tokenizer of bytes.
    """

    takes: ClassVar[tuple[Format, ...]] = ("hf",)
    optional_parent: ClassVar[bool] = True
    later: ClassVar[frozenset[str]] = frozenset({"chunk"})

    technique: Literal["random_init"]
    version: Literal[1] = 1
    architecture: Literal["llama", "mamba", "mamba2", "gpt_neox"]
    """``llama``: softmax attention (arXiv 2302.13971). ``mamba`` and ``mamba2``: a recurrent state
    instead of keys and values (arXiv 2312.00752, 2405.21060). ``gpt_neox``: attention beside the
    feed-forward layer (arXiv 2204.06745)."""
    hidden_size: int = Field(ge=64, le=16_384, multiple_of=64)
    layers: int = Field(ge=1, le=256)
    vocab_size: int | None = Field(default=None, ge=258, le=1_000_000)
    """Rows of the embedding, which is the output head too; null: the tokenizer's length."""
    intermediate_size: int | None = Field(default=None, ge=64, le=131_072)
    """Width of the feed-forward layers; null: for Llama 8/3 of the hidden size, a multiple of 64,
    for GPT-NeoX 4 times it."""
    kv_heads: int | None = Field(default=None, ge=1, le=256)
    """Llama's heads of keys and values; null: as many as heads, which have size 64."""
    state_size: int | None = Field(default=None, ge=1, le=1024)
    """Of Mamba's channels; null: 16, for Mamba-2 128."""
    chunk: int | None = Field(default=None, ge=8, le=1024)
    """Tokens that Mamba-2 computes at a time, null: 256. It says the same with any number; without
    CUDA kernels, memory and time of transformers' scan grow with it."""
    context: int = Field(default=8192, ge=64, le=1_048_576)
    """Tokens that it says it was trained for (Llama, GPT-NeoX)."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Storage type of the weights."""
    seed: int = 1234

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Settings that the architecture has, and groups of as many heads."""
        for name, known in _SETTINGS.items():
            if getattr(self, name) is not None and self.architecture not in known:
                raise ValueError(f"{name} is a setting of {', '.join(known)}: leave it out")
        heads = self.hidden_size // 64
        if self.kv_heads is not None and heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide the {heads} heads of 64")
        return self

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "initialized"


class LowRank(Technique):
    """Factorise linear layers by a truncated singular value decomposition: W ≈ B A.

    Two small products take the place of a large one, in the folder and when it runs (backend
    transformers). With calibration text the columns of W are first weighted with the root of the
    mean magnitude of their input (ASVD, arXiv 2312.05821).
    """

    technique: Literal["low_rank"]
    version: Literal[1] = 1
    keep: float = Field(default=0.6, gt=0, lt=1)
    """Share of a matrix's parameters that its two factors have together."""
    targets: tuple[str, ...] = Field(default=("gate_proj", "up_proj", "down_proj"), min_length=1)
    """Linear layers, by the last part of their name."""
    weighted: bool = True
    calibration: Calibration = Calibration()

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "initialized"


class Merge(Technique):
    """Fuse the weights of the parent and of another variant of the same shape.

    ``linear`` (model soups, arXiv 2203.05482): (1 - t) parent + t other. ``slerp`` (Shoemake 1985):
    along the arc between the two, tensor by tensor; linear where they are nearly parallel.
    """

    technique: Literal["merge"]
    version: Literal[1] = 1
    other: Name
    method: Literal["linear", "slerp"] = "linear"
    t: float = Field(default=0.5, ge=0, le=1)
    """Share of the other."""
    tool: Literal["slmbench", "mergekit"] = "slmbench"
    """``mergekit``: the program of that name does it, where it is installed."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "initialized"

    @property
    def label(self) -> str:
        """The method."""
        return f"merge_{self.method}"

    def others(self) -> tuple[Name, ...]:
        """The other side."""
        return (self.other,)
