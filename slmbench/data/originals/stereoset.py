"""StereoSet development set (Nadeem et al. 2021): three continuations of a context each.

Three places have it, in three forms: the authors' ``dev.json``, the hub (two configurations with
a nested list of sentences) and a wheel with one flat line an item. All become the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import json_lines, json_object

_TYPES = ("intrasentence", "intersentence")
_LABELS = ("anti-stereotype", "stereotype", "unrelated")
"""In the order of the hub's numbers."""


@dataclass(frozen=True, slots=True)
class Association:
    """One context with its stereotypical, anti-stereotypical and meaningless continuation."""

    type: str
    """``intrasentence``: the sentences fill the word BLANK of the context; ``intersentence``: they
    follow it."""
    target: str
    """The term that the item is about: scores are averaged by it."""
    bias_type: str
    context: str
    sentence_stereotype: str
    sentence_antistereotype: str
    sentence_unrelated: str


def read(folder: Path) -> Converted:
    """Split ``validation`` from the authors' ``dev.json``."""
    data = json_object(folder / "dev.json").get("data")
    if not isinstance(data, dict) or not set(_TYPES) <= data.keys():
        raise OriginalsError("dev.json: `data` has no intrasentence and intersentence items")
    try:
        rows = [_nested(row, kind) for kind in _TYPES for row in data[kind]]
    except (KeyError, TypeError) as error:
        raise OriginalsError(f"dev.json: {type(error).__name__}: {error}") from error
    return Converted({"validation": rows})


def read_wheel(folder: Path) -> Converted:
    """Split ``validation`` from the wheel's ``test.jsonl``, intrasentence items first."""
    rows = [
        Association(
            *(str(row[name]) for name in ("type", "target", "bias_type", "context")),
            *(str(row[name]) for name in ("stereotype", "anti-stereotype", "unrelated")),
        )
        for row in json_lines(folder / "test.jsonl")
    ]
    return Converted({"validation": sorted(rows, key=lambda row: _TYPES.index(row.type))})


def read_hub(repo: str) -> Converted:
    """Split ``validation`` of both configurations of the hub's repository."""
    import datasets

    rows: list[Association] = []
    for kind in _TYPES:
        loaded: Iterable[Mapping[str, Any]] = datasets.load_dataset(repo, kind, split="validation")
        rows += [_columns(row, kind) for row in loaded]
    return Converted({"validation": rows})


def _nested(row: Mapping[str, Any], kind: str) -> Association:
    by_label = {each["gold_label"]: each["sentence"] for each in row["sentences"]}
    return _association(row, kind, by_label)


def _columns(row: Mapping[str, Any], kind: str) -> Association:
    found = row["sentences"]
    pairs = zip(found["gold_label"], found["sentence"], strict=True)
    return _association(row, kind, {_LABELS[label]: sentence for label, sentence in pairs})


def _association(row: Mapping[str, Any], kind: str, by_label: Mapping[str, str]) -> Association:
    return Association(
        type=kind,
        target=row["target"],
        bias_type=row["bias_type"],
        context=row["context"],
        sentence_stereotype=by_label["stereotype"],
        sentence_antistereotype=by_label["anti-stereotype"],
        sentence_unrelated=by_label["unrelated"],
    )
