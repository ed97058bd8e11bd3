"""How a time grows with the length of the context: fits of t = a + bT + cT² and exponents.

The non-negative fit says how much of a time is fixed (a), how much is a cost per token (b) and
how much a cost per pair of tokens (c, softmax attention); T* = b/c is the length from which the
pairs cost more than the tokens. One exponent over the whole range would mislead: the fixed cost
flattens it and attention steepens it. So exponents are local, between neighbouring lengths.

Intervals come from the bootstrap over processes (Kalibera & Jones 2013: resample at the highest
level that varies; every process measures all lengths), over repetitions where there is only one.
With three to five processes percentiles of the draws are far too narrow, so their standard
deviation is scaled by sqrt(k/(k-1)) and taken times Student's t with k-1 degrees (Hesterberg 2015,
Am. Stat. 69:371, section 4.1). For a mean that is exactly the t interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import LEVEL, Estimate

Numbers = NDArray[np.float64]
Verdict = Literal[
    "quadratic term resolved",
    "nearly linear",
    "linear within error",
    "grows with context",
    "flat within error",
    "no growth resolved",
    "no interval",
]
"""``quadratic term resolved``: the interval of c lies above 0 and no straight line describes the
times. ``nearly linear``: it does, but a straight line is nowhere further off than ``NEARLY``;
caches and blocks bend the times of a model without attention as well. ``linear within error``: the
interval of c holds 0, and a straight line rises. For fits of degree 1 (decode): ``grows with
context`` where the interval of the slope lies above 0, else ``flat within error``. ``no growth
resolved``: not even a straight line rises. ``no interval``: one reading a length cannot decide."""

NEARLY = 0.1
"""Largest relative error of a straight line that is still called nearly linear."""
DRAWS = 1000
SEED = 20_250_802
_USABLE = 0.9
"""Share of the draws that must have a value for an interval."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Times at several lengths, by process and repetition."""

    lengths: tuple[float, ...]
    """T [tokens], rising, each once."""
    samples: tuple[tuple[tuple[float, ...], ...], ...]
    """Seconds, indexed [process][length][repetition]; every process measured all lengths."""

    @property
    def processes(self) -> int:
        """How many processes measured it."""
        return len(self.samples)

    @property
    def repetitions(self) -> int:
        """Fewest repetitions of a length in a process."""
        return min(len(mine) for process in self.samples for mine in process)

    def medians(self) -> Numbers:
        """Median of the repetitions, shape (processes, lengths) [s]."""
        return np.asarray([[np.median(mine) for mine in one] for one in self.samples])

    def times(self) -> Numbers:
        """One time per length: the mean of the process medians, shape (lengths,) [s]."""
        found: Numbers = self.medians().mean(axis=0)
        return found

    def draws(self) -> Numbers | None:
        """Bootstrap replicates of :meth:`times`, shape (DRAWS, lengths); None with one reading.

        Whole processes are drawn, all lengths of one together; with one process its repetitions,
        each length for itself.
        """
        numbers = np.random.default_rng(SEED)
        if self.processes > 1:
            medians = self.medians()
            chosen = numbers.integers(self.processes, size=(DRAWS, self.processes))
            found: Numbers = medians[chosen].mean(axis=1)
            return found
        if self.repetitions < 2:
            return None
        columns = []
        for mine in self.samples[0]:
            pool = np.asarray(mine)
            columns.append(np.median(numbers.choice(pool, size=(DRAWS, len(pool))), axis=1))
        return np.stack(columns, axis=1)

    @property
    def units(self) -> int:
        """What the bootstrap draws: processes, or repetitions of the only one."""
        return self.processes if self.processes > 1 else self.repetitions

    @property
    def how(self) -> str:
        """The interval's method in words."""
        if self.processes > 1:
            return f"bootstrap of {self.processes} processes, t"
        return f"bootstrap of {self.repetitions} repetitions of one process, t"


