"""The difference of two runs on the same items, and of two sets of timings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import (
    MDE_FACTOR,
    SMALL_N,
    mcnemar_exact,
    mde_paired,
    mean_estimate,
    median_shift_interval,
    paired_binary_interval,
    t_test_p,
)

Verdict = Literal["better", "worse", "higher", "lower", "not resolved"]
"""``higher`` and ``lower`` are for metrics that have no better side."""
ALPHA = 0.05
COST_MARGIN = 0.05
"""Relative change of a timing below which one process each cannot tell variants apart."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Variant minus parent, with what is known about it."""

    delta: float
    n: int
    """Pairs of items (quality), or the smaller number of repetitions (cost)."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_method: str = ""
    mde: float | None = None
    flips_up: int | None = None
    """Items that the parent got wrong and the variant right (binary metrics only)."""
    flips_down: int | None = None
    excluded: int = 0
    """Items that one of the two could not answer in a scorable way."""


def paired_difference(parent: Judged, variant: Judged) -> Difference | None:
    """Paired difference on the items that both runs scored; None when there are none.

    Binary and every item its own cluster: exact McNemar p, MDE from the flip rate, and below
    300 pairs (or without variance) the Bonett-Price interval. Otherwise clustered t of
    d = variant - parent with MDE = 2.80 SE.
    """
    left = dict(zip(parent.items, parent.values, strict=True))
    pairs = [
        (a, b, cluster)
        for item, b, cluster in zip(variant.items, variant.values, variant.clusters, strict=True)
        if (a := left.get(item)) is not None and b is not None
    ]
    shared = len(left.keys() & set(variant.items))
    if not pairs:
        return None
    clusters = [cluster for _, _, cluster in pairs]
    differences = [b - a for a, b, _ in pairs]
    n, groups = len(pairs), len(set(clusters))
    binary = all(a in (0, 1) and b in (0, 1) for a, b, _ in pairs)
    up = sum(d > 0 for d in differences) if binary else None
    down = sum(d < 0 for d in differences) if binary else None
    estimate = mean_estimate(differences, clusters)
    se = estimate.se
    interval: tuple[float | None, float | None] = (estimate.low, estimate.high)
    delta = math.fsum(differences) / n
    if up is not None and down is not None and (not se or (groups == n and n < SMALL_N)):
        interval = paired_binary_interval(down, up, n if groups == n else groups)
    p = None if se is None else t_test_p(delta, se, groups - 1)
    how = "t, clustered" if groups < n else "paired t"
    mde = MDE_FACTOR * se if se else None
    if up is not None and down is not None and groups == n:
        p, how = mcnemar_exact(down, up), "exact McNemar"
        mde = mde_paired(max(up + down, 1) / n, n)
    return Difference(delta, n, *interval, p, how, mde, up, down, shared - n)


def cost_difference(parent: Sequence[float], variant: Sequence[float]) -> Difference:
    """Difference of medians with a seeded bootstrap interval (none below six repetitions)."""
    delta = statistics.median(variant) - statistics.median(parent)
    low, high = median_shift_interval(parent, variant) or (None, None)
    n = min(len(parent), len(variant))
    return Difference(delta, n, low, high, p_method="bootstrap of medians")


def quality_verdict(difference: Difference, p_holm: float | None, direction: str) -> Verdict:
    """Resolved only if Holm's p is below 0.05, the interval excludes 0 and |delta| >= MDE."""
    d = difference
    if p_holm is None or p_holm >= ALPHA or not _excludes_zero(d):
        return "not resolved"
    if d.mde is not None and abs(d.delta) < d.mde:
        return "not resolved"
    return _side(d.delta, direction)


def cost_verdict(difference: Difference, parent_value: float, direction: str) -> Verdict:
    """Resolved only if the interval excludes 0 and the change is more than 5 %."""
    small = abs(difference.delta) <= COST_MARGIN * abs(parent_value)
    if small or not _excludes_zero(difference):
        return "not resolved"
    return _side(difference.delta, direction)


def _excludes_zero(d: Difference) -> bool:
    return d.low is not None and d.high is not None and (d.low > 0 or d.high < 0)


def _side(delta: float, direction: str) -> Verdict:
    if direction == "none":
        return "higher" if delta > 0 else "lower"
    return "better" if (delta > 0) == (direction == "higher") else "worse"
