"""Is the loss small enough? Equivalence and non-inferiority of a paired difference.

"Not resolved" says only that the data cannot tell. These tests turn the question round: the
claim to be shown is that the difference lies within a margin that was declared beforehand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.paired import ALPHA, Difference
from slmbench.analysis.special import normal_quantile

Equivalent = Literal["yes", "no", "underpowered"]
NonInferior = Literal["yes", "no", "inconclusive"]
MARGIN = 0.01
"""Largest loss that counts as none where a suite names no other: one percentage point."""
POWER = 0.80


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What the pairs say about a loss of at most ``margin``."""

    margin: float
    """In the metric's unit, above 0."""
    equivalent: Equivalent
    """``yes``: both one-sided tests reject (TOST, p < 0.05). ``no``: the whole 95 % interval lies
    beyond the margin, on either side. ``underpowered``: neither."""
    p: float
    """Of the weaker of the two one-sided tests."""
    n_needed: int | None
    """Items that would settle it with 80 % power; None when settled, when the observed
    difference is the margin itself, or without any variance to plan with."""
    non_inferior: NonInferior | None
    """``yes``: the bad end of the 95 % interval is within the margin. ``no``: its good end is
    beyond it. None for metrics without a better side."""


def equivalence(d: Difference, margin: float, direction: str) -> Equivalence | None:
    """TOST and non-inferiority of a quality difference; None where it has no interval.

    TOST (Schuirmann 1987, J Pharmacokinet Biopharm 15:657) rejects "delta <= -margin" and
    "delta >= margin", each at 5 %. Non-inferiority is one-sided at 2.5 %, which is what the
    95 % interval shows. Unclustered binary items: Tango's score test, made for this use;
    otherwise t on the clustered standard error.
    """
    above, below = d.p_above(-margin), d.p_below(margin)
    if above is None or below is None or d.low is None or d.high is None:
        return None
    p = max(above, below)
    outcome: Equivalent = "underpowered"
    if p < ALPHA:
        outcome = "yes"
    elif d.high < -margin or d.low > margin:
        outcome = "no"
    needed = None if outcome != "underpowered" else items_needed(d, margin)
    return Equivalence(margin, outcome, p, needed, _non_inferior(d, margin, direction))


def _non_inferior(d: Difference, margin: float, direction: str) -> NonInferior | None:
    if direction == "none" or d.low is None or d.high is None:
        return None
    bad, good = (d.low, d.high) if direction == "higher" else (-d.high, -d.low)
    if bad > -margin:
        return "yes"
    return "no" if good < -margin else "inconclusive"


def items_needed(d: Difference, margin: float) -> int | None:
    """Items (pairs) at which the question is settled with 80 % power.

    If nothing is lost in truth, TOST at 5 % needs (Chow, Shao & Wang, Sample Size Calculations
    in Clinical Research, 3.1; Julious 2004, Stat Med 23:1921)::

        n = ( z(0.95) + z(0.90) )² · variance / margin²  =  8.56 · variance / margin²

    where the variance of one pair is the observed flip rate (at least one flip in n), or
    n · SE² for clustered and continuous scores, so that more items means more of such clusters.
    When there were that many already, the true difference is hardly zero; then it is planned at
    the observed one, to show that it lies inside the margin, or beyond it (two-sided 5 %)::

        n = ( z + z(0.80) )² · variance / (margin - |delta|)²,   z = z(0.95) or z(0.975)
    """
    variance = _pair_variance(d)
    if variance is None:
        return None
    power = normal_quantile(POWER)
    lossless = (normal_quantile(1 - ALPHA) + normal_quantile((1 + POWER) / 2)) / margin
    needed = variance * lossless * lossless
    if needed <= d.n:
        gap = margin - abs(d.delta)
        if gap == 0:
            return None
        z = normal_quantile(1 - ALPHA if gap > 0 else 1 - ALPHA / 2)
        needed = max(variance * ((z + power) / gap) ** 2, d.n + 1.0)
    return math.ceil(needed)


def items_to_tell(d: Difference, gap: float) -> int | None:
    """Items at which a true difference ``gap`` away from a bound is told from it (two-sided 5 %,
    80 % power): n = 7.85 · variance / gap². None when there is no gap or no standard error.
    """
    variance = _pair_variance(d)
    if gap == 0 or variance is None:
        return None
    z = normal_quantile(1 - ALPHA / 2) + normal_quantile(POWER)
    return math.ceil(max(variance * (z / gap) ** 2, d.n + 1.0))


def _pair_variance(d: Difference) -> float | None:
    """Variance of one pair's difference that goes with its standard error.

    None where nothing can be planned with: clusters in which nothing varied.
    """
    if d.score is not None and d.score.n == d.n:
        return max(d.score.up + d.score.down, 1) / d.n
    return d.n * d.se * d.se if d.se else None


def words(e: Equivalence, unit: str, direction: str) -> str:
    """The outcome in words.

    >>> words(Equivalence(0.01, "underpowered", 0.2, 2400, "inconclusive"), "fraction", "higher")
    'lossless within 1 pt: underpowered, needs n = 2,400'
    """
    what = "unchanged" if direction == "none" else "lossless"
    size = f"{100 * e.margin:.3g} pt" if unit == "fraction" else f"{e.margin:.3g} {unit}"
    said: str = e.equivalent
    if e.equivalent == "no" and e.non_inferior == "yes":
        said = "yes, and better by more"
    elif e.equivalent == "underpowered":
        if e.n_needed is not None:
            said += f", needs n = {e.n_needed:,}"
        if e.non_inferior == "yes":
            said += "; a larger loss is ruled out"
    return f"{what} within {size}: {said}"
