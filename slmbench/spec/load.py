"""The YAML door: a name or a path in, a frozen model out, every problem at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from slmbench.errors import SpecError, UnknownNameError, suggest
from slmbench.locations import suites_dir
from slmbench.spec.base import Frozen
from slmbench.spec.experiment import Experiment
from slmbench.spec.explain import explain
from slmbench.spec.overrides import apply_overrides
from slmbench.spec.recipe_file import RecipeFile
from slmbench.spec.suite import Suite
from slmbench.spec.variant import ModelsFile, Variant, Varied
from slmbench.spec.yaml_positions import read_yaml

M = TypeVar("M", bound=Frozen)

_SUFFIXES = (".yaml", ".yml")
_BREAK = "name another parent, or take the teacher away"


def suite_names() -> tuple[str, ...]:
    """Names of the suites that ship with slmbench, sorted; reads no file."""
    return _names(suites_dir())


def models_names() -> tuple[str, ...]:
    """Names of the models files that ship with slmbench, sorted; reads no file."""
    return _names(suites_dir() / "models")


def load_suite(where: str | Path, overrides: Sequence[str] = ()) -> Suite:
    """The suite of that name (``accuracy``) or in that file (``my/suite.yaml``).

    Raises UnknownNameError for a name that does not ship, else SpecError with every problem.
    """
    return _load(_find(where, "suite", suites_dir()), Suite, overrides)


def load_models(
    where: str | Path, overrides: Sequence[str] = (), recipes: Sequence[str] = ()
) -> ModelsFile:
    """The models file of that name (``demo``) or at that path, with what its recipes make.

    ``recipes``: further recipes, by name or path. Relative ``source.file`` entries are made
    absolute against the file's own folder. Raises UnknownNameError for a name that does not ship,
    else SpecError with every problem.
    """
    path = _find(where, "models file", suites_dir() / "models")
    models = _load(path, ModelsFile, overrides)
    listing = _Listing(_absolute(models, path.resolve().parent))
    for wanted in models.recipes:
        listing.add(*_recipe_of(wanted, path))
    for name in recipes:
        listing.add(*_recipe(name))
    return _checked(models, listing.variants, path)


def load_recipe(where: str | Path, overrides: Sequence[str] = ()) -> RecipeFile:
    """The recipe file of that name (``suites/recipes/``) or at that path.

    Raises UnknownNameError for a name that does not ship, else SpecError with every problem.
    """
    return _recipe(where, overrides)[0]


def load_listed_recipes(where: str | Path) -> tuple[RecipeFile, ...]:
    """The recipes that a models file lists, with the changes that it asks for, in its order.

    Raises as :func:`load_models`.
    """
    path = _find(where, "models file", suites_dir() / "models")
    return tuple(_recipe_of(wanted, path)[0] for wanted in _load(path, ModelsFile, ()).recipes)


def load_recipe_variants(where: str | Path, overrides: Sequence[str] = ()) -> ModelsFile:
    """What a recipe makes with all that it is made of, and the targets of its models file.

    Raises as :func:`load_recipe`, and for a parent that nothing lists, or a cycle of recipes.
    """
    recipe, place = _recipe(where, overrides)
    listing = _Listing([])
    listing.add(recipe, place)
    origin = _find(recipe.models, "models file", suites_dir() / "models")
    return _checked(_load(origin, ModelsFile, ()), listing.variants, place)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship with slmbench, sorted; reads no file."""
    return _names(suites_dir() / "recipes")


