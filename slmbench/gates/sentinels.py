"""G4: a model that knows nothing scores chance, or is an error; never more.

Six fakes go through the real path (worker, scorer): one whose numbers are NaN, one that finds
all tokens equally likely, one that answers by hash, one that always writes that it does not know,
one that prefers the choice that is asked for first and one that prefers the longest. A scorer with
``argmax`` over NaN or over ties gives index 0, and on data whose right answer is always the first
(TruthfulQA MC1) a dead model would score 100 %.

A rate with a chance level must contain it in its interval; a rate without one (exact match) must
lie near 0, and for the one that always abstains at no more than one half; NaN must leave no score
at all. The longest choice may score what the items say that it scores, if that is not nearly all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from slmbench.analysis.baselines import item_baselines
from slmbench.analysis.chance import chance_level
from slmbench.analysis.sentinels import Sentinel as NoSkill
from slmbench.analysis.sentinels import sentinels
from slmbench.gates.result import GateResult, judged
from slmbench.metrics import METRICS
from slmbench.records import ScoreRow, Status
from slmbench.requests import ItemSet, LoglikelihoodRequest
from slmbench.store.gates import GateNumber
from slmbench.tasks.scorers.answers import winner_share

GATE = "G4"
Mode = Literal["nan", "constant", "random", "abstain", "first", "longest"]
MODES: tuple[Mode, ...] = get_args(Mode)
Z = 3.29
"""Normal quantile of a two-sided 99.9 % interval: the fakes are fixed, a false alarm would stay."""
_NEAR_ZERO = 0.02
_NO_MORE_BY_ABSTAINING = 0.5
"""Of a rate without a chance level: half of the questions may be there to be declined."""
_TOO_GOOD_A_SHORTCUT = 0.9
"""A set whose first or longest choice is right this often is broken."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What one fake got on one task."""

    task: str
    mode: Mode
    status: Status
    primary: str
    """The metric that stands for the task."""
    values: tuple[float, ...]
    """Of the primary metric, one per scored item."""
    expected: tuple[float, ...]
    """Chance, where the metric has a level, and what choosing by length alone gives: a model to
    which all tokens are alike finds the shortest answer most likely."""


def sentinel_of(
    items: ItemSet, primary: str, mode: Mode, status: Status, rows: Sequence[ScoreRow]
) -> Sentinel:
    """Collect the primary metric's values."""
    values = tuple(r.value for r in rows if r.metric == primary and r.value is not None)
    chance = chance_level(primary, items.items)
    expected = () if chance is None else (chance, *_by_form(items, primary, mode, chance))
    return Sentinel(items.task, mode, status, primary, values, expected)


def _shortest(items: ItemSet) -> float:
    """Accuracy of always taking the continuation with the fewest bytes, ties shared."""
    shares = []
    for item in items.items:
        asked = [r for r in item.requests if isinstance(r, LoglikelihoodRequest)]
        sizes = [-len(r.continuation.encode()) for r in asked]
        if item.gold is not None and item.gold < len(sizes):
            shares.append(winner_share(sizes, item.gold))
    return math.fsum(shares) / len(shares) if shares else 0.0


def _by_form(items: ItemSet, primary: str, mode: Mode, chance: float) -> tuple[float, ...]:
    """What length or place of the choices give besides chance; never nearly everything.

    Raw sums of log-likelihoods prefer short texts: a model to which all tokens are alike does so
    throughout, one that answers by hash on the whole, which may only take it below chance.
    """
    if mode == "first":
        found = [b.estimate.value for b in item_baselines(items) if b.shortcut == "first answer"]
    elif mode == "longest":
        found = [_mean(s, primary) for s in sentinels(items) if s.name == "longest answer"]
    else:
        shortest = _shortest(items) if primary == "acc" else None
        alike = mode == "constant"
        return () if shortest is None or (not alike and shortest >= chance) else (shortest,)
    return tuple(v for v in found if v is not None and v < _TOO_GOOD_A_SHORTCUT)


def _mean(one: NoSkill, primary: str) -> float | None:
    column = one.judged.get(primary)
    kept = [value for value in column.values if value is not None] if column else []
    return math.fsum(kept) / len(kept) if kept else None


def judge_sentinels(found: Sequence[Sentinel], skipped: Sequence[str] = ()) -> GateResult:
    """Every sentinel must have been caught; ``skipped`` tasks (no data here) are listed."""
    faults = [fault for one in found if (fault := fault_of(one))]
    numbers = (
        GateNumber(name="tasks", value=len({one.task for one in found}), at_least=1),
        GateNumber(name="sentinels with a score", value=len(faults), at_most=0),
    )
    details = (*faults, *(f"not tried: {name}" for name in skipped))
    return judged(GATE, numbers, f"{len(found)} sentinel runs", details)


def fault_of(one: Sentinel) -> str:
    """Why this sentinel's score is one that it should not have; empty when all is well."""
    where = f"{one.task}, {one.mode} model"
    scored = one.status is Status.OK and bool(one.values)
    if one.mode == "nan":
        return f"{where}: {len(one.values)} items have a score" if scored else ""
    if not scored:
        return ""
    metric = METRICS.get(one.primary)
    if metric is None or metric.unit != "fraction":
        return ""
    low, high = interval(one.values)
    mean = math.fsum(one.values) / len(one.values)
    said = f"{where}: {one.primary} is {mean:.3f} ({low:.3f} to {high:.3f})"
    if one.expected:
        near = any(low <= value <= high for value in one.expected)
        return "" if near else f"{said}, expected {' or '.join(f'{e:.3f}' for e in one.expected)}"
    most = _NO_MORE_BY_ABSTAINING if one.mode == "abstain" else _NEAR_ZERO
    knows = metric.direction == "higher" and metric.ideal is None and low > most
    return f"{said}, expected nothing" if knows else ""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """99.9 % Wilson score interval of a mean of values between 0 and 1 (Wilson 1927)."""
    n = len(values)
    mean, z2 = math.fsum(values) / n, Z * Z
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(mean * (1 - mean) / n + z2 / (4 * n * n))
    return centre - half, centre + half
