"""What every recipe says of itself besides its settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from slmbench.spec.base import Grown, Name

Stage = Literal[
    "base", "initialized", "pruned", "distilled", "finetuned", "quantized", "recovered", "exported"
]
"""Where in its life a variant stands (arXiv 2506.07695)."""

Format = Literal["gguf", "hf", "onnx", "fake"]
"""``gguf``: one file. ``hf``: a folder with config, safetensors and tokenizer. ``onnx``: a folder
of onnxruntime-genai. ``fake``: none."""


class Technique(Grown):
    """Base of all recipes. ``version`` of each is part of its digest."""

    takes: ClassVar[tuple[Format, ...]] = ("hf",)
    """Formats of the parent; empty: it is made of nothing."""
    gives: ClassVar[Format] = "hf"
    optional_parent: ClassVar[bool] = False
    """Can be made with a parent and without."""

    @property
    def simulated(self) -> bool:
        """Dense arithmetic stands for the compression: no credit in time, memory and energy."""
        return False

    @property
    def only_converts(self) -> bool:
        """Another container for the parent's numbers: what was simulated in it still is."""
        return False

    @property
    def stage(self) -> Stage:
        """Where its product stands, unless the file says otherwise."""
        return "exported"

    @property
    def label(self) -> str:
        """What was done, in a word."""
        return str(getattr(self, "technique", ""))

    @property
    def trains(self) -> bool:
        """Whether weights are learnt: a product of random weights then means something."""
        return False

    def others(self) -> tuple[Name, ...]:
        """Variants besides the parent that it needs (a teacher, the other side of a merge)."""
        return ()
