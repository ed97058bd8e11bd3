"""One run with everything that its derived numbers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmbench.analysis.answers import Answers
from slmbench.analysis.rows import Judged, MetricRow, primary_metric
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance
from slmbench.requests import ItemSet
from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run that ended ok, its items and how they were judged."""

    run: StoredRun
    items: ItemSet
    judged: Mapping[str, Judged]
    """By metric."""
    answers: Answers | None = None
    """None when outputs were not kept or cannot be read."""

    @property
    def scorer(self) -> str:
        """Who judged it."""
        return self.items.scorer

    def row(self, metric: str, estimate: Estimate, group: str = "", reason: str = "") -> MetricRow:
        """A derived number; without a value it is unavailable and ``reason`` says why."""
        missing = estimate.value is None
        return MetricRow(
            self.run,
            metric,
            estimate,
            Provenance.UNAVAILABLE if missing else Provenance.DERIVED,
            primary=metric == primary_metric(self.run) and not group,
            scope=group,
            method="derived",
            reason=(reason or "no item could be scored") if missing else reason,
        )


def of_group(column: Judged, group: str) -> Judged:
    """The judgements of one group's items; all of them for ""."""
    if not group:
        return column
    kept = [i for i, name in enumerate(column.groups) if name == group]
    return Judged(
        tuple(column.items[i] for i in kept),
        tuple(column.clusters[i] for i in kept),
        tuple(column.groups[i] for i in kept),
        tuple(column.values[i] for i in kept),
        tuple(column.failures[i] for i in kept),
        tuple(column.weights[i] for i in kept) if column.weights else (),
    )


def groups_of(judged: Mapping[str, Judged]) -> tuple[str, ...]:
    """ "" for all items, then every named group, sorted."""
    named = {group for column in judged.values() for group in column.groups if group}
    return ("", *sorted(named))
