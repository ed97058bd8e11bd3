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
from slmbench.spec.explain import explain
from slmbench.spec.overrides import apply_overrides
from slmbench.spec.suite import Suite
from slmbench.spec.variant import ModelsFile
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
    folder = path.resolve().parent
    variants = []
    for variant in models.variants:
        source = variant.source
        if source is not None and source.file is not None:
            absolute = os.path.abspath(folder / Path(source.file).expanduser())  # noqa: PTH100 - keeps links
            source = source.model_copy(update={"file": absolute})
            variants.append(variant.model_copy(update={"source": source}))
        else:
            variants.append(variant)
    return models.model_copy(update={"variants": tuple(variants)})


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