def load_experiment(where: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of that name (``suites/experiments/``) or at that path.

    Raises UnknownNameError for a name that does not ship, else SpecError with every problem.
    """
    return _load(_find(where, "experiment", suites_dir() / "experiments"), Experiment, overrides)


def experiment_names() -> tuple[str, ...]:
    """Names of the experiments that ship with slmbench, sorted; reads no file."""
    return _names(suites_dir() / "experiments")


def _recipe_of(wanted: str | Varied, path: Path) -> tuple[RecipeFile, Path]:
    """A recipe that the models file at ``path`` lists, with the changes that it asks for."""
    if isinstance(wanted, str):
        return _recipe(_beside(wanted, path))
    try:
        return _recipe(_beside(wanted.recipe, path), (*wanted.set, f"name={wanted.name}"))
    except SpecError as error:
        problems = [f"{path}: recipes: {wanted.name}: {each}" for each in error.problems]
        raise SpecError(problems, hint=error.hint) from error


def _beside(name: str, path: Path) -> str | Path:
    """A path in a models file is relative to it."""
    return path.parent / Path(name).expanduser() if is_path(name) else name


def is_path(name: str) -> bool:
    """Whether a place of a file is a path, and not the name of one that ships.

    >>> is_path("demo"), is_path("my/own.yaml")
    (False, True)
    """
    return name.endswith(_SUFFIXES) or "/" in name


def _recipe(where: str | Path, overrides: Sequence[str] = ()) -> tuple[RecipeFile, Path]:
    """A recipe file and its place; a path in it is relative to it."""
    place = _find(where, "recipe", suites_dir() / "recipes")
    recipe = _load(place, RecipeFile, overrides)
    return recipe.model_copy(update={"models": str(_beside(recipe.models, place))}), place


@dataclass(frozen=True, slots=True)
class _Listing:
    """Variants in an order in which they can be made."""

    variants: list[Variant]

    def add(self, recipe: RecipeFile, place: Path, under: tuple[str, ...] = ()) -> None:
        """List what the recipe makes, after what it needs; ``under``: recipes that need it."""
        if recipe.name in under:
            chain = " needs ".join((*under[under.index(recipe.name) :], recipe.name))
            raise SpecError([f"{place}: a cycle of recipes: {chain}"], hint=_BREAK)
        for name in recipe.needs():
            if all(v.name != name for v in self.variants):
                self._find(name, recipe, place, (*under, recipe.name))
        known = {v.name: v for v in self.variants}
        for variant in recipe.variants():
            if known.get(variant.name, variant) != variant:
                raise SpecError(
                    [f"{place}: another variant is named {variant.name!r}"],
                    hint="give the recipe, or that step of it, another name",
                )
            if variant.name not in known:
                self.variants.append(variant)

    def _find(self, name: str, recipe: RecipeFile, place: Path, under: tuple[str, ...]) -> None:
        """List a variant that a recipe needs: from its models file, or made by another recipe."""
        origin = _find(recipe.models, "models file", suites_dir() / "models")
        models = _load(origin, ModelsFile, ())
        listed = {v.name: v for v in _absolute(models, origin.resolve().parent)}
        if name in listed:
            chain = _with_ancestors(name, listed) - {v.name for v in self.variants}
            self.variants.extend(v for v in listed.values() if v.name in chain)
            return
        made: list[str] = []
        for other, there in _recipes_about(name, models, origin, place):
            makes = [v.name for v in other.variants()]
            if name in makes:
                self.add(other, there, under)
                return
            made += makes
        near = suggest(name, (*listed, *made))
        raise SpecError(
            [f"{place}: it needs a variant {name!r}: models file {recipe.models} lists none of "
             "that name, and no recipe makes it"],
            hint=f"did you mean {near}?" if near else "`slmbench list models` shows what there is",
        )  # fmt: skip


def _recipes_about(
    name: str, models: ModelsFile, origin: Path, place: Path
) -> Iterator[tuple[RecipeFile, Path]]:
    """Recipes that may make it: of the models file, beside the recipe that needs it, shipped."""
    for wanted in models.recipes:
        yield _recipe_of(wanted, origin)
    places = [*place.parent.glob("*.yaml"), *(suites_dir() / "recipes").glob("*.yaml")]
    for other in sorted(set(places), key=lambda p: (p.stem != name, p)):
        found = _recipe_there(other)
        if found is not None:
            yield found, other


def _recipe_there(place: Path) -> RecipeFile | None:
    """The recipe in that file; None where it holds something else."""
    try:
        return _recipe(place)[0]
    except SpecError:
        return None


def _with_ancestors(name: str, listed: Mapping[str, Variant]) -> set[str]:
    """It, and everything that it is made of."""
    chain, wanted = {name}, [name]
    while wanted:
        above = {one for one in _ancestors(listed[wanted.pop()]) if one in listed} - chain
        chain |= above
        wanted += above
    return chain


def _ancestors(variant: Variant) -> tuple[str, ...]:
    others = () if variant.recipe is None else variant.recipe.others()
    return (*(() if variant.parent is None else (variant.parent,)), *others)


def _checked(models: ModelsFile, variants: Sequence[Variant], path: Path) -> ModelsFile:
    """The file with these variants, checked as a whole once more."""
    try:
        return ModelsFile(variants=tuple(variants), targets=models.targets)
    except ValidationError as error:
        causes = (e["msg"].removeprefix("Value error, ") for e in error.errors())
        raise SpecError([f"{path}: {cause}" for cause in causes]) from error


def _absolute(models: ModelsFile, folder: Path) -> list[Variant]:
    """Its variants with absolute ``file:`` sources."""
    variants = []
    for variant in models.variants:
        source = variant.source
        if source is not None and source.file is not None:
            absolute = os.path.abspath(folder / Path(source.file).expanduser())  # noqa: PTH100 - keeps links
            source = source.model_copy(update={"file": absolute})
            variants.append(variant.model_copy(update={"source": source}))
        else:
            variants.append(variant)
    return variants


def _load(path: Path, model: type[M], overrides: Sequence[str]) -> M:
    document = apply_overrides(read_yaml(path, str(path)), overrides, model)
    problems = list(document.problems)
    try:
        # JSON in strict mode: lists may be tuples, but "5" is no number and true is no 1.
        found = model.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        problems += explain(error, document, model)
    if problems:
        raise SpecError([str(p) for p in sorted(problems)])
    return found


def _find(where: str | Path, kind: str, folder: Path) -> Path:
    """A path as given, or the shipped file of that name."""
    text = str(where)
    if isinstance(where, Path) or is_path(text):
        path = Path(where)
        if not path.exists():
            near = suggest(path.name, _entries(path.parent))
            hint = f"did you mean {path.parent / near}?" if near else None
            raise SpecError([f"{path}: there is no such file"], hint=hint)
        return path
    known = _names(folder)
    if text not in known:
        raise UnknownNameError(kind, text, known)
    return folder / f"{text}.yaml"


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in folder.glob("*.yaml")))


def _entries(folder: Path) -> tuple[str, ...]:
    return tuple(p.name for p in folder.iterdir()) if folder.is_dir() else ()
