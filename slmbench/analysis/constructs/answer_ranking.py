"""Does a number that comes with an answer tell right answers from wrong ones?

Over the questions whose (greedy) answer attempts one; abstentions are neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from slmbench.analysis import reliability as rel
from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.statistics import Estimate, mean_estimate

NOTHING_ATTEMPTED = "nothing was attempted: every judged answer is an abstention"
NOTHING_JUDGED = "no answer could be judged"
NOT_KEPT = "not known of these answers: were their log-probabilities kept?"
FEWEST, FEWEST_OF_EACH = 10, 5
"""Attempted answers, and right and wrong ones, below which no AUROC is reported."""
NO_VALUE = Estimate(None, 0, method="no value")
STRICT = ("greedy_correct", "accuracy_given_attempted")
LENIENT = ("greedy_contains", "answer_contains")
"""Metrics that say whether an answer is right: the first one that a run has is read."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number per answer."""

    metric: str
    sign: float = 1.0
    """-1: less of it should mean right."""
    name: str = ""
    """Its AUROC's name less ``_auroc``; empty: as the metric."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Attempted answers that have a grade and a measure, over items."""

    score: rel.Numbers
    """Larger should mean right."""
    credit: rel.Numbers
    clusters: tuple[str, ...]

    def sorted(self, rows: Rows | None = None) -> rel.Sorted:
        """By rising score; ``rows`` picks items, repeated ones count as often."""
        score = self.score if rows is None else self.score[rows]
        credit = self.credit if rows is None else self.credit[rows]
        order = np.argsort(score, kind="stable")
        return rel.Sorted(score[order], credit[order], np.zeros_like(order), order)

    def too_alike(self) -> str:
        """Why right and wrong answers cannot be compared; empty where they can."""
        right = round(float(self.credit.sum()))
        wrong = len(self.credit) - right
        if min(right, wrong) >= FEWEST_OF_EACH:
            return ""
        return f"{right} right and {wrong} wrong answers: {FEWEST_OF_EACH} of each at least"

    def auroc(self, rows: Rows) -> float | None:
        """P(a right answer scores higher than a wrong one), ties half; None if all are alike."""
        return rel.auroc(self.sorted(rows))

    def aurc(self, rows: Rows) -> float:
        """Mean over k of the share of wrong answers among the k that score highest."""
        return rel.aurc(self.sorted(rows))


def graded(judged: Mapping[str, Judged]) -> dict[str, tuple[bool, str]]:
    """Item to (attempted, cluster), of the items that could be judged."""
    column = judged.get("not_attempted")
    if column is None:
        return {}
    rows = zip(column.items, column.values, column.clusters, strict=True)
    return {item: (value == 0, cluster) for item, value, cluster in rows if value is not None}


def coverage_row(run: JudgedRun, judged: Mapping[str, Judged], group: str) -> MetricRow:
    """Share of the judged answers that attempt one."""
    found = graded(judged).values()
    share = mean_estimate([float(a) for a, _ in found], [c for _, c in found], bounded=True)
    return run.row("answer_coverage", share, group, "" if found else NOTHING_JUDGED)


def ranked(
    judged: Mapping[str, Judged], measure: Measure, right: tuple[str, ...] = STRICT
) -> Ranked:
    """The attempted items that have the measure and a grade; none where it was not kept."""
    scores = values_of(judged.get(measure.metric))
    credit = values_of(next((judged[name] for name in right if name in judged), None))
    attempted = [(item, c) for item, (tried, c) in graded(judged).items() if tried]
    both = [(scores[i], credit[i], c) for i, c in attempted if i in scores and i in credit]
    return Ranked(
        np.asarray([measure.sign * s for s, _, _ in both], dtype=float),
        np.asarray([c for _, c, _ in both], dtype=float),
        tuple(cluster for _, _, cluster in both),
    )


def rankable(
    judged: Mapping[str, Judged], measure: Measure, right: tuple[str, ...] = STRICT
) -> Ranked | str:
    """As :func:`ranked`; a text says why they cannot be ranked."""
    every = graded(judged).values()
    if not any(attempted for attempted, _ in every):
        return NOTHING_ATTEMPTED if every else NOTHING_JUDGED
    found = ranked(judged, measure, right)
    if not len(found.credit):
        return NOT_KEPT
    if len(found.credit) < FEWEST:
        return f"{len(found.credit)} attempted answers are too few to rank ({FEWEST} at least)"
    return found


def auroc_rows(
    run: JudgedRun, judged: Mapping[str, Judged], measure: Measure, group: str
) -> Iterator[MetricRow]:
    """AUROC of a measure against being right, strictly and in the lenient sense."""
    name = measure.name or measure.metric
    for right, metric in ((STRICT, f"{name}_auroc"), (LENIENT, f"{name}_auroc_lenient")):
        found = rankable(judged, measure, right)
        why = found if isinstance(found, str) else found.too_alike()
        if why or isinstance(found, str):
            yield run.row(metric, NO_VALUE, group, why)
        else:
            estimate = bootstrapped(found.auroc, found.clusters)
            yield replace(run.row(metric, estimate, group), chance=0.5)


def values_of(column: Judged | None) -> dict[str, float]:
    """Item to value, of the items that have one."""
    if column is None:
        return {}
    pairs = zip(column.items, column.values, strict=True)
    return {item: value for item, value in pairs if value is not None}