@dataclass(frozen=True, slots=True)
class Fit:
    """t = a + bT (+ cT²) with non-negative coefficients."""

    fixed: Estimate
    """a [s]."""
    per_token: Estimate
    """b [s/token]."""
    per_pair: Estimate | None
    """c [s/token²]; None for a fit of degree 1."""
    crossover: Estimate | None
    """T* = b/c [tokens]; only where c is resolved and b is positive."""
    pair_share: Estimate | None
    """cT² / t at the longest length: how much the quadratic term is, or could still be."""
    held_out_r2: float | None
    """R² of predicting each length from a fit to the others; None with too few lengths."""
    held_out_error: float | None
    """Largest |predicted / measured - 1| of these predictions."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Exponent:
    """dlog t / dlog T between two neighbouring lengths."""

    shorter: float
    longer: float
    time_shorter: float
    time_longer: float
    estimate: Estimate


def fewest_lengths(degree: int) -> int:
    """Lengths that a fit needs: one more than it has coefficients."""
    return degree + 2


def fit_curve(curve: Curve, degree: Literal[1, 2] = 2) -> Fit:
    """Non-negative least squares with intervals, weights 1/t².

    The variance of a time is taken as proportional to its square (a common coefficient of
    variation): variances estimated from three to five processes each would be noise themselves.
    The value is the non-negative fit; interval and verdict come from the unconstrained one, whose
    estimates are unbiased (of a straight line, c is below 0 as often as above), cut at 0.

    Raises ValueError for fewer than :func:`fewest_lengths` lengths.
    """
    if len(curve.lengths) < fewest_lengths(degree):
        raise ValueError(f"{len(curve.lengths)} lengths for a fit of degree {degree}")
    times, drawn = curve.times(), curve.draws()
    longest = curve.lengths[-1]
    scale = np.asarray([longest**-power for power in range(degree + 1)])
    bounded = non_negative(curve.lengths, times, degree) * scale
    free = _unconstrained(curve.lengths, times, times[None, :], degree)[0] * scale
    replicates = (
        None if drawn is None else _unconstrained(curve.lengths, times, drawn, degree) * scale
    )
    parts = [
        _bounded(curve, float(bounded[i]), float(free[i]), _column(replicates, i))
        for i in range(degree + 1)
    ]
    r2, worst = held_out(curve.lengths, times, degree)
    return Fit(
        fixed=parts[0],
        per_token=parts[1],
        per_pair=parts[2] if degree > 1 else None,
        crossover=_crossover(curve, parts, replicates) if degree > 1 else None,
        pair_share=_pair_share(curve, bounded, free, replicates) if degree > 1 else None,
        held_out_r2=r2,
        held_out_error=worst,
        verdict=_verdict(curve, parts),
    )


def exponents(curve: Curve) -> tuple[Exponent, ...]:
    """Local exponents log(t2/t1) / log(T2/T1) of all neighbouring lengths, with intervals.

    1 is linear, 2 quadratic, 0 a fixed cost.
    """
    times, drawn = curve.times(), curve.draws()
    found = []
    for i, (shorter, longer) in enumerate(zip(curve.lengths, curve.lengths[1:], strict=False)):
        step = math.log(longer / shorter)
        value = math.log(times[i + 1] / times[i]) / step
        slopes = None if drawn is None else np.log(drawn[:, i + 1] / drawn[:, i]) / step
        estimate = _interval(curve, value, value, slopes)
        found.append(Exponent(shorter, longer, float(times[i]), float(times[i + 1]), estimate))
    return tuple(found)


def non_negative(lengths: Sequence[float], times: Numbers, degree: int) -> Numbers:
    """Coefficients >= 0 of powers of T / longest T that minimise sum((fit - t)² / t²) [s].

    The best non-negative fit is the least-squares fit on the terms that it uses (the
    Karush-Kuhn-Tucker conditions; Lawson & Hanson 1974, chapter 23). With at most three terms all
    subsets are tried.
    """
    design = _design(lengths, degree) / times[:, None]
    best, least = np.zeros(degree + 1), float("inf")
    for count in range(1, degree + 2):
        for chosen in combinations(range(degree + 1), count):
            part = np.linalg.lstsq(design[:, chosen], np.ones(len(times)), rcond=None)[0]
            rest = float(((design[:, chosen] @ part - 1.0) ** 2).sum())
            if part.min() >= 0 and rest < least * (1 - 1e-12):
                best, least = np.zeros(degree + 1), rest
                best[list(chosen)] = part
    return best


def held_out(
    lengths: Sequence[float], times: Numbers, degree: int
) -> tuple[float | None, float | None]:
    """R² and largest relative error of predicting each length from the others.

    R² = 1 - sum(((t - p) / t)²) / sum(((t - m) / t)²) with the fit's own weights, m the weighted
    mean. The shortest and the longest length are extrapolated. None when the rest would be fewer
    than a fit needs.
    """
    if len(lengths) <= fewest_lengths(degree):
        return None, None
    predicted = []
    for i in range(len(lengths)):
        others = [j for j in range(len(lengths)) if j != i]
        near = [lengths[j] for j in others]
        part = non_negative(near, times[others], degree)
        predicted.append(sum(part[k] * (lengths[i] / near[-1]) ** k for k in range(degree + 1)))
    relative = np.asarray(predicted) / times - 1.0
    middle = float((1 / times).sum() / (times**-2.0).sum())
    total = float(((middle / times - 1.0) ** 2).sum())
    r2 = None if total == 0 else 1.0 - float((relative**2).sum()) / total
    return r2, float(np.abs(relative).max())


def _design(lengths: Sequence[float], degree: int) -> Numbers:
    """Powers 0 … degree of T / longest T, shape (lengths, degree + 1)."""
    relative = np.asarray(lengths, dtype=np.float64) / lengths[-1]
    found: Numbers = np.vander(relative, degree + 1, increasing=True)
    return found


def _unconstrained(
    lengths: Sequence[float], weighing: Numbers, rows: Numbers, degree: int
) -> Numbers:
    """Weighted least squares of each row, shape (rows, degree + 1); weights 1/weighing²."""
    weighted = _design(lengths, degree) / weighing[:, None]
    found: Numbers = (rows / weighing) @ np.linalg.pinv(weighted).T
    return found


def _column(replicates: Numbers | None, index: int) -> Numbers | None:
    return None if replicates is None else replicates[:, index]


def _bounded(curve: Curve, value: float, free: float, drawn: Numbers | None) -> Estimate:
    """A non-negative coefficient with the unconstrained one's interval, cut at 0."""
    found = _interval(curve, value, free, drawn)
    if found.low is None or found.high is None:
        return found
    return Estimate(
        value, found.n, max(0.0, min(found.low, value)), max(found.high, value), found.se,
        found.method,
    )  # fmt: skip


