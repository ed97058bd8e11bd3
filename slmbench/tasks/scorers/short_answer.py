"""Closed-book short answers: correct, incorrect or not attempted, and what that is worth.

Grades as in SimpleQA (Wei et al. 2024, arXiv 2411.04368), given by comparing texts instead of by
a language model. The penalised score is 1, -t / (1 - t) and 0 for the three grades (Kalai et al.
2025, arXiv 2509.04664). Its definition has the prompt state t: tasks whose prompt does say so in
their labels and get ``penalised_75`` and so on; the others get ``penalised_75_unstated``.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge
from slmbench.tasks.scorers.grading import Grade, Key, confidence, spoken

THRESHOLDS = (0.5, 0.75, 0.9)
_ALWAYS = ("answer_correct", "answer_incorrect", "not_attempted", "answer_contains")
_ATTEMPTED = ("accuracy_given_attempted", "hallucination_rate", "hallucination_rate_lenient")
_ABOUT = ("answer_confidence", "output_tokens", "truncation_rate")
_NONE = "not_applicable"


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Rows of every grade; those of attempted answers only for these, so that means are rates.

    A failed answer, and one without a letter or digit, has null rows of every metric.
    """
    return applicable(judge(item_set, outputs, _metrics, _values))


def applicable(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Without the rows of metrics that an item's answer does not have."""
    return [row for row in rows if row.failure != _NONE]


def penalised(grade: Grade, threshold: float) -> float:
    """1 for a right answer, -t / (1 - t) for a wrong one, 0 for none.

    >>> penalised("incorrect", 0.75), penalised("not_attempted", 0.75)
    (-3.0, 0.0)
    """
    if grade == "not_attempted":
        return 0.0
    return 1.0 if grade == "correct" else -threshold / (1 - threshold)


def _penalised_metrics(key: Key) -> dict[str, float]:
    """Metric to t: the stated one alone, or all of them marked as unstated."""
    if key.threshold is not None:
        return {f"penalised_{round(100 * key.threshold)}": key.threshold}
    return {f"penalised_{round(100 * t)}_unstated": t for t in THRESHOLDS}


def _metrics(item: Item) -> tuple[str, ...]:
    try:
        penalties = tuple(_penalised_metrics(Key.read(item.target)))
    except UnscorableError:
        penalties = ()
    return (*_ALWAYS, *_ATTEMPTED, *penalties, *_ABOUT)


def _values(answered: Answered) -> Values:
    output, key = answered.generated(), Key.read(answered.item.target)
    text = spoken(output, key)
    grade, contains = key.grade(text), key.occurs_in(text)
    correct, attempted = grade == "correct", grade != "not_attempted"
    return {
        "answer_correct": float(correct),
        "answer_incorrect": float(grade == "incorrect"),
        "not_attempted": float(not attempted),
        "answer_contains": float(contains and attempted),
        "accuracy_given_attempted": float(correct) if attempted else None,
        "hallucination_rate": float(not correct) if attempted else None,
        "hallucination_rate_lenient": float(not contains) if attempted else None,
        "answer_confidence": confidence(output) if attempted else None,
        **{name: penalised(grade, t) for name, t in _penalised_metrics(key).items()},
        **answered.lengths(),
    }
