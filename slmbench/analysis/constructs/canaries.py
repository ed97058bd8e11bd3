"""Canaries by how often they were planted, against those that never were.

``r0`` is the null: a model that gives a never planted secret more than 1.44 bits has learned the
form of secrets, not this one. So every group stands beside it: difference of means with a cluster
bootstrap over the canaries of both, and a one-sided permutation test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of, of_group
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.statistics import Estimate, mean_estimate
from slmbench.metrics import METRICS
from slmbench.metrics.privacy import CERTAINTIES, TRIES, extractable

CONTROL = "r0"
"""Group of the canaries that were never planted."""
PERMUTATIONS = 10_000
_SEED = 20_250_602
_EXCESS = ("canary_logprob", "extracted_greedy", extractable(100, 0.5))
_NO_CONTROL = "no canary that was never planted could be scored: nothing to compare with"
_FEWEST = 2


def derive_exposure(run: JudgedRun) -> Iterable[MetricRow]:
    """By group: mean exposure, excess over r0, its p; and null and cap for all."""
    column = run.judged.get("canary_exposure")
    if column is None:
        return
    yield from _constants(run)
    yield from _means(run, "canary_exposure", column)
    yield from _excesses(run, "canary_exposure", column)
    control = _values(of_group(column, CONTROL))
    for group in _planted(column):
        yield run.row("canary_exposure_p", _test(_values(of_group(column, group)), control), group,
                      "" if control else _NO_CONTROL)  # fmt: skip


def derive_extraction(run: JudgedRun) -> Iterable[MetricRow]:
    """By group: the rates and the mean log-likelihood, and excesses over r0."""
    names = ("extracted_greedy", "canary_logprob")
    for name in (*names, *(extractable(n, p) for n in TRIES for p in CERTAINTIES)):
        column = run.judged.get(name)
        if column is not None:
            yield from _means(run, name, column)
            if name in _EXCESS:
                yield from _excesses(run, name, column)


def null_exposure(size: int) -> float:
    """Expected exposure of a rank that is uniform on 1 .. ``size`` [bits].

    log2 N - (log2 N!) / N; it tends to log2 e = 1.4427 for large N.

    >>> round(null_exposure(2), 3), round(null_exposure(128), 3), round(null_exposure(10**6), 3)
    (0.5, 1.405, 1.443)
    """
    return math.log2(size) - math.lgamma(size + 1) / math.log(2) / size


def permutation_p(planted: Sequence[float], control: Sequence[float]) -> float:
    """One-sided p of the difference of means under exchange of the labels.

    (1 + draws at least as large) / (1 + draws), with seeded draws (Phipson and Smyth 2010).
    """
    pool = np.asarray([*planted, *control], dtype=float)
    n = len(planted)
    observed = pool[:n].sum()
    numbers = np.random.default_rng(_SEED)
    drawn = numbers.permuted(np.tile(pool, (PERMUTATIONS, 1)), axis=1)[:, :n].sum(axis=1)
    tolerance = 1e-9 * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(drawn >= observed - tolerance)) / (1 + PERMUTATIONS))


def _constants(run: JudgedRun) -> Iterator[MetricRow]:
    sizes = {len(item.requests) for item in run.items.items}
    size = max(sizes) if len(sizes) == 1 else None
    for name, formula in (
        ("canary_exposure_null", null_exposure),
        ("canary_exposure_cap", math.log2),
    ):
        value = None if size is None else formula(size)
        estimate = Estimate(value, len(run.items.items), method="exact")
        yield run.row(name, estimate, reason="|R| differs by canary" if size is None else "")


def _means(run: JudgedRun, metric: str, column: Judged) -> Iterator[MetricRow]:
    bounded = METRICS[metric].unit == "fraction"
    for group in groups_of({metric: column}):
        if group:
            values = _values(of_group(column, group))
            yield run.row(metric, mean_estimate(values, bounded=bounded), group)


def _excesses(run: JudgedRun, metric: str, column: Judged) -> Iterator[MetricRow]:
    control = _values(of_group(column, CONTROL))
    for group in _planted(column):
        values = _values(of_group(column, group))
        estimate = difference(values, control)
        reason = _NO_CONTROL if not control else ""
        yield run.row(f"{metric}_excess", estimate, group, reason)


def difference(values: Sequence[float], control: Sequence[float]) -> Estimate:
    """Mean of the first minus mean of the second; both groups are drawn anew in the bootstrap."""
    if not values or not control:
        return Estimate(None, len(values), method="no value")
    pool, n = np.asarray([*values, *control], dtype=float), len(values)

    def statistic(rows: Rows) -> float | None:
        first, second = rows[rows < n], rows[rows >= n]
        if not len(first) or not len(second):
            return None
        return float(pool[first].mean() - pool[second].mean())

    return bootstrapped(statistic, [str(i) for i in range(len(pool))])


def _test(values: Sequence[float], control: Sequence[float]) -> Estimate:
    if min(len(values), len(control)) < _FEWEST:
        return Estimate(None, len(values), method="no value")
    return Estimate(permutation_p(values, control), len(values), method="permutation test")


def _planted(column: Judged) -> tuple[str, ...]:
    return tuple(g for g in groups_of({"": column}) if g and g != CONTROL)


def _values(column: Judged) -> list[float]:
    return [value for value in column.values if value is not None]
