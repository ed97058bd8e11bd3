"""Likelihood by position: does a model get worse the further it reads?

Texts of independent sentences have no harder places, so in a sound model nats per token fall
while the text's ways are learnt, and then stay level. A later range of positions is compared with
an earlier one window by window (same text, same model), which takes the texts' own difficulty out.
The rule: some later range is worse than some earlier one by more than :data:`MARGIN` nats a token,
and the one-sided t test of the differences says so at 5 % after Bonferroni over all pairs of
ranges (so that choosing the best earlier range and the worst later one costs nothing).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of, of_group
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import Estimate, pooled_estimate

METRIC = "position_nll"
MARGIN = 0.05
"""Smallest rise that is called one [nats/token]: 5 % of perplexity."""
LEVEL = 0.95
FEWEST = 8
"""Windows that both ranges need."""


@dataclass(frozen=True, slots=True)
class Rise:
    """The largest rise of a later range over the best earlier one."""

    later: str
    earlier: str
    estimate: Estimate
    """Mean difference; simultaneous interval over all pairs [nats/token]."""

    @property
    def unstable(self) -> bool:
        """Whether the rule calls it a failure on long sequences."""
        low, value = self.estimate.low, self.estimate.value
        return low is not None and low > 0 and value is not None and value > MARGIN


def ranges(column: Judged) -> tuple[str, ...]:
    """The ranges of positions, first to last."""
    return tuple(sorted((g for g in groups_of({METRIC: column}) if g), key=_start))


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """``position_nll`` of each range (``scope``), and ``position_rise``."""
    column = run.judged.get(METRIC)
    if column is None:
        return
    names = ranges(column)
    for name in names:
        yield run.row(METRIC, _pooled(of_group(column, name)), name)
    found = largest_rise(column)
    if found is None:
        why = f"fewer than {FEWEST} windows reach a second range of positions"
        yield run.row("position_rise", Estimate(None, 0, method="no value"), reason=why)
        return
    row = run.row("position_rise", found.estimate, reason=f"{found.later} against {found.earlier}")
    yield replace(row, flags=("fails when long",)) if found.unstable else row


def largest_rise(column: Judged) -> Rise | None:
    """Of all later ranges over their best earlier one; None where too few windows have two."""
    names = ranges(column)
    by_window = {name: _values(of_group(column, name)) for name in names}
    pairs = [(i, j) for j in range(1, len(names)) for i in range(j)]
    tested: list[tuple[float, float, str, str, int]] = []
    for i, j in pairs:
        shared = sorted(by_window[names[i]].keys() & by_window[names[j]].keys())
        if len(shared) < FEWEST:
            continue
        gaps = np.asarray([by_window[names[j]][w] - by_window[names[i]][w] for w in shared])
        se = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
        tested.append((float(gaps.mean()), se, names[j], names[i], len(gaps)))
    if not tested:
        return None
    level = 1 - (1 - LEVEL) / len(tested)

    def lower(one: tuple[float, float, str, str, int]) -> float:
        return one[0] - t_quantile(level, one[4] - 1) * one[1]

    mean, se, later, earlier, n = max(tested, key=lower)
    half = t_quantile(level, n - 1) * se
    how = f"paired t by window, one-sided, Bonferroni over {len(tested)} pairs"
    return Rise(later, earlier, Estimate(mean, n, mean - half, mean + half, se, how))


def _start(name: str) -> int:
    return int(name.split(" ", 1)[0])


def _values(column: Judged) -> dict[str, float]:
    pairs = zip(column.clusters, column.values, strict=True)
    return {window: value for window, value in pairs if value is not None}


def _pooled(column: Judged) -> Estimate:
    weights = column.weights or (1.0,) * len(column.values)
    kept = [
        (v, w, c)
        for v, w, c in zip(column.values, weights, column.clusters, strict=True)
        if v is not None and w is not None
    ]
    return pooled_estimate([k[0] for k in kept], [k[1] for k in kept], [k[2] for k in kept])
