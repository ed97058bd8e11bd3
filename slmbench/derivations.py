"""Deriving variants outside a campaign: what a recipe would take, and making it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmbench.cores import usable_cpus
from slmbench.data.catalogue import entry
from slmbench.errors import PrerequisiteError, SlmbenchError, UnknownNameError, UsageError
from slmbench.lifecycle import Artefact, Artefacts, find, making_records
from slmbench.lifecycle.costs import CostEstimate, estimate
from slmbench.lifecycle.memory_room import available, refuse_too_large
from slmbench.lifecycle.shapes import Shape, foretold, shape_of
from slmbench.plan import identify
from slmbench.spec import ModelsFile, Recipe, Variant
from slmbench.spec.load import (
    is_path,
    load_listed_recipes,
    load_models,
    load_recipe,
    load_recipe_variants,
    recipe_names,
)
from slmbench.spec.recipe_file import RecipeFile
from slmbench.spec.recipes.quantization import Calibration
from slmbench.spec.recipes.training import FedAvg, PeftPrune, Train

State = Literal["found", "cached", "made", "failed", "to fetch", "to make", "refused"]
"""``found``: a source. ``cached``: made before. ``refused``: too large for the memory there is."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be derived, with all that it is made of."""

    name: str
    models: ModelsFile
    """Nothing but what is needed for it."""
    recipes: tuple[RecipeFile, ...] = ()
    """That it was named by, or that its models file lists: their budgets are held against what
    their own steps take. None for a single variant of a models file."""

    @property
    def steps(self) -> tuple[Variant, ...]:
        """The variants that are needed, parents first."""
        return self.models.variants


@dataclass(frozen=True, slots=True)
class Derived:
    """What became of one variant, or would."""

    variant: Variant
    state: State
    artefact: Artefact | None = None
    error: SlmbenchError | None = None
    expected: CostEstimate | None = None
    """Of what is not there yet; always an estimate."""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """A recipe that took more than it says."""

    recipe: str
    what: Literal["minutes", "memory_mb"]
    stated: float
    taken: float


def goal_of(name: str, models: str | None = None) -> Goal:
    """A recipe by name or path, or a variant of a models file (the demo's, unless one is named).

    Raises UnknownNameError, UsageError for text that there is not, and SpecError for files that
    cannot be read or are no lineage.
    """
    goal = _goal_of(name, models)
    check_texts(goal.steps)
    return goal


def _goal_of(name: str, models: str | None) -> Goal:
    if is_path(name) or name in recipe_names():
        recipe = load_recipe(name)
        listed = load_models(models, (), [name]) if models else load_recipe_variants(name)
        name = recipe.variants()[-1].name
        return Goal(name, needed_for(listed, name), (recipe,))
    listed = load_models(models or "demo")
    known = [v.name for v in listed.variants]
    if name in known:
        return Goal(name, needed_for(listed, name))
    raise UnknownNameError("recipe or variant", name, [*recipe_names(), *known])


def whole(models: str) -> Goal:
    """All variants of a models file (name or path)."""
    goal = Goal(models, load_models(models), load_listed_recipes(models))
    check_texts(goal.steps)
    return goal


def check_texts(variants: Iterable[Variant]) -> None:
    """Raise UsageError for a recipe that reads a data set which there is not."""
    for variant in variants:
        for name in () if variant.recipe is None else _texts(variant.recipe):
            try:
                entry(name)
            except UnknownNameError as error:
                raise UsageError(f"{variant.name}: {error.message}", hint=error.hint) from None


def _texts(recipe: Recipe) -> tuple[str, ...]:
    """Data sets whose text it trains on or calibrates with."""
    train = recipe.train if isinstance(recipe, PeftPrune | FedAvg) else recipe
    if isinstance(train, Train):
        return train.text.passages
    read = (getattr(recipe, name, None) for name in ("calibration", "importance"))
    return tuple(c.data if isinstance(c, Calibration) else str(c) for c in read if c is not None)


def needed_for(models: ModelsFile, name: str) -> ModelsFile:
    """The file with that variant, and what it is made of, alone: other sources may be absent."""
    needed, wanted = {name}, [name]
    while wanted:
        variant = models.variant(wanted.pop())
        above = () if variant.recipe is None else variant.recipe.others()
        above += () if variant.parent is None else (variant.parent,)
        wanted += [one for one in above if one not in needed]
        needed |= set(above)
    kept = tuple(v for v in models.variants if v.name in needed)
    return ModelsFile(variants=kept, targets=models.targets)


