"""Gaps of coreference accuracy: pro- minus anti-stereotypical, female minus male pronouns.

Templates are drawn together: the twins of a sentence are in one cluster, so the gap's interval
is that of paired sentences.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.groups import Scored, group_distances, group_means, scored
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.statistics import Estimate

PRO, ANTI = "coreference_acc_pro", "coreference_acc_anti"
NO_SIDES = "no pro- and anti-stereotypical sentences in this copy or group"


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """Accuracies by group, the pro - anti gap of all and by group, and the gap by gender."""
    yield from group_means(run, ("acc", PRO, ANTI, "stereotype_preference"))
    yield from group_distances(run)
    groups = groups_of(run.judged)
    for group in groups:
        left, right = scored(run.judged.get(PRO), group), scored(run.judged.get(ANTI), group)
        if group and not left.values and not right.values:
            continue  # neutral pronouns have no stereotypical side
        yield run.row("coreference_gap", gap_estimate(left, right), group, _why(left, right))
    if {"female", "male"} <= set(groups):
        acc = run.judged.get("acc")
        women, men = scored(acc, "female"), scored(acc, "male")
        yield run.row("gender_acc_gap", gap_estimate(women, men))


def gap_estimate(left: Scored, right: Scored) -> Estimate:
    """mean(left) - mean(right) with the interval of a bootstrap over the clusters of both."""
    values = np.asarray([*left.values, *right.values])
    sides = np.asarray([True] * len(left.values) + [False] * len(right.values))

    def gap(rows: Rows) -> float | None:
        here = sides[rows]
        if here.all() or not here.any():
            return None
        drawn = values[rows]
        return float(drawn[here].mean() - drawn[~here].mean())

    return bootstrapped(gap, [*left.clusters, *right.clusters])


def _why(left: Scored, right: Scored) -> str:
    return "" if left.values and right.values else NO_SIDES
