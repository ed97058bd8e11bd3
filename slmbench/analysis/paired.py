"""The difference of two runs on the same items, and of two sets of timings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from slmbench.analysis.rows import Judged
from slmbench.analysis.score_test import score_interval, score_z
from slmbench.analysis.special import normal_cdf, t_cdf, t_quantile
from slmbench.analysis.statistics import (
    MDE_FACTOR,
    Estimate,
    mcnemar_exact,
    mde_paired,
    mean_estimate,
    median_ratio_interval,
    median_shift_interval,
    share_estimate,
    t_test_p,
)

Verdict = Literal["better", "worse", "higher", "lower", "not resolved"]
"""``higher`` and ``lower`` are for metrics that have no better side."""
ALPHA = 0.05
COST_MARGIN = 0.05
"""Relative change of a timing below which one process each cannot tell variants apart."""


@dataclass(frozen=True, slots=True)
class Flips:
    """Changes of correctness among pairs of items."""

    down: int
    """Right in the parent, wrong here."""
    up: int
    n: int
    """Pairs; of clustered items without any variance, the number of clusters."""


@dataclass(frozen=True, slots=True)
class AfterLooks:
    """What the looks of an adaptive stop do to the tests of its difference."""

    centre: float
    """Middle of the interval, which the tests are made around."""
    factor: float
    """By which a p of one look grows."""


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
    se: float | None = None
    """Standard error of delta, clustered (quality only)."""
    freedom: int | None = None
    """Its degrees of freedom: clusters - 1."""
    score: Flips | None = None
    """Binary, every item its own cluster: interval and one-sided tests are Tango's, from these."""
    flips: Estimate | None = None
    """Share of items whose correctness changed, with its Wilson interval (binary only)."""
    change: float | None = None
    """median / median - 1 of a cost whose parent's median is positive."""
    change_low: float | None = None
    change_high: float | None = None
    rounds: int | None = None
    """Rounds that variant and parent ran in together, a process each (costs by rounds only)."""
    processes: int | None = None
    """Processes of the side that has fewer (costs without enough rounds)."""
    sign_p: float | None = None
    """Two-sided sign test over the rounds, as a check of the interval."""
    looks: AfterLooks | None = None
    """Set when the number of items was decided by looking at differences."""

    @property
    def flip_rate(self) -> float | None:
        """Share of items whose correctness changed; None for metrics that are not binary."""
        return self.flips.value if self.flips else None

    def p_above(self, bound: float) -> float | None:
        """One-sided p of "delta <= ``bound``" against "delta > ``bound``"; None without an SE.

        Tango's score test for unclustered binary items, otherwise Student's t on the clustered
        SE: the tests that the interval inverts.
        """
        if self.score is not None:
            s = self.score
            return 1 - normal_cdf(score_z(s.down, s.up, s.n, bound))
        return self._t_test(bound, 1)

    def p_below(self, bound: float) -> float | None:
        """One-sided p of "delta >= ``bound``" against "delta < ``bound``"."""
        if self.score is not None:
            above = self.p_above(bound)
            return None if above is None else 1 - above
        return self._t_test(bound, -1)

    def _t_test(self, bound: float, side: int) -> float | None:
        if not self.se or self.freedom is None:
            return None
        centre, factor = self.delta, 1.0
        if self.looks is not None:
            centre, factor = self.looks.centre, self.looks.factor
        t = side * (centre - bound) / self.se
        return min(1.0, factor * (1 - t_cdf(t, max(1, self.freedom))))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Values of two runs on the items that both scored, in the variant's order."""

    items: tuple[str, ...]
    parent: tuple[float, ...]
    variant: tuple[float, ...]
    clusters: tuple[str, ...]
    missing: int = 0
    """Items that both were asked and one of them could not be scored on."""
    parent_weights: tuple[float, ...] = ()
    """Of a pooled metric: what each value is per; empty: items count alike."""
    variant_weights: tuple[float, ...] = ()

    @property
    def differences(self) -> list[float]:
        """Variant minus parent, item by item; their mean is the difference of the two.

        Of a pooled metric R = sum(w·v) / sum(w) each item's share in the difference of the two
        ratios, linearised (Cochran 1977, 6.4)::

            d_i = (R' - R) + n·( w'_i (v'_i - R') / sum(w') - w_i (v_i - R) / sum(w) )
        """
        if not self.parent_weights:
            return [b - a for a, b in zip(self.parent, self.variant, strict=True)]
        before, left = _linearised(self.parent, self.parent_weights)
        after, right = _linearised(self.variant, self.variant_weights)
        return [after - before + r - s for s, r in zip(left, right, strict=True)]

    @property
    def binary(self) -> bool:
        """Whether every value is right (1) or wrong (0)."""
        alike = not self.parent_weights
        return alike and all(v in (0, 1) for v in (*self.parent, *self.variant))


def _linearised(values: Sequence[float], weights: Sequence[float]) -> tuple[float, list[float]]:
    total = math.fsum(weights)
    ratio = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    n = len(values)
    return ratio, [n * w * (v - ratio) / total for v, w in zip(values, weights, strict=True)]