def _interval(
    curve: Curve,
    value: float,
    centre: float,
    drawn: Numbers | None,
    mapped: Callable[[float], float] = lambda x: x,
) -> Estimate:
    """``mapped(centre ± t · sd(draws) · sqrt(k/(k-1)))`` around a value."""
    units = curve.units
    if drawn is None:
        return Estimate(value, units, method="one reading a length: no interval")
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < _USABLE * len(drawn):
        return Estimate(value, units, method="too few bootstrap draws have a value: no interval")
    se = float(kept.std(ddof=1)) * math.sqrt(units / (units - 1))
    half = t_quantile(1 - (1 - LEVEL) / 2, units - 1) * se
    return Estimate(value, units, mapped(centre - half), mapped(centre + half), se, curve.how)


def _crossover(
    curve: Curve, parts: Sequence[Estimate], replicates: Numbers | None
) -> Estimate | None:
    """T* = b/c, its interval on the log scale; None unless c is resolved and b positive."""
    b, c = parts[1].value, parts[2].value
    if not b or not c or not parts[2].low or replicates is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(replicates[:, 1] / replicates[:, 2])
    centre = math.log(b / c)
    found = _interval(curve, b / c, centre, logs, _exponential)
    return Estimate(found.value, found.n, found.low, found.high, None, found.method)


def _exponential(x: float) -> float:
    return math.exp(min(x, 700.0))


def _pair_share(
    curve: Curve, bounded: Numbers, free: Numbers, replicates: Numbers | None
) -> Estimate:
    """cT² / (a + bT + cT²) at the longest length, cut to [0, 1]."""
    powers = np.asarray([curve.lengths[-1] ** k for k in range(3)])

    def share(rows: Numbers) -> Numbers:
        found: Numbers = rows[..., 2] * powers[2] / (rows @ powers)
        return found

    drawn = None if replicates is None else share(replicates)
    value = float(share(bounded))
    found = _interval(curve, value, float(share(free)), drawn)
    if found.low is None or found.high is None:
        return found
    low, high = max(0.0, min(found.low, value)), min(1.0, max(found.high, value))
    return Estimate(value, found.n, low, high, found.se, found.method)


def _verdict(curve: Curve, parts: Sequence[Estimate]) -> Verdict:
    last = parts[-1]
    if last.low is None:
        return "no interval"
    if len(parts) == 2:
        return "grows with context" if last.low > 0 else "flat within error"
    if last.low > 0:
        near = _line_error(curve) <= NEARLY
        return "nearly linear" if near else "quadratic term resolved"
    line = fit_curve(curve, 1).per_token
    return "linear within error" if line.low else "no growth resolved"


def _line_error(curve: Curve) -> float:
    """Largest |line / time - 1| of the best straight line."""
    times = curve.times()
    line = _design(curve.lengths, 1) @ non_negative(curve.lengths, times, 1)
    return float(np.abs(line / times - 1.0).max())
