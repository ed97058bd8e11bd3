"""Lazy registries: a name stands for ``module:attribute`` and nothing is imported to list it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from slmbench.errors import MissingEngineError, SlmbenchError, UnknownNameError

T = TypeVar("T")


@lru_cache
def _added(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group; looked up once, since that reads every installed package."""
    return tuple(entry_points(group=group))


class Registry(Generic[T]):
    """Names to objects of one kind; third parties add through entry points of ``group``.

    >>> shapes = Registry[type]("shape", "slmbench.shapes", {"path": "pathlib:PurePath"})
    >>> shapes.load("path").__name__
    'PurePath'
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    def names(self) -> tuple[str, ...]:
        """All known names, sorted; imports none of them."""
        return tuple(sorted(self.targets()))

    def targets(self) -> dict[str, str]:
        """Name to ``module:attribute``, built-ins and entry points; a duplicate is an error."""
        table = dict(self._builtin)
        for entry in _added(self.group):
            if table.get(entry.name, entry.value) != entry.value:
                raise SlmbenchError(
                    f"{self.kind} {entry.name!r} is declared twice: "
                    f"{table[entry.name]} and {entry.value}",
                    hint="uninstall one of the two packages",
                )
            table[entry.name] = entry.value
        return table

    def load(self, name: str) -> T:
        """Import and return the object; UnknownNameError or MissingEngineError."""
        table = self.targets()
        if name not in table:
            raise UnknownNameError(self.kind, name, table)
        module, _, attribute = table[name].partition(":")
        try:
            found: T = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            raise MissingEngineError(
                f"{self.kind} {name!r} needs {error.name or error}, which cannot be imported",
                hint=f"pip install 'slmbench[{name.replace('_', '-')}]', then `slmbench doctor`",
            ) from error
        return found
