"""Rows below a task's table: what shortcuts, guessing and dead models score on the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis import MetricRow
from slmbench.analysis.baselines import MEANINGS, SHORTCUTS
from slmbench.analysis.constructs import derived
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import DISTANCE_OF, Judged
from slmbench.analysis.sentinels import Sentinel, sentinels
from slmbench.analysis.statistics import Estimate, distance_estimate, mean_estimate
from slmbench.metrics import METRICS
from slmbench.records import Provenance, Status
from slmbench.report.cells import Cell
from slmbench.report.constructs.gathering import Material, TaskRuns

TOLD = ("fraction", "score", "bits")
"""Units that a made-up log-likelihood says something about; its nats mean nothing."""


@dataclass(frozen=True, slots=True)
class Floor:
    """One way to answer without any skill."""

    name: str
    meaning: str
    cells: tuple[Cell | None, ...]
    """One per metric in sight; None where it has no such number."""


def floors(material: Material, task: TaskRuns, metrics: Sequence[str]) -> tuple[Floor, ...]:
    """Those that have at least one of the numbers, sentinels first."""
    if task.items is None:
        return ()
    shortcuts = tuple(_shortcuts(material, task, metrics))
    known = {floor.name for floor in shortcuts}
    made = [_with_derived(task, one) for one in sentinels(task.items) if one.name not in known]
    found = [_floor(one, rows, metrics) for one, rows in made]
    found += shortcuts
    return tuple(floor for floor in found if any(cell is not None for cell in floor.cells))


def _with_derived(task: TaskRuns, one: Sentinel) -> tuple[Sentinel, Mapping[str, MetricRow]]:
    """The sentinel with its numbers that are no plain mean; over all items, no group apart."""
    run = next((r for r in task.runs.values() if r.record.status is Status.OK), None)
    if run is None or task.items is None:
        return one, {}
    whole = {
        metric: replace(column, groups=("",) * len(column.groups))
        for metric, column in one.judged.items()
    }
    rows = derived(JudgedRun(run, task.items, whole))
    return one, {row.metric: row for row in rows if not row.scope}


def _floor(one: Sentinel, rows: Mapping[str, MetricRow], metrics: Sequence[str]) -> Floor:
    return Floor(one.name, one.meaning, tuple(_of(one, rows, metric) for metric in metrics))


def _of(one: Sentinel, rows: Mapping[str, MetricRow], metric: str) -> Cell | None:
    source = DISTANCE_OF.get(metric, metric)
    column, declared = one.judged.get(source), METRICS.get(metric)
    if declared is None or declared.unit not in TOLD:
        return None
    if column is None:
        row = rows.get(metric)
        return None if row is None else _cell(one.name, metric, row.estimate, one.meaning)
    if column.weights:
        return None
    estimate = _mean(column, bounded=METRICS[source].unit == "fraction")
    if source != metric:
        estimate = distance_estimate(estimate, METRICS[source].ideal or 0.0)
    return _cell(one.name, metric, estimate, one.meaning)


def _mean(column: Judged, *, bounded: bool) -> Estimate:
    kept = [(v, c) for v, c in zip(column.values, column.clusters, strict=True) if v is not None]
    return mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=bounded)


def _shortcuts(material: Material, task: TaskRuns, metrics: Sequence[str]) -> Iterator[Floor]:
    """Of multiple choice; ``choices only`` differs by model, and the highest is shown."""
    folders = {run.folder for run in task.runs.values()}
    mine = [one for one in material.results.shortcuts if one.run.folder in folders]
    for name in SHORTCUTS:
        valued = [
            one
            for one in mine
            if one.baseline.shortcut == name and one.baseline.estimate.value is not None
        ]
        if valued:
            best = max(valued, key=lambda one: one.baseline.estimate.value or 0.0)
            cell = _cell(name, best.metric, best.baseline.estimate, MEANINGS[name])
            yield Floor(
                name, MEANINGS[name], tuple(cell if m == best.metric else None for m in metrics)
            )


def _cell(name: str, metric: str, estimate: Estimate, meaning: str) -> Cell | None:
    if estimate.value is None:
        return None
    return Cell(
        name,
        metric,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        METRICS[metric].unit,
        Provenance.DERIVED.value,
        detail=f"{meaning}; {estimate.method}",
    )
