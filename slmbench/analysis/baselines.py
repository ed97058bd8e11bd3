"""What answers without reading the question score: shortcuts through a multiple-choice set.

A test that "always take the longest answer" passes measures answer lengths. Each shortcut is
compared with a run on the same items, paired. All but one are computed from the items alone;
``choices only`` is the same model once more, asked with the choices and no question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from slmbench.analysis.paired import Difference, paired_difference
from slmbench.analysis.rows import Judged, primary_metric
from slmbench.analysis.statistics import Estimate, mean_estimate
from slmbench.records import Provenance, Status
from slmbench.requests import Item, ItemSet
from slmbench.spec import TaskSpec, canonical_json
from slmbench.store import StoredRun

ItemShortcut = Literal[
    "longest answer", "shortest answer", "first answer", "last answer", "majority position"
]
Shortcut = Literal[ItemShortcut, "choices only"]
ITEM_SHORTCUTS: tuple[ItemShortcut, ...] = get_args(ItemShortcut)
"""Those that the items alone decide."""
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)
CHOICES_ONLY: Shortcut = "choices only"
MEANINGS: Mapping[Shortcut, str] = {
    "longest answer": "the choice with the most characters; equal ones share the credit",
    "shortest answer": "the choice with the fewest characters; equal ones share the credit",
    "first answer": "always the first choice",
    "last answer": "always the last choice",
    "majority position": "the place where the right answer stands most often in these very items "
    "(an optimistic baseline: it has seen the answers)",
    "choices only": "the same model's own answers when it is given the choices and no question",
}
NOT_ASKED = "not asked: set choices_only on the task in its suite"
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
    picks: Picks = ()
    """Empty where it has no value, and for ``choices only``."""

    @property
    def provenance(self) -> Provenance:
        """Derived from the items, or measured on the model."""
        if self.estimate.value is None:
            return Provenance.UNAVAILABLE
        return Provenance.MEASURED if self.shortcut == CHOICES_ONLY else Provenance.DERIVED


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
    """Every shortcut that the items alone decide; empty for sets that are not multiple choice.

    The interval is the same as for a run's accuracy: Wilson or clustered t.
    """
    items = usable_items(item_set)
    if item_set.scorer != "multiple_choice" or not items:
        return ()
    return tuple(_baseline(name, items) for name in ITEM_SHORTCUTS)


def picks_of(shortcut: ItemShortcut, items: Sequence[Item]) -> Picks | None:
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
    score = _mean(mine)
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


class ChoicesOnly:
    """The shortcut that needs the model: its runs without the question, by what was asked."""

    def __init__(
        self,
        runs: Iterable[StoredRun],
        judged: Callable[[StoredRun], Mapping[str, Judged] | None],
    ) -> None:
        asked = [r for r in runs if isinstance(r.spec.work, TaskSpec) and r.spec.work.choices_only]
        ordered = sorted(asked, key=lambda r: (r.record.status is Status.OK, r.record.run_id))
        self._runs = {question_of(run): run for run in ordered}
        self._judged = judged

    def beside(self, run: StoredRun, judged: Mapping[str, Judged]) -> Baseline:
        """Of the same model on the same items, in the accuracy that ``run`` is compared by."""
        alone, metric = self._runs.get(question_of(run)), compared_metric(run, judged)
        if alone is None:
            return _no_choices_only(NOT_ASKED)
        if alone.record.status is not Status.OK:
            return _no_choices_only(f"it ended {alone.record.status.value}: {alone.record.reason}")
        mine = (self._judged(alone) or {}).get(metric or "")
        if mine is None:
            return _no_choices_only(f"its run has no scores of {metric}")
        return Baseline(CHOICES_ONLY, _mean(mine), mine)


def question_of(run: StoredRun) -> str:
    """What a run and its baseline have in common: machine, model, target and items asked."""
    spec = run.spec
    assert isinstance(spec.work, TaskSpec)
    work = canonical_json(spec.work.without_question())
    return "\n".join((run.record.machine, spec.variant.digest, canonical_json(spec.target), work))


def _no_choices_only(why: str) -> Baseline:
    return Baseline(CHOICES_ONLY, Estimate(None, 0, method=why), Judged((), (), (), (), ()))


def _mean(judged: Judged) -> Estimate:
    kept = [(v, c) for v, c in zip(judged.values, judged.clusters, strict=True) if v is not None]
    return mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=True)


def _where(lengths: Sequence[int], wanted: int) -> frozenset[int]:
    return frozenset(i for i, length in enumerate(lengths) if length == wanted)


def _baseline(shortcut: ItemShortcut, items: tuple[Item, ...]) -> Baseline:
    picks = picks_of(shortcut, items)
    ids = tuple(i.item_id for i in items)
    clusters, groups = tuple(i.cluster for i in items), tuple(i.group for i in items)
    if picks is None:
        nothing = Judged(ids, clusters, groups, (None,) * len(items), (SAME_LENGTH,) * len(items))
        return Baseline(shortcut, Estimate(None, len(items), method=SAME_LENGTH), nothing)
    credit = tuple(
        1 / len(taken) if i.gold in taken else 0.0 for i, taken in zip(items, picks, strict=True)
    )
    judged = Judged(ids, clusters, groups, credit, (None,) * len(items))
    return Baseline(shortcut, mean_estimate(credit, clusters, bounded=True), judged, picks)
