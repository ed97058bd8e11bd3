"""Estimates with their uncertainty. Records hold raw samples; every statistic is made here.

Intervals are 95 %, two-sided. ``None`` stands for "the data do not allow one", and the
:class:`Estimate` says why; nothing here returns NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.special import (
    binomial_cdf,
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
)

LEVEL = 0.95
SMALL_N = 300
"""Below this many items a proportion gets a Wilson interval instead of a symmetric one."""
MDE_FACTOR = 2.80
"""z(0.975) + z(0.80): the effect found with 80 % power at alpha 0.05, in standard errors."""
_TREND_MOST = 1000
_Z = normal_quantile(1 - (1 - LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and what is known about its uncertainty."""

    value: float | None
    n: int
    """Samples (items, repetitions) that the value rests on."""
    low: float | None = None
    high: float | None = None
    se: float | None = None
    """Standard error; null for medians and maxima."""
    method: str = ""
    """How the interval was made, or why there is none."""


def mean_estimate(
    values: Sequence[float], clusters: Sequence[str] | None = None, *, bounded: bool = False
) -> Estimate:
    """Mean with a 95 % interval; items of one cluster are not taken as independent.

    Clustered standard error (Miller 2024, arXiv 2411.00640; sandwich estimator with the
    G/(G-1) correction), which is the ordinary SE when every item is its own cluster::

        SE = sqrt( sum_c ( sum_{i in c} (s_i - mean) )² ) / n · sqrt( G / (G - 1) )

    with a t interval of G - 1 degrees of freedom. ``bounded`` says that values lie in [0, 1]:
    then a small n (or no variance) gets a Wilson interval, on the effective sample size when
    items are clustered (:func:`wilson`, Franco et al. 2019, J. Surv. Stat. Methodol. 7:334), and
    no interval leaves [0, 1].
    """
    n = len(values)
    if n == 0:
        return Estimate(None, 0, method="no samples")
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if n == 1:
        return Estimate(mean, 1, method="single reading")
    sums = _cluster_sums(data - mean, clusters)
    groups = len(sums)
    if groups < 2:
        return Estimate(mean, n, method="all items in one cluster")
    se = float(np.sqrt((sums**2).sum()) / n * math.sqrt(groups / (groups - 1)))
    clustered = groups < n
    if bounded and (n < SMALL_N or se == 0):
        low, high = wilson(mean, _effective_n(mean, se, n, groups))
        return Estimate(mean, n, low, high, se, "Wilson" + (", clustered" if clustered else ""))
    half = t_quantile(1 - (1 - LEVEL) / 2, groups - 1) * se
    low, high = mean - half, mean + half
    if bounded:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(mean, n, low, high, se, "t, clustered" if clustered else "t")


def pooled_estimate(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[str] | None = None
) -> Estimate:
    """sum(w·v) / sum(w), a ratio of sums: nats per token over windows, bits per byte over texts.

    Linearised standard error of a ratio estimator (Cochran 1977, Sampling Techniques, 6.4),
    over clusters, with the same G/(G-1) correction and t interval as :func:`mean_estimate`,
    which it equals when all weights are the same::

        SE = sqrt( sum_c ( sum_{i in c} w_i (v_i - R) )² ) / sum(w) · sqrt( G / (G - 1) )
    """
    n = len(values)
    if n == 0:
        return Estimate(None, 0, method="no samples")
    data, per = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    total = math.fsum(weights)
    ratio = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    if n == 1:
        return Estimate(ratio, 1, method="single reading")
    sums = _cluster_sums(per * (data - ratio), clusters)
    groups = len(sums)
    if groups < 2:
        return Estimate(ratio, n, method="all items in one cluster")
    se = float(np.sqrt((sums**2).sum()) / total * math.sqrt(groups / (groups - 1)))
    half = t_quantile(1 - (1 - LEVEL) / 2, groups - 1) * se
    how = "t of a ratio, clustered" if groups < n else "t of a ratio"
    return Estimate(ratio, n, ratio - half, ratio + half, se, how)


def exp_estimate(estimate: Estimate) -> Estimate:
    """exp of a pooled log: perplexity from nats per token, the interval mapped through exp.

    The standard error is the first-order one, exp(value) x SE. Null where exp overflows.
    """
    if estimate.value is None:
        return estimate
    try:
        value = math.exp(estimate.value)
        if estimate.low is None or estimate.high is None:
            return Estimate(value, estimate.n, method=estimate.method)
        low, high = math.exp(estimate.low), math.exp(estimate.high)
    except OverflowError:
        return Estimate(None, estimate.n, method="larger than a number can be")
    se = None if estimate.se is None else value * estimate.se
    return Estimate(value, estimate.n, low, high, se, f"{estimate.method}, mapped")


