"""TruthfulQA (Lin et al. 2022): ``mc_task.json``, ``TruthfulQA.csv`` and the 2025 revision.

The questions stand in the order of ``mc_task.json``; the hub has another order and no category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import json_array, table


@dataclass(frozen=True, slots=True)
class Targets:
    """Answers, and 1 for each that is true."""

    choices: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its single-true and multi-true answer sets."""

    question: str
    mc1_targets: Targets
    mc2_targets: Targets
    category: str
    """Beyond the hub's columns; empty where the CSV does not have the very question."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The binary form: one true and one false answer."""

    question: str
    best_answer: str
    best_incorrect_answer: str
    category: str


def read(folder: Path) -> Converted:
    """Split ``validation`` from ``mc_task.json``, categories from ``TruthfulQA.csv`` if there."""
    categories = _categories(folder / "TruthfulQA.csv")
    rows = [
        Question(
            question=str(row.get("question", "")),
            mc1_targets=_targets(row, "mc1_targets", number),
            mc2_targets=_targets(row, "mc2_targets", number),
            category=categories.get(str(row.get("question", "")), ""),
        )
        for number, row in enumerate(json_array(folder / "mc_task.json"), 1)
    ]
    return Converted({"validation": rows})


def read_binary(folder: Path) -> Converted:
    """Split ``validation`` from ``TruthfulQA_2025_best_incorrect.csv``."""
    columns = ("Question", "Best Answer", "Best Incorrect Answer", "Category")
    rows = [
        Pair(*(row[name].strip() for name in columns))
        for row in table(folder / "TruthfulQA_2025_best_incorrect.csv", columns)
    ]
    if empty := next((n for n, r in enumerate(rows, 1) if not _whole(r)), None):
        raise OriginalsError(f"TruthfulQA_2025_best_incorrect.csv, row {empty}: an empty answer")
    return Converted({"validation": rows})


def _whole(row: Pair) -> bool:
    return bool(row.question and row.best_answer and row.best_incorrect_answer)


def _categories(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    return {row["Question"]: row["Category"] for row in table(path, ("Question", "Category"))}


def _targets(row: Mapping[str, Any], name: str, number: int) -> Targets:
    found = row.get(name)
    if not isinstance(found, dict) or set(found.values()) != {0, 1}:
        raise OriginalsError(f"mc_task.json, question {number}: {name} has no true or no false one")
    return Targets(tuple(found), tuple(int(label) for label in found.values()))
