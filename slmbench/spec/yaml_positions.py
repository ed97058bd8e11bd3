"""YAML as plain data that remembers where each node stood.

Only what JSON can say is accepted: mappings with text keys, lists, text, numbers, ``true``,
``false`` and ``null`` (YAML 1.2 core: ``no`` and ``2024-01-01`` are text). Tags, merge keys and
duplicate keys are refused; anchors work, within a limit on what they expand to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from slmbench.errors import SpecError

MAX_BYTES = 1_000_000
"""A larger spec file is refused."""
MAX_NODES = 10_000
"""Nodes of one file after its aliases are expanded."""
MAX_DEPTH = 40
"""Levels of nesting."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
NodePath: TypeAlias = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the YAML 1.2 core types only."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _kind, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
    ("merge", r"^<<$", ["<"]),
):
    _CoreLoader.add_implicit_resolver(_TAG + _kind, re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file (1-based line and column), or an override, which has neither."""

    origin: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong at a place."""

    place: Place
    path: str
    """Dotted path of the node; empty for the whole document."""
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.message) if part)


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed YAML text."""

    data: Json
    keys: Mapping[NodePath, Place]
    """Where each key stands."""
    values: Mapping[NodePath, Place]
    """Where each value begins."""
    problems: tuple[Problem, ...] = ()
    """Duplicate keys, tags and the like: found, but parsing went on."""

    def place(self, path: NodePath, *, key: bool = False) -> Place:
        """Where the node stands, or its nearest ancestor that is in the document."""
        if key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def dotted(path: NodePath) -> str:
    """The path as ``--set`` spells it.

    >>> dotted(("tasks", 0, "num_fewshot"))
    'tasks.0.num_fewshot'
    """
    return ".".join(str(part) for part in path)


def read_yaml(path: Path, origin: str) -> Document:
    """Parse a file; SpecError when it cannot be read or is not YAML at all."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise SpecError([f"{origin}: is a folder, not a YAML file"])
        if size > MAX_BYTES:
            raise SpecError([f"{origin}: has {size:,} bytes; at most {MAX_BYTES:,} are read"])
        raw = path.read_bytes()
    except OSError as error:
        raise SpecError([f"{origin}: cannot be read ({error.strerror})"]) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise SpecError([f"{origin}:{line}:{column}: is not UTF-8 text"]) from error
    return parse_yaml(text, Place(origin, 1, 1))


def parse_yaml(text: str, start: Place) -> Document:
    """Parse a text that begins at ``start``; SpecError on a syntax error."""
    builder = _Builder(start)
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
        data = builder.build(node, ()) if node is not None else None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        cause = f"the character U+{error.character:04X} is not allowed in YAML"
        raise SpecError([str(Problem(builder.at(line, column), "", cause))]) from error
    except yaml.MarkedYAMLError as error:
        raise SpecError([_syntax(error, builder)]) from error
    except RecursionError as error:
        cause = f"is nested too deeply; at most {MAX_DEPTH} levels are read"
        raise SpecError([str(Problem(start, "", cause))]) from error
    builder.values.setdefault((), start)
    return Document(data, builder.keys, builder.values, tuple(builder.problems))


def _syntax(error: yaml.MarkedYAMLError, builder: _Builder) -> str:
    mark = error.problem_mark or error.context_mark
    place = builder.at(mark.line + 1, mark.column + 1) if mark else builder.start
    cause = error.problem or "is not YAML"
    if "'\\t'" in cause:
        cause = "a tab cannot indent YAML; use spaces"
    elif "expected a single document" in str(error.context):
        cause = "a second document begins here (---); one file holds one"
    elif error.context:
        cause = f"{cause} {error.context}"
    return str(Problem(place, "", cause))


class _Builder:
    """Turns a node tree into data, noting places and problems on the way."""

    def __init__(self, start: Place) -> None:
        self.start = start
        self.keys: dict[NodePath, Place] = {}
        self.values: dict[NodePath, Place] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def at(self, line: int, column: int) -> Place:
        """A place in this text; an override has no lines."""
        return Place(self.start.origin, line, column) if self.start.line else self.start

    def build(self, node: yaml.Node, path: NodePath) -> Json:
        """Data of one node; SpecError when aliases or nesting go beyond the limits."""
        self._nodes += 1
        place = self._of(node)
        if self._nodes > MAX_NODES:
            cause = f"more than {MAX_NODES:,} values once aliases (*name) are expanded"
            raise SpecError([str(Problem(place, "", cause))])
        if len(path) > MAX_DEPTH:
            cause = f"is nested too deeply; at most {MAX_DEPTH} levels are read"
            raise SpecError([str(Problem(place, "", cause))])
        self.values[path] = place
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: NodePath) -> Json:
        found: dict[str, Json] = {}
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                self._problem(key, path, "merge keys (<<) are not supported; repeat the keys")
            elif key.tag != _TAG + "str":
                shown = f" ({key.value})" if isinstance(key, yaml.ScalarNode) else ""
                self._problem(key, path, f"a key must be text{shown}; quote it")
            elif key.value in found:
                first = self.keys[(*path, key.value)]
                where = f" (first on line {first.line})" if first.line else ""
                self._problem(key, (*path, key.value), f"duplicate key{where}; keep one")
            else:
                self.keys[(*path, key.value)] = self._of(key)
                found[key.value] = self.build(value, (*path, key.value))
        return found

    def _scalar(self, node: yaml.Node, path: NodePath) -> Json:
        kind = node.tag.removeprefix(_TAG) if isinstance(node, yaml.ScalarNode) else node.tag
        text = node.value
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return str(text).lower() == "true"
            if kind == "int":
                return int(text)
            if kind == "float":
                return _float(text)
            if kind == "str":
                str(text).encode()
                return str(text)
        except ValueError:
            self._problem(node, path, f"{text[:40]!r} cannot be used as {kind}")
            return None
        self._problem(node, path, f"the tag {node.tag} is not allowed; specs are plain data")
        return None

    def _of(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return self.at(mark.line + 1, mark.column + 1)

    def _problem(self, node: yaml.Node, path: NodePath, message: str) -> None:
        self.problems.append(Problem(self._of(node), dotted(path), message))


def _float(text: str) -> float:
    special = text.lower().replace(".inf", "inf").replace(".nan", "nan")
    return float(special)
