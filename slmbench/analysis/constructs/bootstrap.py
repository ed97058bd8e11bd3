"""Intervals for numbers that are no mean: the cluster bootstrap, seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.statistics import Estimate

DRAWS = 1000
SEED = 20_250_601
FEWEST_CLUSTERS = 2
_TAIL = 0.025
_USABLE = 0.9
"""Share of the draws that must have a value for the interval to be believed."""

Rows = NDArray[np.intp]
Statistic = Callable[[Rows], float | None]
"""From item positions (repeated ones count as often) to a value; None where there is none."""


def bootstrapped(
    statistic: Statistic, clusters: Sequence[str], *, draws: int = DRAWS, seed: int = SEED
) -> Estimate:
    """The statistic of all items with the percentile interval of the cluster bootstrap.

    Whole clusters are drawn with replacement (Field and Welsh 2007). There is no interval with
    fewer than two clusters, nor where a tenth of the draws has no value; ``method`` says so.
    """
    n = len(clusters)
    value = statistic(np.arange(n, dtype=np.intp)) if n else None
    if value is None:
        return Estimate(None, n, method="no value")
    codes = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    members: list[list[int]] = [[] for _ in codes]
    for position, name in enumerate(clusters):
        members[codes[name]].append(position)
    if len(members) < FEWEST_CLUSTERS:
        return Estimate(value, n, method="one cluster: no interval")
    rows = [np.asarray(each, dtype=np.intp) for each in members]
    alone = np.concatenate(rows) if len(rows) == n else None  # every item is its own cluster
    numbers = np.random.default_rng(seed)
    found: list[float] = []
    for _ in range(draws):
        chosen = numbers.integers(len(rows), size=len(rows))
        drawn = np.concatenate([rows[i] for i in chosen]) if alone is None else alone[chosen]
        again = statistic(drawn)
        if again is not None:
            found.append(again)
    if len(found) < _USABLE * draws:
        return Estimate(value, n, method="too few bootstrap draws have a value: no interval")
    low, high = np.quantile(found, [_TAIL, 1 - _TAIL])
    se = float(np.std(found, ddof=1))
    return Estimate(value, n, float(low), float(high), se, "cluster bootstrap")
