"""How much of what a compression cost training wins back: gap closure, and what curves tell.

    G(B) = 1 - (L_v(B) - L_base(B)) / (L_v(0) - L_base(0))

with L_v the loss of the compressed variant, L_base that of its uncompressed base, before (0) and
after (B) training both on the same budget. 1: nothing is left of the gap; 0: all of it; below 0:
it grew. With an untrained base in the numerator, what any training brings would count as recovery.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from slmbench.analysis.experiments.findings import Number, nothing, number_of
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import Outcome, judged_of
from slmbench.analysis.paired import on_shared_items
from slmbench.analysis.recovery import ratio_of_sums
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import mean_estimate
from slmbench.made import Training

UNIT = "fraction"


@dataclass(frozen=True, slots=True)
class Four:
    """The variants of one gap closure."""

    base: str
    base_tuned: str
    damaged: str
    tuned: str


def closure(material: Material, outcome: Outcome, four: Four) -> Number:
    """G over the items that all four scored, with a bootstrap interval over items or clusters.

    For losses that are pooled over texts (bits per byte) or averaged over items, lower is better.
    """
    names = (four.base, four.base_tuned, four.damaged, four.tuned)
    found: list[Judged] = []
    for name in names:
        judged = judged_of(material, outcome, name, outcome.works[0])
        if judged is None:
            return nothing(UNIT, f"{name} has no {outcome.title}")
        found.append(judged)
    base, base_tuned, damaged, tuned = on_shared_items(found)
    if not base.items:
        return nothing(UNIT, "no item was scored in all four runs")
    left = _weighed(tuned, base_tuned)
    gap = _weighed(damaged, base)
    if mean_of(gap) <= 0 or _holds_zero(gap, base.clusters):
        return nothing(UNIT, "the compression cost nothing that is resolved: no gap to close")
    ratio = ratio_of_sums(left, gap, base.clusters)
    if ratio.value is None:
        return nothing(UNIT, ratio.reason)
    low, high = (None if end is None else 1 - end for end in (ratio.high, ratio.low))
    how = "bootstrap over texts" if low is not None else ratio.reason
    return Number(1 - ratio.value, UNIT, low, high, ratio.n, how)


def closure_of_curves(base: Training | None, variant: Training | None) -> Number:
    """G from the validation losses of two trainings at their ends [nats/byte]."""
    ends = [losses_of(t) for t in (base, variant) if t is not None]
    if len(ends) < 2 or not all(len(e) > 1 for e in ends):
        return nothing(UNIT, "one of the two trainings has no validation losses")
    (l_base, l_variant) = ends
    gap = l_variant[0] - l_base[0]
    if gap <= 0:
        return nothing(UNIT, "before training the loss was no higher than the base's")
    return Number(1 - (l_variant[-1] - l_base[-1]) / gap, UNIT, method="one training run each")


def losses_of(training: Training) -> list[float]:
    """Validation losses in their order [nats/byte]."""
    return [p.validation for p in training.curve if p.validation is not None]


def mean_loss(training: Training) -> float | None:
    """Area under the learning curve over its length: the mean validation loss (AULC) [nats/byte].

    Trapezoids over tokens. None with fewer than two points.
    """
    points = [(p.tokens, p.validation) for p in training.curve if p.validation is not None]
    if len(points) < 2 or points[-1][0] == points[0][0]:
        return None
    area = math.fsum((t2 - t1) * (a + b) / 2 for (t1, a), (t2, b) in itertools.pairwise(points))
    return area / (points[-1][0] - points[0][0])


def tokens_to(training: Training, target: float) -> float | None:
    """Tokens after which validation loss first reached the target, between points along a line.

    None when it did not within the budget.
    """
    before: tuple[int, float] | None = None
    for p in training.curve:
        if p.validation is None:
            continue
        if p.validation <= target:
            if before is None or before[1] == p.validation:
                return float(p.tokens)
            share = (before[1] - target) / (before[1] - p.validation)
            return before[0] + share * (p.tokens - before[0])
        before = (p.tokens, p.validation)
    return None


def over_seeds_of(closures: Sequence[Number]) -> Number:
    """One closure as it is; several: mean with a t interval over seeds."""
    if len(closures) == 1:
        return closures[0]
    known = [c.value for c in closures if c.value is not None]
    if len(known) < len(closures):
        return next(c for c in closures if c.value is None)
    number = number_of(mean_estimate(known), UNIT)
    return replace(number, method=f"t over {len(known)} seeds")


def mean_of(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def _weighed(left: Judged, right: Judged) -> list[float]:
    """Differences of each item's part in the sum over the text."""
    weights = right.weights or (1.0,) * len(right.items)
    return [
        (a - b) * w
        for a, b, w in zip(left.values, right.values, weights, strict=True)
        if a is not None and b is not None and w is not None
    ]


def _holds_zero(values: Sequence[float], clusters: Sequence[str]) -> bool:
    e = mean_estimate(values, clusters)
    return e.low is None or e.low <= 0
