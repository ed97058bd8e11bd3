"""Ratios of paired means: the share of a loss that came back, and what is left above chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.paired import difference_of, on_shared_items, pairs_of, quality_verdict
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import LEVEL, Estimate

DRAWS = 2000
"""Bootstrap replicates."""
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two means over the same items, or why there is none."""

    value: float | None
    low: float | None = None
    """Percentile bootstrap over items or clusters, 95 %."""
    high: float | None = None
    n: int = 0
    """Items that it rests on."""
    reason: str = ""
    """Why it is undefined."""


def recovered_share(base: Judged, damaged: Judged, recovered: Judged, direction: str) -> Ratio:
    """(recovered - damaged) / (base - damaged) on the items that all three scored.

    1: the whole loss came back; 0: nothing did; below 0: more was lost. Undefined when the
    metric has no better side, or when the loss itself is not resolved (unadjusted p below 0.05,
    interval without 0, at least the MDE): a share of nothing is noise.
    """
    if direction == "none":
        return Ratio(None, reason="the metric has no better side")
    whole, low, back = on_shared_items([base, damaged, recovered])
    lost, gained = pairs_of(whole, low), pairs_of(low, back)
    if lost is None or gained is None:
        return Ratio(None, reason="no item was scored in all three runs")
    difference = difference_of(lost)
    n = difference.n
    if quality_verdict(difference, difference.p, direction) != "worse":
        return Ratio(None, n=n, reason="the loss itself is not resolved")
    return ratio_of_sums(gained.differences, [-d for d in lost.differences], lost.clusters)


def retention(base: Judged, variant: Judged, chance: float | None, base_value: Estimate) -> Ratio:
    """(variant - chance) / (base - chance) on the items that both scored.

    1: everything above guessing is still there; 0: nothing is. Undefined where the metric has
    no chance level, or the base's own interval reaches down to it: the raw ratio of accuracies
    would let a guessing four-way model "retain" 60 % of a base at 42 %.
    """
    if chance is None:
        return Ratio(None, reason="the metric has no chance level")
    if base_value.low is None or base_value.low <= chance:
        return Ratio(None, reason="the base itself is not above chance")
    pairs = pairs_of(base, variant)
    if pairs is None:
        return Ratio(None, reason="no item was scored in both runs")
    above = [v - chance for v in pairs.variant]
    return ratio_of_sums(above, [v - chance for v in pairs.parent], pairs.clusters)


def ratio_of_sums(above: Sequence[float], below: Sequence[float], clusters: Sequence[str]) -> Ratio:
    """mean(above) / mean(below) with a percentile interval of a seeded cluster bootstrap.

    Whole clusters are drawn with replacement (Field & Welsh 2007, JRSS B 69:369). Clusters with
    the same sums are interchangeable, so the counts of each kind are drawn (multinomial), which
    is the same thing and fast for right-or-wrong scores.
    """
    n = len(above)
    kinds, counts = np.unique(_cluster_sums(above, below, clusters), axis=0, return_counts=True)
    whole = counts @ kinds
    if whole[1] == 0:
        return Ratio(None, n=n, reason="the denominator is zero")
    value = float(whole[0] / whole[1])
    groups = int(counts.sum())
    if groups < 2:
        return Ratio(value, n=n, reason="all items in one cluster: no interval")
    random = np.random.default_rng(0)
    drawn = np.concatenate(
        [
            random.multinomial(groups, counts / groups, size=_BATCH) @ kinds
            for _ in range(DRAWS // _BATCH)
        ]
    )
    usable = drawn[drawn[:, 1] * whole[1] > 0]
    tail = (1 - LEVEL) / 2
    if len(usable) < (1 - tail / 2) * len(drawn):
        return Ratio(value, n=n, reason="the denominator is too uncertain for an interval")
    low, high = np.quantile(usable[:, 0] / usable[:, 1], [tail, 1 - tail])
    return Ratio(value, float(low), float(high), n)


def _cluster_sums(
    above: Sequence[float], below: Sequence[float], clusters: Sequence[str]
) -> NDArray[np.float64]:
    """One row a cluster: sums of both columns."""
    index: dict[str, int] = {}
    codes = [index.setdefault(name, len(index)) for name in clusters]
    columns = [np.bincount(codes, weights=np.asarray(c, dtype=float)) for c in (above, below)]
    sums: NDArray[np.float64] = np.stack(columns, axis=1)
    return sums.round(12)
