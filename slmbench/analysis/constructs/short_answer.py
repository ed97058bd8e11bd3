"""Beside the means of the scorer ``short_answer``: coverage, F, what the confidence is worth.

Everything is computed over the items whose answers could be judged; the counts of the others
stand with the means of the scorers' own rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from slmbench.analysis import reliability as rel
from slmbench.analysis.constructs.answer_ranking import (
    NO_VALUE,
    NOTHING_ATTEMPTED,
    NOTHING_JUDGED,
    Measure,
    auroc_rows,
    coverage_row,
    graded,
    rankable,
    ranked,
    values_of,
)
from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of, of_group
from slmbench.analysis.rows import Judged, MetricRow

CONFIDENCE = Measure("answer_confidence", name="answer")
_OF_ATTEMPTED = ("accuracy_given_attempted", "hallucination_rate", "hallucination_rate_lenient")


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """Coverage, F and the worth of the answer's confidence, by group."""
    for group in groups_of(run.judged):
        judged = {name: of_group(column, group) for name, column in run.judged.items()}
        yield from _grades(run, judged, group)
        yield from auroc_rows(run, judged, CONFIDENCE, group)
        found = rankable(judged, CONFIDENCE)
        if isinstance(found, str):
            yield run.row("answer_aurc", NO_VALUE, group, found)
        else:
            yield run.row("answer_aurc", bootstrapped(found.aurc, found.clusters), group)


def risk_curve(run: JudgedRun, most: int = 100) -> tuple[tuple[float, float], ...]:
    """(coverage, risk) of answering only when sure enough, at most ``most`` points.

    Coverage is the share of all judged questions that are answered, the most confident first;
    it ends at the model's own coverage, since abstentions are never answered. Risk is the share
    of wrong answers among them; equal confidence shares its errors. Empty where confidences were
    not kept or nothing was attempted.
    """
    found, asked = ranked(run.judged, CONFIDENCE), len(graded(run.judged))
    n = len(found.credit)
    if not n:
        return ()
    accuracy = rel.cumulative_accuracy(found.sorted())
    step = max(1, -(-n // most))
    ends = sorted({*range(step, n + 1, step), n})
    return tuple((k / asked, 1 - float(accuracy[k - 1])) for k in ends)


def f_score(correct: float, attempted: float, asked: float) -> float | None:
    """Harmonic mean of correct / attempted and correct / asked; None where nothing is attempted.

    >>> f_score(1, 2, 4), f_score(0, 2, 4), f_score(0, 0, 4)
    (0.3333333333333333, 0.0, None)
    """
    return 2 * correct / (attempted + asked) if attempted else None


def _grades(run: JudgedRun, judged: Mapping[str, Judged], group: str) -> Iterator[MetricRow]:
    every = graded(judged)
    yield coverage_row(run, judged, group)
    right = values_of(judged.get("answer_correct"))
    attempted = np.asarray([float(tried) for tried, _ in every.values()])
    correct = np.asarray([right.get(item, 0.0) for item in every])

    def f(rows: Rows) -> float | None:
        return f_score(float(correct[rows].sum()), float(attempted[rows].sum()), len(rows))

    if attempted.any():
        clusters = [cluster for _, cluster in every.values()]
        yield run.row("simpleqa_f", bootstrapped(f, clusters), group)
        return
    why = NOTHING_ATTEMPTED if every else NOTHING_JUDGED  # the scorer has no rows of the rates
    yield from (run.row(name, NO_VALUE, group, why) for name in ("simpleqa_f", *_OF_ATTEMPTED))
