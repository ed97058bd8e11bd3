"""What disturbed items cost: accuracy beside the plain items, flips, and whether it grew.

A run on disturbed items (``RunSpec.is_baseline``) is paired with the run of the same model on the
plain ones, by item id. Compression may leave accuracy alone and still make a model more brittle:
each drop is compared with the parent's, item by item, on what all four runs scored:
``(plain - disturbed of the variant) - (plain - disturbed of the parent)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from slmbench.analysis.baselines import compared_metric
from slmbench.analysis.paired import Difference, on_shared_items, paired_difference, pairs_of
from slmbench.analysis.pairing import Lineages
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.statistics import Estimate, mean_estimate, share_estimate
from slmbench.metrics import METRICS
from slmbench.records import Provenance, Status
from slmbench.requests import ItemSet
from slmbench.spec import TaskSpec, canonical_json
from slmbench.spec.suite import Perturbation
from slmbench.store import StoredRun

T = TypeVar("T")
JudgedOf = Callable[[StoredRun], Mapping[str, Judged] | None]
ItemsOf = Callable[[StoredRun], ItemSet | None]
NO_PLAIN = "the same model has no finished run on the plain items"
NO_PAIRS = "no item was scored in both runs"
ONLY_CHANGED = frozenset({"names"})
"""Kinds that few items can be asked in: their numbers are of the items that were changed, as one
that stayed as it was says nothing. The others keep all items, those that stayed included."""
NO_ITEMS = "the items were not kept, so it is not known which of them were changed"
NONE_CHANGED = "no item of the sample could be changed"


@dataclass(frozen=True, slots=True)
class Brittler:
    """A variant's drop beside its parent's."""

    parent: StoredRun | None
    """The parent's run on disturbed items; None with a reason."""
    drop: float | None
    """The parent's drop on the items that all four runs scored."""
    difference: Estimate
    """Variant's drop minus parent's, with the clustered t interval."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Robustness:
    """One model on one task, plain and disturbed in one way."""

    run: StoredRun
    """On the disturbed items."""
    how: Perturbation
    plain_run: StoredRun | None
    metric: str
    """Of both sides: the task's accuracy, else its primary metric."""
    plain: Estimate
    """On the pairs alone."""
    disturbed: Estimate
    difference: Difference | None
    """Disturbed minus plain; None with a reason."""
    flips: Estimate
    """Share of pairs whose credit differs."""
    changed: int | None
    """Items whose prompt really differs; None when that cannot be read."""
    asked: int
    """Items of the disturbed run that are also in the plain one."""
    only: frozenset[str] | None = None
    """The items that the numbers are of; null: all (:data:`ONLY_CHANGED`)."""
    reason: str = ""
    against: Brittler | None = None
    """The parent; None for a root."""

    @property
    def drop(self) -> Estimate:
        """Plain minus disturbed with the interval of the paired difference."""
        d = self.difference
        if d is None:
            return Estimate(None, 0, method=self.reason)
        low = None if d.high is None else -d.high
        high = None if d.low is None else -d.low
        return Estimate(-d.delta, d.n, low, high, d.se, d.p_method)

    @property
    def changed_share(self) -> float | None:
        """Of the items asked; None when that cannot be read."""
        return self.changed / self.asked if self.changed is not None and self.asked else None

    def rows(self) -> Iterator[MetricRow]:
        """The numbers as metric rows of the disturbed run; ``scope`` is the kind.

        Only of accuracies and their kin: shares of which more is better.
        """
        declared = METRICS.get(self.metric)
        if declared is None or (declared.unit, declared.direction) != ("fraction", "higher"):
            return
        metrics = {
            "perturbed_acc": self.disturbed,
            "robustness_drop": self.drop,
            "perturbation_flip_rate": self.flips,
        }
        if self.against is not None:
            metrics["robustness_drop_delta"] = self.against.difference
        for name, estimate in metrics.items():
            missing = estimate.value is None
            yield MetricRow(
                self.run,
                name,
                estimate,
                Provenance.UNAVAILABLE if missing else Provenance.DERIVED,
                scope=self.how,
                method="derived",
                reason=(self.reason or estimate.method) if missing else "",
                n_failed=self.difference.excluded if self.difference else 0,
            )