def wilson(proportion: float, n: float) -> tuple[float, float]:
    """Wilson score interval (Wilson 1927) of a proportion out of ``n`` (may be fractional).

    >>> [round(x, 3) for x in wilson(45 / 50, 50)]
    [0.786, 0.957]
    """
    z2 = _Z * _Z
    centre = (proportion + z2 / (2 * n)) / (1 + z2 / n)
    spread = _Z / (1 + z2 / n) * math.sqrt(proportion * (1 - proportion) / n + z2 / (4 * n * n))
    return max(0.0, centre - spread), min(1.0, centre + spread)


def quantile_interval(samples: Sequence[float], q: float) -> tuple[float, float] | None:
    """Distribution-free interval of the q-quantile from order statistics, or None.

    (x_(l), x_(u)) with P(Bin(n, q) < l) <= 2.5 % and P(Bin(n, q) >= u) <= 2.5 %
    (David & Nagaraja, Order Statistics, 7.1). It exists for the median from n = 6, for p90
    from n = 36, for p95 from n = 72, for p99 from n = 368.
    """
    n, tail = len(samples), (1 - LEVEL) / 2
    if n == 0:
        return None
    cdf = binomial_cdf(n, q)
    lower = sum(1 for p in cdf if p <= tail)
    upper = next((k for k, p in enumerate(cdf) if 1 - p <= tail), n) + 1
    if lower < 1 or upper > n:
        return None
    ordered = sorted(samples)
    return ordered[lower - 1], ordered[upper - 1]


def median_estimate(samples: Sequence[float]) -> Estimate:
    """Median with the order-statistic interval (none below six samples)."""
    return quantile_estimate(samples, 0.5)


def quantile_estimate(samples: Sequence[float], q: float) -> Estimate:
    """The q-quantile (linear between order statistics) with its order-statistic interval."""
    n = len(samples)
    if n == 0:
        return Estimate(None, 0, method="no samples")
    value = float(np.quantile(np.asarray(samples, dtype=float), q))
    if n == 1:
        return Estimate(value, 1, method="single reading")
    interval = quantile_interval(samples, q)
    if interval is None:
        return Estimate(value, n, method="too few samples for an interval")
    return Estimate(value, n, interval[0], interval[1], None, "order statistics")


def distance_estimate(estimate: Estimate, ideal: float) -> Estimate:
    """|value - ideal| with the interval mapped through the same function."""
    if estimate.value is None:
        return estimate
    value = abs(estimate.value - ideal)
    if estimate.low is None or estimate.high is None:
        return Estimate(value, estimate.n, method=estimate.method)
    ends = sorted((abs(estimate.low - ideal), abs(estimate.high - ideal)))
    low = 0.0 if estimate.low <= ideal <= estimate.high else ends[0]
    return Estimate(value, estimate.n, low, ends[1], estimate.se, f"{estimate.method}, mapped")