def expectations(goal: Goal, *, force: bool = False) -> tuple[Derived, ...]:
    """What deriving would do, step by step, with estimates; fetches and makes nothing."""
    refs = identify(goal.models)
    made, threads, have = making_records(), len(usable_cpus()), available()
    shapes: dict[str, Shape | None] = {}
    rows: list[Derived] = []
    for variant in goal.steps:
        artefact = None
        if variant.format != "fake":
            artefact = find(variant, refs[variant.name], base=Path())
        if artefact is not None or variant.recipe is None:
            shapes[variant.name] = None if artefact is None else shape_of(artefact.path)
            rows.append(Derived(variant, _there(variant, artefact), artefact))
            continue
        parent = None if variant.parent is None else shapes[variant.parent]
        others = [shapes[name] for name in variant.recipe.others()]
        shapes[variant.name] = foretold(variant.recipe, parent)
        cost = estimate(variant.recipe, parent, others, threads=threads, made=made)
        error = None if force else _refusal(variant.name, cost, have)
        state: State = "to make" if error is None else "refused"
        rows.append(Derived(variant, state, error=error, expected=cost))
    return tuple(rows)


def derive(
    goal: Goal, report: Callable[[str], None], *, force: bool = False
) -> tuple[Derived, ...]:
    """Make what is not there yet, parents first; a failure is kept and takes its children.

    ``report`` takes lines for people. ``force``: also what is estimated to need more memory than
    there is. Raises DiskSpaceError only.
    """
    artefacts = Artefacts(goal.models, report, force=force)
    rows = []
    for variant in goal.steps:
        ref = artefacts.refs[variant.name]
        before = None if variant.format == "fake" else find(variant, ref, base=Path())
        found = artefacts.of(variant.name)
        if isinstance(found, SlmbenchError):
            rows.append(Derived(variant, "failed", error=found))
        elif variant.recipe is None:
            rows.append(Derived(variant, "found", found))
        else:
            rows.append(Derived(variant, "made" if before is None else "cached", found))
    return tuple(rows)


def over_budget(goal: Goal, rows: tuple[Derived, ...]) -> tuple[OverBudget, ...]:
    """What of its recipes' budgets was, or is expected to be, exceeded.

    A budget is about what the recipe itself makes, its parents left out.
    """
    return tuple(over for recipe in goal.recipes for over in _over(recipe, rows))


def _over(recipe: RecipeFile, rows: tuple[Derived, ...]) -> Iterator[OverBudget]:
    own = {variant.name for variant in recipe.variants()}
    mine = [row for row in rows if row.variant.name in own]
    minutes = sum(s for row in mine if (s := seconds_of(row)) is not None) / 60
    memory_mb = max((m for row in mine if (m := memory_of(row)) is not None), default=0) / 1e6
    budget = recipe.budget
    if minutes > budget.minutes:
        yield OverBudget(recipe.name, "minutes", budget.minutes, minutes)
    if memory_mb > budget.memory_mb:
        yield OverBudget(recipe.name, "memory_mb", budget.memory_mb, memory_mb)


def seconds_of(row: Derived) -> float | None:
    """What making it took, else what is expected [s]."""
    if row.expected is not None:
        return row.expected.seconds
    made = None if row.artefact is None else row.artefact.made
    return None if made is None else made.duration_s


def memory_of(row: Derived) -> int | None:
    """Peak memory of making it, else what is expected [bytes]."""
    if row.expected is not None:
        return row.expected.memory_bytes
    made = None if row.artefact is None else row.artefact.made
    return None if made is None else made.peak_memory_bytes


def _there(variant: Variant, artefact: Artefact | None) -> State:
    if artefact is None:
        return "found" if variant.format == "fake" else "to fetch"
    return "found" if variant.recipe is None else "cached"


def _refusal(name: str, cost: CostEstimate, have: int | None) -> PrerequisiteError | None:
    try:
        refuse_too_large(name, cost, have)
    except PrerequisiteError as error:
        return error
    return None