def robustness(
    plain: Iterable[StoredRun],
    beside: Iterable[StoredRun],
    judged: JudgedOf,
    items: ItemsOf,
) -> tuple[Robustness, ...]:
    """One row per run on disturbed items.

    Args:
        plain: the runs that count.
        beside: the runs of baselines; those that are not disturbed are passed over.
        judged: judgements of a run by metric.
        items: the items of a run.
    """
    runs = tuple(plain)
    pairer = _Pairer(_newest(runs), judged, items)
    found = [pairer.pair(run, how) for run in beside if (how := _how(run)) is not None]
    lineages = Lineages.of((*runs, *(one.run for one in found)))
    return tuple(replace(one, against=pairer.against(one, found, lineages)) for one in found)


def drop_difference(variant: Sequence[Judged], parent: Sequence[Judged]) -> tuple[float, Estimate]:
    """The parent's drop, and the variant's minus it, on the items that all four scored.

    Each side is (plain, disturbed). Clustered t interval (:func:`mean_estimate`) of the
    differences of differences; the estimate has no value when there is no such item.
    """
    four = on_shared_items((*variant, *parent))
    mine, mine_d, theirs, theirs_d = ([v for v in j.values if v is not None] for j in four)
    if not mine:
        return 0.0, Estimate(None, 0, method="no item was scored in all four runs")
    lost = [a - b for a, b in zip(theirs, theirs_d, strict=True)]
    more = [a - b - c for a, b, c in zip(mine, mine_d, lost, strict=True)]
    return sum(lost) / len(lost), mean_estimate(more, four[0].clusters)


@dataclass(frozen=True, slots=True)
class _Pairer:
    """Finds the other runs and makes the numbers."""

    plain: Mapping[str, StoredRun]
    judged: JudgedOf
    items: ItemsOf

    def pair(self, run: StoredRun, how: Perturbation) -> Robustness:
        """One disturbed run beside the plain one; without one, or after a failure, a reason."""
        found = self.plain.get(_question(run))
        why = _ended(run) or (NO_PLAIN if found is None else _ended(found))
        if why or found is None:
            return _nothing(run, how, found, why)
        metric, before, after = self._sides(run, found)
        if before is None or after is None:
            return _nothing(run, how, found, f"there are no scores of {metric} on both sides")
        changed, asked = self._changed(run, found)
        only = changed if how in ONLY_CHANGED else None
        if how in ONLY_CHANGED and not changed:
            return _nothing(run, how, found, NO_ITEMS if changed is None else NONE_CHANGED)
        before, after = _of(before, only), _of(after, only)
        difference = paired_difference(before, after)
        if difference is None:
            return _nothing(run, how, found, NO_PAIRS)
        left, right = on_shared_items((before, after))
        return Robustness(
            run, how, found, metric, _mean(left), _mean(right), difference,
            flip_share(before, after), None if changed is None else len(changed), asked, only,
        )  # fmt: skip

    def against(
        self, one: Robustness, others: Sequence[Robustness], lineages: Lineages
    ) -> Brittler | None:
        """The drop beside the parent's; None for a root."""
        ref = one.run.spec.variant
        wanted = lineages.parent(ref)
        if wanted is None:
            return None
        alike = [o for o in others if o.run.spec.variant.name == wanted.name and _alike(o, one)]
        if one.difference is None or not alike:
            why = one.reason or f"the parent {wanted.name} has no such result"
            return Brittler(None, None, Estimate(None, 0, method=why), why)
        best = max(
            alike,
            key=lambda o: (
                o.run.spec.variant.digest == wanted.digest,
                o.run.spec.target.name == one.run.spec.target.name,
                o.run.spec.target.backend == one.run.spec.target.backend,
                o.run.record.machine == one.run.record.machine,
                o.run.record.run_id,
            ),
        )
        lost, difference = drop_difference(self._both(one), self._both(best))
        if difference.value is None:
            return Brittler(best.run, None, difference, difference.method)
        return Brittler(best.run, lost, difference)

    def _both(self, one: Robustness) -> tuple[Judged, Judged]:
        assert one.plain_run is not None
        return (
            _of((self.judged(one.plain_run) or {})[one.metric], one.only),
            _of((self.judged(one.run) or {})[one.metric], one.only),
        )

    def _sides(self, run: StoredRun, plain: StoredRun) -> tuple[str, Judged | None, Judged | None]:
        before, after = self.judged(plain) or {}, self.judged(run) or {}
        work = plain.spec.work
        assert isinstance(work, TaskSpec)
        metric = compared_metric(plain, before) or work.primary
        return metric, before.get(metric), after.get(metric)

    def _changed(self, run: StoredRun, plain: StoredRun) -> tuple[frozenset[str] | None, int]:
        """Ids of the items whose requests differ, of so many that both runs have."""
        mine, theirs = self.items(run), self.items(plain)
        if mine is None or theirs is None:
            return None, 0
        before = {item.item_id: item.requests for item in theirs.items}
        shared = [item for item in mine.items if item.item_id in before and item.requests]
        differ = (i.item_id for i in shared if i.requests != before[i.item_id])
        return frozenset(differ), len(shared)


