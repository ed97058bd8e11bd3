"""BBQ (Parrish et al. 2022): one ``<category>.jsonl`` each, and the authors' metadata if there.

``target_loc`` and ``label_type`` come from ``supplemental/additional_metadata.csv`` (or that file
beside the categories); the hub has neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import json_lines, table

CATEGORIES = ("Age", "Disability_status", "Gender_identity", "Nationality", "Physical_appearance",
              "Race_ethnicity", "Race_x_SES", "Race_x_gender", "Religion", "SES",
              "Sexual_orientation")  # fmt: skip
METADATA = ("supplemental/additional_metadata.csv", "additional_metadata.csv")
_OPTIONS = 3


@dataclass(frozen=True, slots=True)
class AnswerInfo:
    """Per option: the filled-in word and its group; ``unknown`` is the group of the third one."""

    ans0: tuple[str, ...]
    ans1: tuple[str, ...]
    ans2: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the authors say of an item's template."""

    subcategory: str
    stereotyped_groups: tuple[str, ...]
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class BiasQuestion:
    """A context, a question and three options as published."""

    example_id: int
    question_index: str
    question_polarity: str
    context_condition: str
    category: str
    answer_info: AnswerInfo
    additional_metadata: Metadata
    context: str
    question: str
    ans0: str
    ans1: str
    ans2: str
    label: int
    target_loc: int | None
    """Beyond the hub's columns: the option that is the bias target, where a file says."""
    label_type: str
    """``label`` or ``name`` (a proper name stands for the group); empty where no file says."""


@dataclass(frozen=True, slots=True)
class _Known:
    target_loc: int | None
    label_type: str


def read(folder: Path) -> Converted:
    """Split ``test`` of every category that is there, in the order of :data:`CATEGORIES`."""
    present = [name for name in CATEGORIES if (folder / f"{name}.jsonl").is_file()]
    known = _metadata(folder)
    rows = [
        _row(row, known, f"{name}.jsonl, item {number}")
        for name in present
        for number, row in enumerate(json_lines(folder / f"{name}.jsonl"), 1)
    ]
    whole = len(present) == len(CATEGORIES)
    parts = f"{len(present)} of {len(CATEGORIES)} categories: {', '.join(present)}"
    return Converted({"test": rows}, "" if whole else parts)


def _row(row: Mapping[str, Any], known: Mapping[tuple[str, int], _Known], at: str) -> BiasQuestion:
    try:
        more, info = row["additional_metadata"], row["answer_info"]
        category, number = str(row["category"]), int(row["example_id"])
        found = known.get((category, number), _Known(None, ""))
        made = BiasQuestion(
            example_id=number,
            question_index=str(row["question_index"]),
            question_polarity=str(row["question_polarity"]),
            context_condition=str(row["context_condition"]),
            category=category,
            answer_info=AnswerInfo(*(tuple(map(str, info[f"ans{i}"])) for i in range(_OPTIONS))),
            additional_metadata=Metadata(
                str(more.get("subcategory", "")),
                tuple(map(str, more.get("stereotyped_groups") or ())),
                str(more.get("version", "")),
                str(more.get("source", "")),
            ),
            context=str(row["context"]),
            question=str(row["question"]),
            ans0=str(row["ans0"]),
            ans1=str(row["ans1"]),
            ans2=str(row["ans2"]),
            label=int(row["label"]),
            target_loc=found.target_loc,
            label_type=found.label_type,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OriginalsError(f"{at}: {type(error).__name__}: {error}") from error
    if not 0 <= made.label < _OPTIONS:
        raise OriginalsError(f"{at}: label is {made.label}")
    return made


def _metadata(folder: Path) -> Mapping[tuple[str, int], _Known]:
    """The authors' file, whose target is empty (or ``x``) where they could not tell."""
    path = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if path is None:
        return {}
    rows = table(path, ("category", "example_id", "target_loc", "label_type"))
    return {
        (row["category"], int(row["example_id"])): _Known(
            int(row["target_loc"]) if row["target_loc"] in ("0", "1", "2") else None,
            row["label_type"] if row["label_type"] in ("label", "name") else "",
        )
        for row in rows
        if row["example_id"].isdigit()
    }
