"""A recipe file: a parent, a chain of techniques, and what it may cost.

Every step becomes a variant of its own: the last one has the file's name, those before it the
name with their number (``pruned-kd.1``), unless a step names itself. So intermediate products are
kept, measured and reused like any other.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name, PlacedError
from slmbench.spec.recipe import Recipe
from slmbench.spec.recipes.technique import Stage
from slmbench.spec.variant import Variant


class Budget(Frozen):
    """What the whole chain may take on two cores without a GPU; stated, then compared."""

    minutes: float = Field(gt=0)
    memory_mb: int = Field(gt=0)
    """Peak resident memory of any step [10^6 bytes]."""


class Step(Frozen):
    """One technique of the chain."""

    recipe: Recipe
    name: Name | None = None
    """Name of the variant that it makes."""
    stage: Stage | None = None
    """Where it stands, if not where its technique usually does (``recovered``)."""
    note: str = ""
    """What a reader must know."""


class RecipeFile(Frozen):
    """How one variant is derived, from a parent that another file lists."""

    name: Name
    title: str
    """What it is, in a line."""
    parent: Name | None = None
    """Variant of ``models``; null for a chain that begins with nothing."""
    models: str = "demo"
    """Models file with the parent, teachers and other variants; other recipes are found by name."""
    licence: str = "Apache-2.0"
    """SPDX identifier of what is made."""
    budget: Budget
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_chain(self) -> Self:
        if self.parent is None and not self.steps[0].recipe.optional_parent:
            raise ValueError(f"{self.steps[0].recipe.technique} needs a parent: name one")
        problems: list[tuple[tuple[str | int, ...], str]] = []
        made: list[str] = []
        for i, (name, step) in enumerate(zip(self._names(), self.steps, strict=True)):
            if name in made:
                problems.append((("steps", i, "name"), f"{name!r} is made by a step before it"))
            for other in step.recipe.others():
                if other == name or (other in self._names() and other not in made):
                    cause = f"{step.recipe.technique} needs {other!r}, which is not made before it"
                    problems.append((("steps", i, "recipe"), cause))
            if i and (cause := _unfit(step, self.steps[i - 1])):
                problems.append((("steps", i, "recipe"), cause))
            made.append(name)
        if self.parent in made:
            cause = f"{self.parent!r} is made by this recipe itself: a cycle"
            problems.append((("parent",), cause))
        if problems:
            raise PlacedError(problems)
        return self

    def _names(self) -> tuple[str, ...]:
        """Of the variants that the steps make."""
        last = len(self.steps)
        return tuple(
            step.name or (self.name if number == last else f"{self.name}.{number}")
            for number, step in enumerate(self.steps, 1)
        )

    def variants(self) -> tuple[Variant, ...]:
        """Every step as a variant, parents first."""
        made: list[Variant] = []
        parent = self.parent
        for name, step in zip(self._names(), self.steps, strict=True):
            variant = Variant(
                name=name,
                format=step.recipe.gives,
                stage=step.stage or step.recipe.stage,
                technique=step.recipe.label,
                parent=parent,
                licence=self.licence,
                note=step.note,
                recipe=step.recipe,
            )
            made.append(variant)
            parent = name
        return tuple(made)

    def needs(self) -> tuple[Name, ...]:
        """Variants that have to be listed before these: the parent, teachers, other sides."""
        mine = {v.name for v in self.variants()}
        first = () if self.parent is None else (self.parent,)
        others = (other for step in self.steps for other in step.recipe.others())
        return tuple(dict.fromkeys(n for n in (*first, *others) if n not in mine))


def _unfit(step: Step, before: Step) -> str:
    """Why a technique cannot read what the step before it makes; empty: it can."""
    takes, found = step.recipe.takes, before.recipe.gives
    if found in takes:
        return ""
    return (
        f"{step.recipe.technique} takes {' or '.join(takes)}, but the step before it "
        f"({before.recipe.technique}) makes {found}"
    )
