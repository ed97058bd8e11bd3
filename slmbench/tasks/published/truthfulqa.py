"""TruthfulQA's choices, shuffled: as published, the right answer of MC1 always stands first.

Each function takes the published split (a ``datasets.Dataset``) and returns one with the columns
``id`` (from the question), ``question``, ``choices``, ``gold``, ``labels`` (JSON, 1 for each true
choice, in their order) and ``category`` (empty where the copy of the data has none). A question's
choices are ordered by digests of question and choice, so neither the published order, the machine
nor a seed matters, and every copy of the data gives the same items.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from slmbench.tasks.index import find_task

Doc = Mapping[str, Any]
Labelled = Sequence[tuple[str, int]]
"""Choices, and 1 for each that is true."""
_STOCK = "truthfulqa_mc1"
"""The lm-eval task whose prompt is used."""


def mc1(published: Any) -> Any:
    """One true answer among false ones."""
    return _converted(published, lambda doc: _targets(doc["mc1_targets"]))


def mc2(published: Any) -> Any:
    """All true answers among all false ones; ``gold`` is the first true one."""
    return _converted(published, lambda doc: _targets(doc["mc2_targets"]))


def binary(published: Any) -> Any:
    """The best answer and the best incorrect one, as in the 2025 revision of the data."""
    return _converted(
        published, lambda doc: ((doc["best_answer"], 1), (doc["best_incorrect_answer"], 0))
    )


def prompt(doc: Doc) -> str:
    """The question after the six examples of TruthfulQA, as lm-eval's own task renders it."""
    from lm_eval.utils import apply_template

    return str(apply_template(_template(), dict(doc)))


def shuffled(question: str, choices: Labelled) -> tuple[tuple[str, int], ...]:
    """The choices by the digest of question and choice; equal texts keep their order.

    >>> sorted(shuffled("q", [("a", 1), ("b", 0)]))
    [('a', 1), ('b', 0)]
    """
    return tuple(sorted(choices, key=lambda choice: _digest(f"{question}\0{choice[0]}")))


@lru_cache
def _template() -> str:
    # Not public, but the reader that the bridge uses too.
    from lm_eval.tasks._yaml_loader import load_yaml

    return str(load_yaml(find_task(_STOCK).path)["doc_to_text"])


def _targets(targets: Doc) -> Labelled:
    return tuple(zip(targets["choices"], targets["labels"], strict=True))


def _converted(published: Any, choices_of: Callable[[Doc], Labelled]) -> Any:
    import datasets

    return datasets.Dataset.from_list([_document(doc, choices_of(doc)) for doc in published])


def _document(doc: Doc, published: Labelled) -> dict[str, Any]:
    question = str(doc["question"])
    choices = shuffled(question, published)
    labels = [int(label) for _, label in choices]
    return {
        "id": _digest(question)[:16],
        "question": question,
        "choices": [text for text, _ in choices],
        "gold": labels.index(1) if 1 in labels else -1,
        "labels": json.dumps(labels),
        "category": str(doc.get("category") or ""),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