def flip_share(before: Judged, after: Judged) -> Estimate:
    """Share of pairs whose credit differs (right and wrong for 0 and 1; ties have parts)."""
    pairs = pairs_of(before, after)
    if pairs is None:
        return Estimate(None, 0, method=NO_PAIRS)
    return share_estimate([d != 0 for d in pairs.differences], pairs.clusters)


def _of(judged: Judged, only: frozenset[str] | None) -> Judged:
    """The judgements of some items alone; of all where none are named."""
    if only is None:
        return judged
    kept = [i for i, item in enumerate(judged.items) if item in only]

    def picked(values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values[i] for i in kept) if values else ()

    return Judged(
        picked(judged.items),
        picked(judged.clusters),
        picked(judged.groups),
        picked(judged.values),
        picked(judged.failures),
        picked(judged.weights),
    )


def _nothing(run: StoredRun, how: Perturbation, plain: StoredRun | None, why: str) -> Robustness:
    assert isinstance(run.spec.work, TaskSpec)
    none = Estimate(None, 0, method=why)
    return Robustness(
        run, how, plain, run.spec.work.primary, none, none, None, none, None, 0, reason=why
    )


def _alike(left: Robustness, right: Robustness) -> bool:
    """Whether two models were asked the same items in the same disturbed words."""
    a, b = left.run, right.run
    return (
        left.difference is not None
        and right.difference is not None
        and (a.spec.suite, a.spec.size, a.spec.work_name)
        == (b.spec.suite, b.spec.size, b.spec.work_name)
        and a.record.item_set == b.record.item_set
        and left.metric == right.metric
    )


def _how(run: StoredRun) -> Perturbation | None:
    work = run.spec.work
    return work.perturb if isinstance(work, TaskSpec) else None


def _newest(runs: Iterable[StoredRun]) -> Mapping[str, StoredRun]:
    """By what they have in common with their disturbed runs; ok before failed, then the newest."""
    ordered = sorted(runs, key=lambda r: (r.record.status is Status.OK, r.record.run_id))
    return {_question(run): run for run in ordered if isinstance(run.spec.work, TaskSpec)}


def _question(run: StoredRun) -> str:
    """Machine, model, target and plain items; not how they are disturbed, nor until when asked.

    The definition is left out: a disturbed cell's covers how it is disturbed.
    """
    spec = run.spec
    assert isinstance(spec.work, TaskSpec)
    work = spec.work.model_copy(update={"perturb": None, "until": None, "definition": ""})
    return "\n".join(
        (
            run.record.machine,
            spec.suite,
            spec.size,
            spec.variant.digest,
            canonical_json(spec.target),
            canonical_json(work),
        )
    )


def _ended(run: StoredRun) -> str:
    record = run.record
    ok = record.status is Status.OK
    return "" if ok else f"{run.spec.work_name} ended {record.status.value}: {record.reason}"


def _mean(judged: Judged) -> Estimate:
    values = [v for v in judged.values if v is not None]
    return mean_estimate(values, judged.clusters, bounded=all(0 <= v <= 1 for v in values))