def pairs_of(parent: Judged, variant: Judged) -> Pairs | None:
    """Items that both runs scored; None when there are none.

    Where an item is judged several times (a text by ranges of positions), its groups tell the
    judgements apart.
    """
    by_group = any(len(set(run.items)) < len(run.items) for run in (parent, variant))
    left = {name: i for i, name in enumerate(_names(parent, by_group=by_group))}
    right = enumerate(_names(variant, by_group=by_group))
    shared = [(left[name], j) for j, name in right if name in left]
    kept = [(i, j) for i, j in shared if _scored(parent, i) and _scored(variant, j)]
    if not kept:
        return None
    weighed = bool(parent.weights and variant.weights)
    return Pairs(
        tuple(variant.items[j] for _, j in kept),
        tuple(v for i, _ in kept if (v := parent.values[i]) is not None),
        tuple(v for _, j in kept if (v := variant.values[j]) is not None),
        tuple(variant.clusters[j] for _, j in kept),
        len(shared) - len(kept),
        tuple(w for i, _ in kept if (w := parent.weights[i]) is not None) if weighed else (),
        tuple(w for _, j in kept if (w := variant.weights[j]) is not None) if weighed else (),
    )


def _names(judged: Judged, *, by_group: bool) -> Iterator[tuple[str, str]]:
    """What each judgement is called."""
    for item, group in zip(judged.items, judged.groups, strict=True):
        yield item, group if by_group else ""


def on_shared_items(runs: Sequence[Judged]) -> tuple[Judged, ...]:
    """The judgements of these runs on the items that all of them scored, in one order."""
    places = [{item: i for i, item in enumerate(run.items)} for run in runs]
    items = [
        item
        for item in runs[0].items
        if all(item in at and _scored(run, at[item]) for run, at in zip(runs, places, strict=True))
    ]
    return tuple(
        Judged(
            tuple(items),
            tuple(run.clusters[at[item]] for item in items),
            tuple(run.groups[at[item]] for item in items),
            tuple(run.values[at[item]] for item in items),
            tuple(run.failures[at[item]] for item in items),
            tuple(run.weights[at[item]] for item in items) if run.weights else (),
        )
        for run, at in zip(runs, places, strict=True)
    )


def _scored(judged: Judged, index: int) -> bool:
    if judged.values[index] is None:
        return False
    return not judged.weights or judged.weights[index] is not None


def paired_difference(parent: Judged, variant: Judged) -> Difference | None:
    """Paired difference on the items that both runs scored; None when there are none."""
    pairs = pairs_of(parent, variant)
    return None if pairs is None else difference_of(pairs)


def difference_of(pairs: Pairs) -> Difference:
    """Variant minus parent over these pairs.

    Binary and every item its own cluster: exact McNemar p, Tango's score interval, MDE from the
    flip rate. Otherwise clustered t of d = variant - parent with MDE = 2.80 SE; binary clusters
    without any variance get the score interval with clusters for items.
    """
    differences = pairs.differences
    n, groups = len(differences), len(set(pairs.clusters))
    delta = math.fsum(differences) / n
    estimate = mean_estimate(differences, pairs.clusters)
    how = "t, clustered" if groups < n else "paired t"
    plain = Difference(
        delta, n, estimate.low, estimate.high,
        None if estimate.se is None else t_test_p(delta, estimate.se, groups - 1),
        how, MDE_FACTOR * estimate.se if estimate.se else None,
        excluded=pairs.missing, se=estimate.se, freedom=groups - 1,
    )  # fmt: skip
    return _with_flips(plain, pairs, groups) if pairs.binary else plain


def _with_flips(plain: Difference, pairs: Pairs, groups: int) -> Difference:
    changed, n = pairs.differences, plain.n
    up, down = sum(d > 0 for d in changed), sum(d < 0 for d in changed)
    rate = share_estimate([d != 0 for d in changed], pairs.clusters)
    score: Flips | None = None
    if groups == n:
        score = Flips(down, up, n)
    elif not plain.se:
        score = Flips(round(down * groups / n), round(up * groups / n), groups)
    low, high = plain.low, plain.high
    if score is not None:
        low, high = score_interval(score.down, score.up, score.n)
    p, how, mde = plain.p, plain.p_method, plain.mde
    if groups == n:
        p, how = mcnemar_exact(down, up), "exact McNemar"
        mde = mde_paired(max(up + down, 1) / n, n)
    return Difference(
        plain.delta, n, low, high, p, how, mde, up, down, plain.excluded,
        plain.se, plain.freedom, score, rate,
    )  # fmt: skip


def cost_difference(parent: Sequence[float], variant: Sequence[float]) -> Difference:
    """Difference and ratio of medians with seeded bootstrap intervals (none below six)."""
    before, after = statistics.median(parent), statistics.median(variant)
    low, high = median_shift_interval(parent, variant) or (None, None)
    ratio = median_ratio_interval(parent, variant)
    return Difference(
        after - before, min(len(parent), len(variant)), low, high,
        p_method="bootstrap of medians",
        change=after / before - 1 if before > 0 else None,
        change_low=None if ratio is None else ratio[0] - 1,
        change_high=None if ratio is None else ratio[1] - 1,
    )  # fmt: skip


