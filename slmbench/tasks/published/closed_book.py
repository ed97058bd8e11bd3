"""NQ-open, TriviaQA and SimpleQA as questions with the list of their accepted answers.

Each function takes the published split (a ``datasets.Dataset``) and returns one with the columns
``id``, ``question``, ``answer`` (the first accepted text) and ``accepted``: what the scorer
``short_answer`` reads, a JSON list of texts any of which is right, or
``{"accepted": [...], "threshold": 0.75}`` where the prompt states t.
An item keeps its id whatever the prompt states, so that prompts can be compared by item.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Accepted = Callable[[Mapping[str, Any]], Iterable[str]]
"""From a published document to its accepted answers."""


def nq_open(published: Any) -> Any:
    """NQ-open: the answers of its annotators (column ``answer``, a list)."""
    return _converted(published, "question", _of_nq)


def nq_open_t50(published: Any) -> Any:
    """As :func:`nq_open` for a prompt that states t = 0.5."""
    return _converted(published, "question", _of_nq, threshold=0.5)


def nq_open_t75(published: Any) -> Any:
    """As :func:`nq_open` for a prompt that states t = 0.75."""
    return _converted(published, "question", _of_nq, threshold=0.75)


def nq_open_t90(published: Any) -> Any:
    """As :func:`nq_open` for a prompt that states t = 0.9."""
    return _converted(published, "question", _of_nq, threshold=0.9)


def triviaqa(published: Any) -> Any:
    """TriviaQA: the answer, its aliases, and the aliases as its authors normalise them.

    The last differ from ours in hyphens and the like (a blank instead of nothing), so that an
    answer that the authors' script accepts is accepted here too.
    """
    return _converted(published, "question", _of_trivia)


def simpleqa(published: Any) -> Any:
    """SimpleQA: its one reference answer (columns ``problem`` and ``answer``)."""
    return _converted(published, "problem", lambda doc: [doc["answer"]])


def _of_nq(doc: Mapping[str, Any]) -> Iterable[str]:
    answers: Iterable[str] = doc["answer"]
    return answers


def _of_trivia(doc: Mapping[str, Any]) -> Iterable[str]:
    answer = doc["answer"]
    return [answer["value"], *answer["aliases"], *answer["normalized_aliases"]]


def _converted(
    published: Any, question: str, accepted: Accepted, threshold: float | None = None
) -> Any:
    from datasets import Dataset

    wanted = [c for c in ("question_id", question, "answer") if c in published.column_names]
    rows: list[dict[str, str]] = []
    for doc in published.select_columns(wanted):
        asked = str(doc[question]).strip()
        identity = doc.get("question_id") or hashlib.sha256(asked.encode()).hexdigest()[:16]
        texts = list(dict.fromkeys(text for text in map(str, accepted(doc)) if text.strip()))
        label = texts if threshold is None else {"accepted": texts, "threshold": threshold}
        rows.append(
            {
                "id": str(identity),
                "question": asked if asked.endswith("?") else f"{asked}?",
                "answer": next(iter(texts), ""),
                "accepted": json.dumps(label, ensure_ascii=False),
            }
        )
    return Dataset.from_list(rows)
