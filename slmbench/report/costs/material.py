"""What the cost pages are made of: timed runs by suite and system, their rows, and differences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmbench.analysis import Comparison, Delta, MetricRow, Results
from slmbench.metrics import METRICS
from slmbench.records import Status
from slmbench.report.cells import Cell
from slmbench.report.constructs.systems import Line, lines_of
from slmbench.report.costs.entries import Entry, Head, Reading, Row, reading, titled
from slmbench.report.leaderboard import LeaderboardRow, System
from slmbench.spec import WorkloadSpec
from slmbench.store import StoredRun

COMPARED = ("ttft", "output_throughput")
"""Metrics whose ratio to the parent stands on a page, beside the primary ones of workloads."""


@dataclass(frozen=True, slots=True)
class Block:
    """The runs of one workload in one suite, one a system."""

    suite: str
    workload: str
    runs: Mapping[System, StoredRun]
    lines: tuple[Line, ...]
    """The systems that have a run, parents first."""

    @property
    def points(self) -> tuple[str, ...]:
        """All points in the order of the suite."""
        named = [p.label for run in self.runs.values() for p in _work(run).points]
        return tuple(dict.fromkeys(named))

    @property
    def sizes(self) -> tuple[str, ...]:
        """Sizes that the runs are of."""
        return tuple(sorted({system.size for system in self.runs}))


@dataclass(frozen=True, slots=True)
class Costs:
    """Results, arranged for the cost pages."""

    results: Results
    lines: tuple[Line, ...]
    blocks: tuple[Block, ...]
    rows: Mapping[Path, tuple[MetricRow, ...]]
    """By run."""
    changes: Mapping[tuple[Path, str, str, str], Delta]
    """By run, metric, point and scope: the difference from the parent."""

    def of(self, workload: str) -> tuple[Block, ...]:
        """The blocks of a workload, by suite."""
        return tuple(block for block in self.blocks if block.workload == workload)

    def row(
        self, run: StoredRun, metric: str, *, point: str | None = None, phase: str | None = None
    ) -> MetricRow | None:
        """The row with the most readings; rows without a value only where there is no other."""
        found = [
            row
            for row in self.rows.get(run.folder, ())
            if row.metric == metric
            and (point is None or row.point == point)
            and (phase is None or row.phase == phase)
        ]
        return max(found, key=lambda r: (r.estimate.value is not None, r.estimate.n), default=None)

    def entry(
        self, run: StoredRun, metric: str, *, point: str | None = None, phase: str | None = None
    ) -> Reading:
        """The entry of that row, or why there is none."""
        title = METRICS[metric].label
        row = self.row(run, metric, point=point, phase=phase)
        if row is not None:
            return reading(row, title)
        why = run.record.reason or "this run has no such number"
        return Reading(Cell(title, metric, status=run.record.status.value, reason=why))

    def change(self, run: StoredRun, metric: str, point: str = "") -> Delta | None:
        """The difference of that row from the parent's."""
        row = self.row(run, metric, point=point)
        return None if row is None else self.changes.get(_key(row))

    def has(self, runs: Iterable[StoredRun], metric: str, point: str | None = None) -> bool:
        """Whether any of the runs has a value of the metric."""
        rows = (self.row(run, metric, point=point) for run in runs)
        return any(row is not None and row.estimate.value is not None for row in rows)


def costs_of(*workloads: str) -> Callable[[Costs], tuple[StoredRun, ...]]:
    """What gives all runs of these workloads."""

    def found(costs: Costs) -> tuple[StoredRun, ...]:
        blocks = [block for name in workloads for block in costs.of(name)]
        return tuple(run for block in blocks for run in block.runs.values())

    return found


def arrange(results: Results, rows: Sequence[LeaderboardRow], compared: Comparison) -> Costs:
    """Sort timed runs into blocks.

    ``compared`` are the primary differences from the parents; others are made here, and only where
    there are timed runs.
    """
    lines = lines_of(rows)
    blocks = _blocks(results, lines)
    by_run: dict[Path, list[MetricRow]] = {}
    for row in results.metric_rows:
        if isinstance(row.run.spec.work, WorkloadSpec):
            by_run.setdefault(row.run.folder, []).append(row)
    beside = results.compare(metrics=COMPARED).deltas if blocks else ()
    changes = {_key(d.row): d for d in (*compared.deltas, *beside)}
    return Costs(
        results, lines, blocks, {folder: tuple(mine) for folder, mine in by_run.items()}, changes
    )


def head(metric: str, title: str = "", below: str = "") -> Head:
    """The column of a metric."""
    declared = METRICS[metric]
    return Head(titled(title or declared.label, metric), declared.definition, below)


def slug(text: str) -> str:
    """What may stand in an anchor.

    >>> slug("sweep@0.25/s")
    'sweep-0-25-s'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")


def named(line: Line, block: Block, cells: Iterable[Entry]) -> Row:
    """A system's row."""
    sizes = f" · {line.system.size}" if len(block.sizes) > 1 else ""
    where = f"{line.system.target} · {line.bits_text}".rstrip(" ·") + sizes
    return Row(line.label, (line.made_from, where), tuple(cells))


def _blocks(results: Results, lines: Sequence[Line]) -> tuple[Block, ...]:
    found: dict[tuple[str, str], dict[System, StoredRun]] = {}
    for run in sorted(results.stored, key=_rank):
        work = run.spec.work
        if isinstance(work, WorkloadSpec) and work.timed:
            found.setdefault((run.spec.suite, work.workload), {})[System.of(run)] = run
    return tuple(
        Block(suite, workload, runs, tuple(line for line in lines if line.system in runs))
        for (suite, workload), runs in sorted(found.items())
    )


def _rank(run: StoredRun) -> tuple[bool, str]:
    return run.record.status is Status.OK, run.record.run_id


def _key(row: MetricRow) -> tuple[Path, str, str, str]:
    return row.run.folder, row.metric, row.point, row.scope


def _work(run: StoredRun) -> WorkloadSpec:
    assert isinstance(run.spec.work, WorkloadSpec)
    return run.spec.work