def round_difference(
    parent: Sequence[float], variant: Sequence[float], parent_value: float
) -> Difference:
    """Difference of costs from one process median each per round, in the order of the rounds.

    log(variant / parent) per round, their mean with a t interval of rounds - 1 degrees of
    freedom, as a ratio: what slows the machine for a whole round cancels. The difference and its
    ends are the ratio - 1 times ``parent_value``. Where a value is not positive, the differences
    themselves. The sign test (Dixon & Mood 1946) leaves ties out.
    """
    pairs = list(zip(parent, variant, strict=True))
    positive = min(*parent, *variant) > 0
    steps = [math.log(b / a) if positive else b - a for a, b in pairs]
    estimate = mean_estimate(steps)
    low, high = estimate.low, estimate.high
    sign = mcnemar_exact(sum(s < 0 for s in steps), sum(s > 0 for s in steps))
    assert estimate.value is not None
    how = "t of log ratios" if positive else "t of differences"
    plain = Difference(
        estimate.value, len(pairs), low, high, p_method=f"{how}, {len(pairs)} rounds",
        rounds=len(pairs), sign_p=sign,
    )  # fmt: skip
    return _as_ratio(plain, parent_value) if positive else plain


def process_difference(
    parent: Sequence[float], variant: Sequence[float], parent_value: float
) -> Difference:
    """Difference of costs from the process medians of two runs that shared too few rounds.

    Welch's interval of the difference of mean logs (Welch 1947, Biometrika 34:28), as a ratio;
    of the values themselves where one is not positive. At least two processes each.
    """
    positive = min(*parent, *variant) > 0
    left, right = ([math.log(v) if positive else v for v in side] for side in (parent, variant))
    step = statistics.fmean(right) - statistics.fmean(left)
    parts = [statistics.variance(side) / len(side) for side in (left, right)]
    se, fewer = math.sqrt(sum(parts)), min(len(left), len(right))
    free = sum(v * v / (len(side) - 1) for v, side in zip(parts, (left, right), strict=True))
    freedom = sum(parts) ** 2 / free if free > 0 else len(left) + len(right) - 2
    half = t_quantile(1 - ALPHA / 2, freedom) * se
    how = f"Welch t of {'logs of ' if positive else ''}process medians"
    plain = Difference(
        step, fewer, step - half, step + half, p_method=f"{how}, {len(left)} and {len(right)}",
        processes=fewer,
    )  # fmt: skip
    return _as_ratio(plain, parent_value) if positive else plain


def _as_ratio(logs: Difference, parent_value: float) -> Difference:
    """A difference of logs as a ratio - 1, and as that share of the parent's value."""
    ratios = [None if v is None else math.expm1(v) for v in (logs.delta, logs.low, logs.high)]
    change, low, high = ratios
    delta, *ends = [None if r is None else r * parent_value for r in ratios]
    assert delta is not None
    return replace(
        logs, delta=delta, low=ends[0], high=ends[1], change=change, change_low=low,
        change_high=high,
    )  # fmt: skip


def quality_verdict(difference: Difference, p_holm: float | None, direction: str) -> Verdict:
    """Resolved only if Holm's p is below 0.05, the interval excludes 0 and |delta| >= MDE."""
    d = difference
    if p_holm is None or p_holm >= ALPHA or not _excludes_zero(d):
        return "not resolved"
    if d.mde is not None and abs(d.delta) < d.mde:
        return "not resolved"
    return _side(d.delta, direction)


def cost_verdict(
    difference: Difference, parent_value: float, direction: str, floor: float | None = None
) -> Verdict:
    """Resolved only if the interval excludes 0 and the change is beyond the machine's noise.

    ``floor``: log ratio that the machine shows between a variant and itself
    (:func:`slmbench.analysis.noise.floor`). Of one process each the change must also be more
    than 5 %, because the interval does not cover what differs between processes.
    """
    d = difference
    alone = d.rounds is None and d.processes is None
    if alone and abs(d.delta) <= COST_MARGIN * abs(parent_value):
        return "not resolved"
    if not _excludes_zero(d) or inside_floor(d, floor):
        return "not resolved"
    return _side(d.delta, direction)


def inside_floor(difference: Difference, floor: float | None) -> bool:
    """Whether a change is no larger than the noise floor; False where one is not known."""
    change = difference.change
    if floor is None or change is None or change <= -1:
        return False
    return abs(math.log1p(change)) <= floor


def _excludes_zero(d: Difference) -> bool:
    return d.low is not None and d.high is not None and (d.low > 0 or d.high < 0)


def _side(delta: float, direction: str) -> Verdict:
    if direction == "none":
        return "higher" if delta > 0 else "lower"
    return "better" if (delta > 0) == (direction == "higher") else "worse"
