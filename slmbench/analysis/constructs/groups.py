"""Means of score rows by group: what the tables of the stereotype probes are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of, of_group
from slmbench.analysis.rows import DISTANCE_OF, Judged, MetricRow
from slmbench.analysis.statistics import Estimate, distance_estimate, mean_estimate
from slmbench.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Scored:
    """The items of a column that have a value."""

    items: tuple[str, ...]
    values: tuple[float, ...]
    clusters: tuple[str, ...]


def scored(column: Judged | None, group: str = "") -> Scored:
    """Items of one group ("" is all) that have a value, in stored order; none without a column."""
    if column is None:
        return Scored((), (), ())
    mine = of_group(column, group)
    kept = [
        (item, value, cluster)
        for item, value, cluster in zip(mine.items, mine.values, mine.clusters, strict=True)
        if value is not None
    ]
    return Scored(tuple(k[0] for k in kept), tuple(k[1] for k in kept), tuple(k[2] for k in kept))


def mean_of(column: Judged | None, metric: str, group: str = "") -> Estimate:
    """Mean over a group's items, clustered; a Wilson interval where the metric is a share."""
    mine = scored(column, group)
    return mean_estimate(mine.values, mine.clusters, bounded=METRICS[metric].unit == "fraction")


def group_means(run: JudgedRun, metrics: Sequence[str]) -> Iterator[MetricRow]:
    """One row per named group and metric that any of the group's items was judged by.

    The mean over all items is no derived number: it stands with the run's own metrics.
    """
    for group in groups_of(run.judged)[1:]:
        for metric in metrics:
            column = run.judged.get(metric)
            if column is not None and group in column.groups:
                yield run.row(metric, mean_of(column, metric, group), group)


def group_distances(run: JudgedRun) -> Iterator[MetricRow]:
    """``stereotype_distance`` per named group."""
    for metric, source in DISTANCE_OF.items():
        column, ideal = run.judged.get(source), METRICS[source].ideal
        if column is None or ideal is None:
            continue
        for group in sorted({name for name in column.groups if name}):
            yield run.row(metric, distance_estimate(mean_of(column, source, group), ideal), group)
