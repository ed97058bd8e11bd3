"""From pydantic's errors to one line each: the place, what was found, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from slmbench.errors import suggest
from slmbench.spec.base import Frozen, PlacedError
from slmbench.spec.schema import child, view_of
from slmbench.spec.yaml_positions import Document, Json, NodePath, Problem, dotted


def explain(error: ValidationError, document: Document, model: type[Frozen]) -> tuple[Problem, ...]:
    """Every problem of a file that the model refused, in the order of the file.

    A union reports each alternative that did not fit; they become one line.
    """
    reader = _Reader(document, model)
    found: dict[tuple[NodePath, str], Problem] = {}
    for detail in error.errors(include_url=False, include_input=False):
        for path, kind, problem in reader.read(detail):
            found.setdefault((path, kind), problem)
    return tuple(found.values())


class _Reader:
    def __init__(self, document: Document, model: type[Frozen]) -> None:
        self._document, self._view = document, view_of(model)

    def read(self, detail: Any) -> Iterator[tuple[NodePath, str, Problem]]:
        """Problems of one pydantic error, each with the key that merges duplicates."""
        kind, loc = detail["type"], detail["loc"]
        if kind == "value_error":
            yield from self._own(detail, self._real(loc))
        elif kind == "missing":
            path = self._real(loc[:-1])
            yield path, f"missing {loc[-1]}", self._missing(path, str(loc[-1]))
        elif kind == "extra_forbidden":
            path = (*self._real(loc[:-1]), loc[-1])
            yield path, "key", self._unknown_key(path)
        elif loc and loc[-1] == "[key]":
            path = self._real(loc[:-1])
            yield path, "key", self._unknown_key(path)
        elif kind == "union_tag_not_found":
            path, key = self._real(loc), detail["ctx"]["discriminator"].strip("'")
            yield path, f"missing {key}", self._missing(path, key)
        elif kind == "union_tag_invalid":
            path = (*self._real(loc), detail["ctx"]["discriminator"].strip("'"))
            yield path, "value", self._value(path)
        elif not (kind == "too_short" and self._data(self._real(loc))):
            # a list whose entries were refused also counts as short; only an empty one is
            path = self._real(loc)
            yield path, "value", self._value(path)

    def _real(self, loc: tuple[str | int, ...]) -> NodePath:
        """Pydantic's location without the names of union members, which no file spells."""
        path: NodePath = ()
        here = self._document.data
        for part in loc:
            known = isinstance(here, dict) and part in here
            if known or (isinstance(here, list) and isinstance(part, int)):
                path, here = (*path, part), child(here, part)
        return path

    def _data(self, path: NodePath) -> Json:
        here = self._document.data
        for part in path:
            here = child(here, part)
        return here

    def _own(self, detail: Any, path: NodePath) -> Iterator[tuple[NodePath, str, Problem]]:
        """What a validator of ours said; it may name places below its own."""
        cause = detail["ctx"]["error"]
        placed = cause.problems if isinstance(cause, PlacedError) else (((), str(cause)),)
        for below, message in placed:
            full = path + below
            place = self._document.place(full)
            yield full, message, Problem(place, dotted(full), message)

    def _missing(self, path: NodePath, key: str) -> Problem:
        allowed = self._view.allowed((*path, key), self._document.data)
        message = f"{key!r} is missing; allowed: {allowed}"
        return Problem(self._document.place(path), dotted(path), message)

    def _unknown_key(self, path: NodePath) -> Problem:
        known = self._view.keys(path[:-1], self._document.data)
        name = str(path[-1])
        near = suggest(name, known)
        message = f"unknown key {name!r}; allowed: {', '.join(known)}"
        message += f"; did you mean {near}?" if near else ""
        return Problem(self._document.place(path, key=True), dotted(path), message)

    def _value(self, path: NodePath) -> Problem:
        data = self._document.data
        value = self._data(path)
        near = None
        if isinstance(value, str):
            near = suggest(value, self._view.choices(path, data))
        message = f"found {describe(value)}; allowed: {self._view.allowed(path, data)}"
        message += f"; did you mean {near}?" if near else ""
        return Problem(self._document.place(path), dotted(path), message)


def describe(value: Json) -> str:
    """What was found, in a few words.

    >>> describe("many"), describe([1, 2]), describe({"a": 1})
    ('text "many"', 'a list of 2', 'a mapping with a')
    """
    if isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
        return f"text {shown if len(shown) <= 60 else shown[:57] + '…'}"
    if isinstance(value, dict):
        return f"a mapping with {', '.join(list(value)[:8])}" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value) if isinstance(value, float) or abs(value) < 10**20 else "a huge number"
