"""The YAML door: a name or a path in, a frozen model out, every problem at once."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
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
from slmbench.spec.variant import ModelsFile, Variant
from slmbench.spec.yaml_positions import read_yaml

M = TypeVar("M", bound=Frozen)

_SUFFIXES = (".yaml", ".yml")


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


def load_models(where: str | Path, overrides: Sequence[str] = ()) -> ModelsFile:
    """The models file of that name (``demo``) or at that path.

    Relative ``source.file`` entries are made absolute against the file's own folder.
    Raises UnknownNameError for a name that does not ship, else SpecError with every problem.
    """
    path = _find(where, "models file", suites_dir() / "models")
    models = _load(path, ModelsFile, overrides)
    variants = _absolute(models, path.resolve().parent)
    for name in models.recipes:
        _append(variants, load_recipe(_beside(name, path)), ())
    return _checked(models, variants, path)


def load_recipe(where: str | Path, overrides: Sequence[str] = ()) -> RecipeFile:
    """The recipe file of that name (``suites/recipes/``) or at that path.

    Raises UnknownNameError for a name that does not ship, else SpecError with every problem.
    """
    return _load(_find(where, "recipe", suites_dir() / "recipes"), RecipeFile, overrides)


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


def _beside(name: str, path: Path) -> str | Path:
    """A path in a models file is relative to it."""
    is_path = name.endswith(_SUFFIXES) or "/" in name
    return path.parent / Path(name).expanduser() if is_path else name


def _append(variants: list[Variant], recipe: RecipeFile, open_: tuple[str, ...]) -> None:
    """Put the recipe's variants at the end of the list, after those that they need."""
    if recipe.name in open_:
        raise SpecError([f"recipe {recipe.name}: {' needs '.join((*open_, recipe.name))}: a cycle"])
    for name in recipe.needs():
        if not any(v.name == name for v in variants):
            _find_variant(variants, name, recipe, (*open_, recipe.name))
    known = {v.name: v for v in variants}
    for variant in recipe.variants():
        if known.get(variant.name, variant) != variant:
            raise SpecError([f"recipe {recipe.name}: another variant is named {variant.name!r}"])
        if variant.name not in known:
            variants.append(variant)


def _find_variant(
    variants: list[Variant], name: str, recipe: RecipeFile, open_: tuple[str, ...]
) -> None:
    """Append a variant that a recipe needs: from its models file, or made by another recipe."""
    listed = {v.name: v for v in load_models(recipe.models).variants}
    if name in listed:
        chain, wanted = {name}, [name]
        while wanted:
            above = set(_ancestors(listed[wanted.pop()])) - chain
            chain |= above
            wanted += above
        chain -= {known.name for known in variants}
        variants += [v for v in listed.values() if v.name in chain]  # the file lists parents first
        return
    for other in recipe_names():
        found = load_recipe(other)
        if name in {v.name for v in found.variants()}:
            _append(variants, found, open_)
            return
    near = suggest(name, (*listed, *recipe_names()))
    raise SpecError(
        [f"recipe {recipe.name}: no variant {name!r} in models file {recipe.models!r}, and no "
         "recipe makes it"],
        hint=f"did you mean {near}?" if near else None,
    )  # fmt: skip


def _ancestors(variant: Variant) -> tuple[str, ...]:
    others = () if variant.recipe is None else variant.recipe.others()
    return (*(() if variant.parent is None else (variant.parent,)), *others)


def _checked(models: ModelsFile, variants: Sequence[Variant], path: Path) -> ModelsFile:
    """The file with these variants, checked as a whole once more."""
    try:
        return ModelsFile(variants=tuple(variants), targets=models.targets)
    except ValidationError as error:
        raise SpecError([f"{path}: {e['msg']}" for e in error.errors()]) from error


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
    if isinstance(where, Path) or text.endswith(_SUFFIXES) or "/" in text:
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
