"""When a paired difference is known well enough to stop asking: group-sequential looks.

Variant minus parent is looked at after every so many items, and asking stops when the interval
is narrow enough. The looks share the error rate as Haybittle (1971, Br J Radiol 44:793) and Peto
et al. (1976, Br J Cancer 34:585) proposed: a tenth of it is spread evenly over the looks that do
not end it, the rest belongs to the one that does. The end is decided by the width alone, never
by where the interval lies (fixed-width estimation: Chow & Robbins 1965, Ann Math Statist 36:457;
monitoring by information: Mehta & Tsiatis 2001, Drug Inf J 35:1095). Together the intervals are
repeated confidence intervals (Jennison & Turnbull 1989, JRSS B 51:305): with the declared
confidence all of them up to the stop hold the true difference.

A width that is estimated too small would end it too soon, when few items have flipped. So two
imagined items that flip each way are added at every look (Agresti & Coull 1998 for one
proportion, Bonett & Price 2012 for pairs), and clusters are kept together with a t quantile.
Figures that led to this choice: docs/decisions/008, benchmarks/stopping_rules.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from slmbench.records import Look
from slmbench.spec.suite import Until

METRIC_OF: Mapping[str, str] = {"acc_delta": "acc", "acc_norm_delta": "acc_norm"}
"""The judged metric whose difference ``Until.metric`` is."""
EARLY_SHARE = 0.1
"""Part of the error rate that the looks before the last one share."""
IMAGINED = 2
"""Imagined items added on either side, worth 1 and -1."""
LEAST_CLUSTERS = 10
"""With fewer clusters the spread between them is not known well enough to stop on it."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which looks there may be, and what they may cost."""

    until: Until
    available: int
    """Items that could be asked (and that the parent was asked)."""

    @property
    def looks(self) -> tuple[int, ...]:
        """Items asked at each look; the last is ``available``."""
        every = self.until.every
        return (*range(every, self.available, every), self.available)

    def error_rate(self, *, last: bool) -> float:
        """Two-sided error rate of one look that ends it, or of one that does not."""
        early = len(self.looks) - 1
        alpha = 1 - self.until.confidence
        if not early:
            return alpha
        return alpha * (1 - EARLY_SHARE) if last else alpha * EARLY_SHARE / early


@dataclass(frozen=True, slots=True)
class Pair:
    """Variant minus parent in one item that both answered."""

    difference: float
    """In [-1, 1]."""
    cluster: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One look, and whether it ends the asking."""

    look: Look
    enough: bool
    """The interval is narrow enough."""


def look(schedule: Schedule, asked: int, pairs: Sequence[Pair]) -> Looked:
    """Judge the pairs that ``asked`` items gave (items unscored on a side give none).

    The look is the last one if its interval, with all of the error rate that is left, is within
    the half-width, or if nothing is left to ask; otherwise its interval is the wider one of an
    early look.
    """
    spread = spread_of(pairs)
    last = schedule.error_rate(last=True)
    if spread is None:
        return Looked(Look(asked=asked, pairs=len(pairs)), enough=False)
    enough = spread.groups >= LEAST_CLUSTERS and (
        spread.halfwidth(last) <= schedule.until.halfwidth
    )
    rate = last if enough or asked >= schedule.available else schedule.error_rate(last=False)
    half = spread.halfwidth(rate)
    alpha = 1 - schedule.until.confidence
    return Looked(
        Look(
            asked=asked,
            pairs=len(pairs),
            estimate=spread.estimate,
            low=max(-1.0, spread.centre - half),
            high=min(1.0, spread.centre + half),
            p=min(1.0, spread.p() * alpha / rate),
        ),
        enough,
    )


def replay(schedule: Schedule, pairs: Sequence[Pair | None]) -> tuple[Look, ...]:
    """The looks at items in the order asked, up to the stop or the last item that there is.

    ``pairs``: one entry per item; None where a side could not be scored.
    """
    return tuple(_looks(schedule, pairs))


def _looks(schedule: Schedule, pairs: Sequence[Pair | None]) -> Iterator[Look]:
    for asked in schedule.looks:
        if asked > len(pairs):
            return
        looked = look(schedule, asked, [p for p in pairs[:asked] if p is not None])
        yield looked.look
        if looked.enough:
            return


def replay_at(
    schedule: Schedule, places: Sequence[int], pairs: Sequence[Pair | None]
) -> tuple[Look, ...]:
    """Early looks after so many items, whatever they show: none of them ends anything."""
    never = Schedule(schedule.until.model_copy(update={"halfwidth": 1e-9}), schedule.available)
    return tuple(
        look(never, asked, [p for p in pairs[:asked] if p is not None]).look
        for asked in places
        if asked < schedule.available
    )


def adjusted_p(looks: Sequence[Look]) -> float | None:
    """Two-sided p of "no difference" over all looks; None when none could be judged.

    Below 1 - confidence exactly when the interval of some look excludes 0.
    """
    return min((one.p for one in looks if one.p is not None), default=None)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean of the pairs and its standard error."""

    estimate: float
    """Mean difference."""
    centre: float
    """The same with the imagined items, the middle of all intervals."""
    se: float
    """Standard error of ``centre``, clustered, imagined items included."""
    groups: int
    """Clusters."""

    def halfwidth(self, rate: float) -> float:
        """Half the width of an interval with this two-sided error rate."""
        from scipy.special import stdtrit

        return self.se * float(stdtrit(self.groups - 1, 1 - rate / 2))

    def p(self) -> float:
        """Two-sided p of a true difference of 0."""
        from scipy.special import stdtr

        return 2 * float(stdtr(self.groups - 1, -abs(self.centre) / self.se))


def spread_of(pairs: Sequence[Pair]) -> Spread | None:
    """Mean and standard error of these pairs; None below two clusters.

    SE of a mean over clusters: sqrt(G / (G - 1) · Σ_g (Σ_i (d_gi - mean))²) / n; where every item
    is its own cluster that is the ordinary one. An imagined item is a cluster of the mean size.
    """
    sums: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for pair in pairs:
        sums[pair.cluster] = sums.get(pair.cluster, 0.0) + pair.difference
        sizes[pair.cluster] = sizes.get(pair.cluster, 0) + 1
    groups, n = len(sums), len(pairs)
    if groups < 2:
        return None
    size, total = n / groups, math.fsum(sums.values())
    weight = n + 2 * IMAGINED * size
    centre = total / weight
    squares = math.fsum((sums[name] - sizes[name] * centre) ** 2 for name in sums)
    squares += IMAGINED * size * size * ((1 - centre) ** 2 + (1 + centre) ** 2)
    se = math.sqrt(squares * groups / (groups - 1)) / weight
    return Spread(total / n, centre, se, groups)
