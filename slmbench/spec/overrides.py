"""``--set path=value``: changes to a spec file, checked by the same model as the file.

A path names keys and list positions, ``tasks.0.num_fewshot=5``; a list entry may be named
instead, ``tasks.hellaswag.num_fewshot=5``; ``*`` stands for all, ``targets.*.threads=1``.
The value is YAML on one line: ``20``, ``all``, ``[32, 128]``, ``{items: 20}``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from slmbench.errors import SpecError, suggest
from slmbench.spec.base import Frozen
from slmbench.spec.schema import SchemaView, child, view_of
from slmbench.spec.yaml_positions import (
    Document,
    Json,
    NodePath,
    Place,
    Problem,
    dotted,
    parse_yaml,
)

_NAMES = ("name", "task", "workload")
"""Keys by which a list entry may be named in a path."""


def apply_overrides(document: Document, overrides: Sequence[str], model: type[Frozen]) -> Document:
    """The document with each override applied in order; bad ones become its problems."""
    if not overrides:
        return document
    change = _Change(document, view_of(model))
    for text in overrides:
        place = Place(f"--set {text}")
        try:
            change.apply(text, place)
        except _BadPathError as error:
            change.problems.append(Problem(place, error.path, error.message))
        except SpecError as error:  # the value is not YAML: already says where
            change.problems.append(Problem(place, "", error.problems[0].removeprefix(f"{place}: ")))
    return Document(change.data, change.keys, change.values, tuple(change.problems))


class _BadPathError(Exception):
    """A path that leads nowhere; becomes a Problem."""

    def __init__(self, path: NodePath, message: str) -> None:
        super().__init__(message)
        self.path, self.message = dotted(path), message


class _Change:
    """A document being changed: a private copy of its data and places."""

    def __init__(self, document: Document, view: SchemaView) -> None:
        self.data = copy.deepcopy(document.data)
        self.keys, self.values = dict(document.keys), dict(document.values)
        self.problems = list(document.problems)
        self._view = view

    def apply(self, text: str, place: Place) -> None:
        """One override; _BadPathError or SpecError when it cannot be carried out."""
        spelled, equals, value = text.partition("=")
        segments = spelled.strip().split(".")
        if not equals or not all(segments):
            raise _BadPathError((), "write path=value, for example sizes.demo.items=20")
        paths: list[NodePath] = [()]
        for segment in segments:
            paths = [(*p, part) for p in paths for part in self._parts(p, segment)]
        parsed = parse_yaml(value, place)
        self.problems += parsed.problems
        for path in paths:
            self._put(path, copy.deepcopy(parsed.data))
            self._note(path, parsed, place)

    def _parts(self, path: NodePath, segment: str) -> list[str | int]:
        """The keys or positions below ``path`` that a segment stands for."""
        here = self.data
        for part in path:
            here = child(here, part)
        if isinstance(here, list):
            return self._positions(path, here, segment)
        known = list(here) if isinstance(here, dict) else []
        if segment == "*" and known:
            return list(known)
        if isinstance(here, dict) or (here is None and self._view.is_mapping(path, self.data)):
            allowed = dict.fromkeys((*known, *self._view.keys(path, self.data)))
            if segment in allowed or (segment != "*" and self._view.is_open(path, self.data)):
                return [segment]
            raise _BadPathError(path, _unknown(segment, tuple(allowed)))
        cause = f"nothing lies below it; allowed: {self._view.allowed(path, self.data)}"
        raise _BadPathError(path, cause)

    @staticmethod
    def _positions(path: NodePath, here: list[Json], segment: str) -> list[str | int]:
        if segment == "*" and here:
            return list(range(len(here)))
        if segment.isdecimal() and int(segment) < len(here):
            return [int(segment)]
        named = {_name(entry): i for i, entry in enumerate(here)}
        if segment in named:
            return [named[segment]]
        names = tuple(n for n in named if n is not None)
        span = f"positions are 0 to {len(here) - 1}" if here else "the list is empty"
        raise _BadPathError(path, f"no entry {segment!r}; {span}{_listed(segment, names)}")

    def _put(self, path: NodePath, value: Json) -> None:
        here = self.data
        for part in path[:-1]:
            below = child(here, part)
            if below is None and isinstance(here, dict):
                below = here[str(part)] = {}
            here = below
        if isinstance(here, dict):
            here[str(path[-1])] = value
        elif isinstance(here, list):  # pragma: no branch - _parts returns steps that exist
            here[int(path[-1])] = value

    def _note(self, path: NodePath, parsed: Document, place: Place) -> None:
        """Places at and below the path are now those of the override."""
        for table in (self.keys, self.values):
            for old in [p for p in table if p[: len(path)] == path]:
                del table[old]
        self.keys[path] = place
        for below in parsed.values:
            self.values[path + below] = place
        for below in parsed.keys:
            self.keys[path + below] = place


def _name(entry: Json) -> str | None:
    if isinstance(entry, dict):
        for key in _NAMES:
            found = entry.get(key)
            if isinstance(found, str):
                return found
    return None


def _unknown(segment: str, known: tuple[str, ...]) -> str:
    return f"there is no {segment!r} here{_listed(segment, known)}"


def _listed(segment: str, known: tuple[str, ...]) -> str:
    if not known:
        return ""
    near = suggest(segment, known)
    return f"; known: {', '.join(known)}" + (f"; did you mean {near}?" if near else "")
