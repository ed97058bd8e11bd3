"""JSON Schema of suite and models files: for editors, and for what error messages allow.

``python -m slmbench.spec.schema`` writes both to ``suites/schema/``; a YAML file refers to its
schema in a comment: ``# yaml-language-server: $schema=schema/suite.schema.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from slmbench.errors import UsageError
from slmbench.locations import suites_dir
from slmbench.spec.base import Frozen
from slmbench.spec.experiment import Experiment
from slmbench.spec.recipe_file import RecipeFile
from slmbench.spec.suite import Suite
from slmbench.spec.variant import ModelsFile
from slmbench.spec.yaml_positions import Json, NodePath

FILES: Mapping[str, type[Frozen]] = {
    "suite.schema.json": Suite,
    "models.schema.json": ModelsFile,
    "recipe.schema.json": RecipeFile,
    "experiment.schema.json": Experiment,
}

_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$": "a name (letters, digits and . _ + -, at most 80)",
    r"^[0-9a-f]{64}$": "64 lower-case hexadecimal digits",
}

_Schema = Mapping[str, Any]


def schema_text(model: type[Frozen]) -> str:
    """The JSON Schema of a file, as it is written to disk."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | model.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write the schema files that changed; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, model in FILES.items():
        path, text = folder / name, schema_text(model)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return tuple(changed)


def main(arguments: list[str]) -> int:
    """Write ``suites/schema/`` (or the folder given); UsageError on more arguments."""
    if len(arguments) > 1:
        raise UsageError("give one folder, or none for suites/schema")
    folder = Path(arguments[0]) if arguments else suites_dir() / "schema"
    for path in write_schemas(folder):
        sys.stdout.write(f"wrote {path}\n")
    return 0


class SchemaView:
    """Answers what may stand at a path of a file, given what else stands there."""

    def __init__(self, model: type[Frozen]) -> None:
        self._root: _Schema = model.model_json_schema()

    def allowed(self, path: NodePath, data: Json) -> str:
        """What the value at this path may be, in words."""
        schemas = self._at(path, data)
        if len(schemas) > 1 and all("const" in s for s in schemas):
            schemas = [{"enum": [s["const"] for s in schemas]}]
        return " or ".join(dict.fromkeys(_words(s) for s in schemas))

    def choices(self, path: NodePath, data: Json) -> tuple[str, ...]:
        """The texts that a value at this path may be, when they can be counted."""
        found: list[object] = []
        for schema in self._at(path, data):
            found += schema.get("enum", [schema["const"]] if "const" in schema else [])
        return tuple(dict.fromkeys(x for x in found if isinstance(x, str)))

    def keys(self, path: NodePath, data: Json) -> tuple[str, ...]:
        """The keys that a mapping at this path may have; empty when any is allowed."""
        found = dict.fromkeys(k for s in self._at(path, data) for k in _keys(s))
        return tuple(found)

    def is_open(self, path: NodePath, data: Json) -> bool:
        """Whether a mapping may stand at this path whose keys are free."""
        return any(
            isinstance(s.get("additionalProperties"), dict) and "propertyNames" not in s
            for s in self._at(path, data)
        )

    def is_mapping(self, path: NodePath, data: Json) -> bool:
        """Whether a mapping may stand at this path."""
        return any(s.get("type") == "object" for s in self._at(path, data))

    def _at(self, path: NodePath, data: Json) -> list[_Schema]:
        here = self._fitting(self._flat(self._root), data)
        for part in path:
            below = [self._below(schema, part) for schema in here]
            data = child(data, part)
            flat = [s for schema in below if schema is not None for s in self._flat(schema)]
            here = self._fitting(flat, data)
        return here

    def _flat(self, schema: _Schema) -> Iterator[_Schema]:
        """The alternatives of a schema: references followed, unions opened."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._flat(self._root["$defs"][name])
        elif "anyOf" in schema or "oneOf" in schema:
            for alternative in schema.get("anyOf", schema.get("oneOf")):
                yield from self._flat(alternative)
        else:
            yield schema

    @staticmethod
    def _below(schema: _Schema, part: str | int) -> _Schema | None:
        if isinstance(part, int):
            found = schema.get("items")
        else:
            found = schema.get("properties", {}).get(part) or schema.get("additionalProperties")
        return found if isinstance(found, dict) else None

    @staticmethod
    def _fitting(schemas: Iterator[_Schema] | list[_Schema], data: Json) -> list[_Schema]:
        """Of several mappings, those whose constant keys (``technique``) are as in the data."""
        every = list(schemas)
        if not isinstance(data, dict):
            return every
        fitting = [
            s
            for s in every
            if any(
                data.get(k) == p["const"] for k, p in s.get("properties", {}).items()
                if "const" in p and k in s.get("required", ())
            )
        ]  # fmt: skip
        return fitting or every


@cache
def view_of(model: type[Frozen]) -> SchemaView:
    """The one view of a model."""
    return SchemaView(model)


def child(data: Json, part: str | int) -> Json:
    """What lies below one step of a path; None when there is nothing."""
    if isinstance(data, dict) and isinstance(part, str):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data):
        return data[part]
    return None


def _keys(schema: _Schema) -> list[str]:
    names: list[str] = schema.get("propertyNames", {}).get("enum", [])
    return [*schema.get("properties", {}), *names]


def _words(schema: _Schema) -> str:
    """One alternative in words."""
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        shown = ", ".join(json.dumps(v, ensure_ascii=False) for v in values)
        return f"one of {shown}" if len(values) > 1 else shown
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a finite number") + _bounds(schema)
    if kind == "string":
        pattern = schema.get("pattern")
        return _PATTERNS.get(pattern, f"text like {pattern}") if pattern else "text"
    if kind == "array":
        return "a list" + (f" of at least {schema['minItems']}" if "minItems" in schema else "")
    if kind == "object":
        keys = _keys(schema)
        return "a mapping" + (f" with {', '.join(keys)}" if keys else "")
    return {"boolean": "true or false", "null": "null"}[str(kind)]


def _bounds(schema: _Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    above = schema.get("exclusiveMinimum")
    return f" above {above}" if above is not None else ""


if __name__ == "__main__":  # pragma: no cover - the command line of main()
    raise SystemExit(main(sys.argv[1:]))
