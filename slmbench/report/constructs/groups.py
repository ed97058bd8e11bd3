"""Tables of groups: one a metric, groups down, systems across, tinted by value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis import MetricRow
from slmbench.analysis.constructs.judged_run import of_group
from slmbench.analysis.statistics import mean_estimate
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.report.cells import Cell, cell_of
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.systems import Line

MOST_GROUPS = 60
"""Groups of plain means that are still worth a table."""
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Tinted:
    """A cell and how strongly it is tinted."""

    cell: Cell
    heat: int
    """0 to 100: distance from the ideal, or from the smallest value, as share of the largest; 0
    without an interval."""
    above: bool
    """Above the ideal; also where there is none."""


@dataclass(frozen=True, slots=True)
class GroupTable:
    """One metric by group."""

    metric: str
    title: str
    definition: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Tinted | None, ...]], ...]
    """Group and its cells, one per head; None where the run has no such group."""
    ideal: float | None


def group_tables(
    material: Material, task: TaskRuns, lines: Sequence[Line], metrics: Sequence[str]
) -> tuple[GroupTable, ...]:
    """One table a metric, in the order of ``metrics``; the primary's plain means if need be."""
    found: dict[str, dict[str, dict[str, MetricRow]]] = {}
    shown = [line for line in lines if task.runs[line.system].folder in material.rows]
    for line in shown:
        rows = material.groups.get(task.runs[line.system].folder, ())
        for row in rows or _plain(material, task, line):
            found.setdefault(row.metric, {}).setdefault(row.scope, {})[line.short] = row
    places = {name: i for i, name in enumerate(metrics)}
    order = sorted(found, key=lambda m: (places.get(m, len(places)), m))
    heads = tuple(line.short for line in shown)
    return tuple(_table(metric, found[metric], heads) for metric in order)


def _plain(material: Material, task: TaskRuns, line: Line) -> Iterable[MetricRow]:
    """Means of the primary metric by group, where the construct gives none."""
    run = task.runs[line.system]
    column = (material.results.judged(run) or {}).get(task.primary)
    whole = material.rows.get(run.folder, {}).get(task.primary)
    if column is None or whole is None or whole.suspect:
        return
    groups = sorted({name for name in column.groups if name})
    if not 1 < len(groups) <= MOST_GROUPS:
        return
    bounded = task.primary in METRICS and METRICS[task.primary].unit == "fraction"
    for name in groups:
        mine = of_group(column, name)
        kept = [(v, c) for v, c in zip(mine.values, mine.clusters, strict=True) if v is not None]
        if kept:
            estimate = mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=bounded)
            yield MetricRow(
                run, task.primary, estimate, Provenance.MEASURED, scope=name, method="derived"
            )


def _table(
    metric: str, groups: Mapping[str, Mapping[str, MetricRow]], heads: tuple[str, ...]
) -> GroupTable:
    declared = METRICS.get(metric)
    title = declared.label if declared else metric
    ideal = declared.ideal if declared else None
    known = [
        row.estimate.value
        for rows in groups.values()
        for row in rows.values()
        if row.estimate.value is not None
    ]
    origin = ideal if ideal is not None else min(known, default=0.0)
    reach = max((abs(v - origin) for v in known), default=0.0) or 1.0
    rows = tuple(
        (name, tuple(_tinted(groups[name].get(head), title, (origin, reach)) for head in heads))
        for name in sorted(groups, key=natural)
    )
    return GroupTable(metric, title, declared.definition if declared else "", heads, rows, ideal)


def _tinted(row: MetricRow | None, title: str, span: tuple[float, float]) -> Tinted | None:
    if row is None:
        return None
    value, (origin, reach) = row.estimate.value, span
    told = value is not None and row.estimate.low is not None and not row.suspect
    heat = round(100 * abs((value or 0.0) - origin) / reach) if told else 0
    return Tinted(cell_of(row, title), heat, value is None or value >= origin)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key by which numbers in names stand by size: r1, r4, r16."""
    parts = [part for part in _NUMBER.split(name) if part]
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in parts)
