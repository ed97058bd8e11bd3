"""What answers without reading the question score: shortcuts through a multiple-choice set.

A test that "always take the longest answer" passes measures answer lengths. Each shortcut is
computed from the items alone and compared with a run on the same items, paired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from slmbench.analysis.paired import Difference, paired_difference
from slmbench.analysis.rows import Judged, primary_metric
from slmbench.analysis.statistics import Estimate, mean_estimate
from slmbench.requests import Item, ItemSet
from slmbench.store import StoredRun

Shortcut = Literal[
    "longest answer", "shortest answer", "first answer", "last answer", "majority position"
]
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)
MEANINGS: Mapping[Shortcut, str] = {
    "longest answer": "the choice with the most characters; equal ones share the credit",
    "shortest answer": "the choice with the fewest characters; equal ones share the credit",
    "first answer": "always the first choice",
    "last answer": "always the last choice",
    "majority position": "the place where the right answer stands most often in these very items "
    "(an optimistic baseline: it has seen the answers)",
}
Told = Literal["above", "below", "not told apart"]
ACCURACIES = ("acc", "acc_norm", "acc_bytes")
SAME_LENGTH = "all choices of every item are equally long"

Picks = tuple[frozenset[int], ...]
"""Per item the choices that a shortcut takes; more than one share the credit."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One shortcut on one item set."""

    shortcut: Shortcut
    estimate: Estimate
    """Its accuracy; null with a reason in ``method`` where it cannot be told."""
    judged: Judged
    """Its credit on each item."""
    picks: Picks


@dataclass(frozen=True, slots=True)
class AgainstBaseline:
    """One run beside one shortcut on the same items."""

    run: StoredRun
    metric: str
    """Accuracy of the run that is compared: its primary metric, or acc."""
    score: Estimate
    baseline: Baseline
    difference: Difference | None
    """Run minus shortcut, paired; None where the shortcut has no value."""
    chance: float | None

    @property
    def told(self) -> Told | None:
        """Whether the paired interval excludes 0, and on which side."""
        d = self.difference
        if d is None or d.low is None or d.high is None:
            return None
        if d.low > 0:
            return "above"
        return "below" if d.high < 0 else "not told apart"


def usable_items(item_set: ItemSet) -> tuple[Item, ...]:
    """Items with a right answer among at least two choices."""
    return tuple(
        i for i in item_set.items if i.gold is not None and 0 <= i.gold < len(i.choices) > 1
    )


def item_baselines(item_set: ItemSet) -> tuple[Baseline, ...]:
    """Every shortcut on a multiple-choice set; empty for other sets.

    The interval is the same as for a run's accuracy: Wilson or clustered t.
    """
    items = usable_items(item_set)
    if item_set.scorer != "multiple_choice" or not items:
        return ()
    return tuple(_baseline(name, items) for name in SHORTCUTS)


def picks_of(shortcut: Shortcut, items: Sequence[Item]) -> Picks | None:
    """What the shortcut takes on each item; None when lengths say nothing."""
    if shortcut in ("longest answer", "shortest answer"):
        if all(len({len(c) for c in item.choices}) == 1 for item in items):
            return None
        wanted = max if shortcut == "longest answer" else min
        return tuple(
            _where([len(c) for c in i.choices], wanted(map(len, i.choices))) for i in items
        )
    if shortcut == "first answer":
        return tuple(frozenset({0}) for _ in items)
    if shortcut == "last answer":
        return tuple(frozenset({len(i.choices) - 1}) for i in items)
    place = Counter(i.gold for i in items).most_common(1)[0][0] or 0
    return tuple(frozenset({min(place, len(i.choices) - 1)}) for i in items)


def against_baselines(
    run: StoredRun, judged: Mapping[str, Judged], found: Iterable[Baseline], chance: float | None
) -> tuple[AgainstBaseline, ...]:
    """One run beside each shortcut; empty when it has no accuracy."""
    metric = compared_metric(run, judged)
    if metric is None:
        return ()
    mine = judged[metric]
    kept = [(v, c) for v, c in zip(mine.values, mine.clusters, strict=True) if v is not None]
    score = mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=True)
    return tuple(
        AgainstBaseline(
            run,
            metric,
            score,
            b,
            paired_difference(b.judged, mine) if b.estimate.value is not None else None,
            chance,
        )
        for b in found
    )


def compared_metric(run: StoredRun, judged: Mapping[str, Judged]) -> str | None:
    """The accuracy that a run is compared by: its primary metric where that is one, else acc."""
    primary = primary_metric(run)
    if primary in ACCURACIES and primary in judged:
        return primary
    return "acc" if "acc" in judged else None


def _where(lengths: Sequence[int], wanted: int) -> frozenset[int]:
    return frozenset(i for i, length in enumerate(lengths) if length == wanted)


def _baseline(shortcut: Shortcut, items: tuple[Item, ...]) -> Baseline:
    picks = picks_of(shortcut, items)
    ids = tuple(i.item_id for i in items)
    clusters, groups = tuple(i.cluster for i in items), tuple(i.group for i in items)
    if picks is None:
        nothing = Judged(ids, clusters, groups, (None,) * len(items), (SAME_LENGTH,) * len(items))
        return Baseline(shortcut, Estimate(None, len(items), method=SAME_LENGTH), nothing, ())
    credit = tuple(
        1 / len(taken) if i.gold in taken else 0.0 for i, taken in zip(items, picks, strict=True)
    )
    judged = Judged(ids, clusters, groups, credit, (None,) * len(items))
    return Baseline(shortcut, mean_estimate(credit, clusters, bounded=True), judged, picks)