def mean_of_means(estimates: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of task means; SE = sqrt(sum SE²) / k, the tasks being independent.

    A task whose SE is 0 (all right or all wrong) lends half the width of its own interval
    divided by 1.96 instead, so that it does not pass for certain. Null when a part is null.
    """
    n = sum(e.n for e in estimates)
    if not estimates:
        return Estimate(None, 0, method="no tasks")
    values = [e.value for e in estimates if e.value is not None]
    if len(values) < len(estimates):
        return Estimate(None, n, method="a task has no value")
    mean = math.fsum(values) / len(values)
    errors = [_usable_se(e) for e in estimates]
    known = [e for e in errors if e is not None]
    if len(known) < len(errors):
        return Estimate(mean, n, method="a task has no interval")
    se = math.sqrt(math.fsum(e * e for e in known)) / len(known)
    return Estimate(mean, n, mean - _Z * se, mean + _Z * se, se, "combined task SEs")


def mcnemar_exact(down: int, up: int) -> float:
    """Two-sided exact McNemar p: 2·P(Bin(down + up, 1/2) <= min), at most 1.

    >>> round(mcnemar_exact(1, 9), 4)
    0.0215
    """
    flips = down + up
    return 1.0 if flips == 0 else min(1.0, 2 * binomial_cdf(flips, 0.5)[min(down, up)])


def share_estimate(marks: Sequence[bool], clusters: Sequence[str]) -> Estimate:
    """Share of marked items with the Wilson interval on the effective number of items."""
    n = len(marks)
    if n == 0:
        return Estimate(None, 0, method="no samples")
    share = sum(marks) / n
    groups = len(set(clusters))
    estimate = mean_estimate([float(m) for m in marks], clusters)
    items = _effective_n(share, estimate.se, n, groups) if estimate.se is not None else groups
    low, high = wilson(share, items)
    return Estimate(share, n, low, high, estimate.se, "Wilson")


def mde_paired(flip_rate: float, n: int) -> float:
    """Smallest paired difference found with 80 % power at alpha 0.05: 2.80·sqrt(psi / n).

    >>> round(mde_paired(0.05, 1000), 3)
    0.02
    """
    return MDE_FACTOR * math.sqrt(flip_rate / n)


def t_test_p(value: float, se: float, freedom: int) -> float:
    """Two-sided p of value / se against 0 with Student's t."""
    if se == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * (1 - t_cdf(abs(value) / se, max(1, freedom)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment (1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return tuple(adjusted)


def median_shift_interval(
    left: Sequence[float], right: Sequence[float], *, seed: int = 0, draws: int = 2000
) -> tuple[float, float] | None:
    """Percentile bootstrap of median(right) - median(left), independent samples, seeded.

    None below six samples on either side. It covers the spread within one process each, not
    the spread between processes.
    """
    if min(len(left), len(right)) < 6:
        return None
    random = np.random.default_rng(seed)
    medians = [
        np.median(random.choice(np.asarray(side, dtype=float), (draws, len(side))), axis=1)
        for side in (left, right)
    ]
    low, high = np.quantile(medians[1] - medians[0], [(1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2])
    return float(low), float(high)


def median_ratio_interval(
    left: Sequence[float], right: Sequence[float], *, seed: int = 0, draws: int = 2000
) -> tuple[float, float] | None:
    """Percentile bootstrap of median(right) / median(left), independent samples, seeded.

    None below six samples on either side, or when ``left`` is not positive throughout.
    """
    if min(len(left), len(right)) < 6 or min(left) <= 0:
        return None
    random = np.random.default_rng(seed)
    medians = [
        np.median(random.choice(np.asarray(side, dtype=float), (draws, len(side))), axis=1)
        for side in (left, right)
    ]
    low, high = np.quantile(medians[1] / medians[0], [(1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2])
    return float(low), float(high)


def variation(samples: Sequence[float]) -> float | None:
    """Coefficient of variation: sample standard deviation / |mean|; None below two samples."""
    data = np.asarray(samples, dtype=float)
    if len(data) < 2 or data.mean() == 0:
        return None
    return float(data.std(ddof=1) / abs(data.mean()))


def trend_p(samples: Sequence[float], groups: Sequence[int] = ()) -> float | None:
    """Two-sided p of the Mann-Kendall test for a monotone trend in time; None below eight.

    Of more than 1000 samples every k-th is used: the test compares all pairs. Normal
    approximation with continuity correction and the correction for ties (Mann 1945,
    Kendall 1975). Samples of different ``groups`` (processes) are not compared: the statistics
    of the groups add up (Hirsch, Slack & Smith 1982, Water Resour. Res. 18:107).
    """
    if len(samples) < 8:
        return None
    series: dict[int, list[float]] = {}
    for group, sample in zip(groups or [0] * len(samples), samples, strict=True):
        series.setdefault(group, []).append(sample)
    parts = [_kendall(np.asarray(mine, dtype=float)) for mine in series.values()]
    s, spread = sum(p[0] for p in parts), sum(p[1] for p in parts)
    if spread == 0 or s == 0:
        return 1.0
    z = (abs(s) - 1) / math.sqrt(spread / 18)
    return 2 * (1 - normal_cdf(z))


def _kendall(data: NDArray[np.float64]) -> tuple[int, int]:
    """Kendall's S of one series, and 18 times its variance."""
    data = data[:: 1 + len(data) // _TREND_MOST]
    n = len(data)
    s = int(np.sign(data[None, :] - data[:, None])[np.triu_indices(n, 1)].sum())
    _, ties = np.unique(data, return_counts=True)
    return s, n * (n - 1) * (2 * n + 5) - int((ties * (ties - 1) * (2 * ties + 5)).sum())


def _cluster_sums(
    deviations: NDArray[np.float64], clusters: Sequence[str] | None
) -> NDArray[np.float64]:
    if clusters is None:
        return deviations
    index: dict[str, int] = {}
    codes = [index.setdefault(name, len(index)) for name in clusters]
    if len(index) == len(deviations):
        return deviations
    return np.bincount(codes, weights=deviations).astype(np.float64)


def _effective_n(mean: float, se: float, n: int, groups: int) -> float:
    """Items that would give this SE if they were independent; never above n."""
    if groups == n:
        return n
    if se == 0 or mean in (0.0, 1.0):
        return groups
    widening = _Z / t_quantile(1 - (1 - LEVEL) / 2, groups - 1)
    return max(1.0, min(n, mean * (1 - mean) / (se * se) * widening * widening))


def _usable_se(estimate: Estimate) -> float | None:
    if estimate.se:
        return estimate.se
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / (2 * _Z)
