"""What the pages are made of: the tasks of each construct, their runs, and rows by run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slmbench.analysis import Comparison, Delta, MetricRow, Results
from slmbench.records import Status
from slmbench.report.constructs.assignment import OTHER, construct_of
from slmbench.report.constructs.systems import Line, lines_of
from slmbench.report.leaderboard import Column, LeaderboardRow, System
from slmbench.requests import ItemSet
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """One task of one suite with a run a system."""

    suite: str
    task: str
    primary: str
    scorer: str
    """Empty where no run got as far as its items."""
    items: ItemSet | None
    """Of the newest run that has them."""
    runs: Mapping[System, StoredRun]


@dataclass(frozen=True, slots=True)
class Material:
    """Results, arranged for the pages."""

    results: Results
    lines: tuple[Line, ...]
    tasks: Mapping[str, tuple[TaskRuns, ...]]
    """By construct; ``other`` too."""
    rows: Mapping[Path, Mapping[str, MetricRow]]
    """By run and metric: numbers over all items."""
    groups: Mapping[Path, tuple[MetricRow, ...]]
    """By run: derived numbers of groups."""
    deltas: Mapping[Path, Delta]
    """By run: the primary metric's difference from the parent."""

    def of_pages(self) -> frozenset[Path]:
        """Runs that stand on a page of their construct."""
        return frozenset(
            run.folder
            for name, tasks in self.tasks.items()
            if name != OTHER
            for task in tasks
            for run in task.runs.values()
        )

    def lines_with(self, task: TaskRuns) -> tuple[Line, ...]:
        """The systems that have a run of the task."""
        return tuple(line for line in self.lines if line.system in task.runs)


@dataclass(slots=True)
class _Found:
    """Runs of one task while they are collected."""

    runs: dict[System, StoredRun] = field(default_factory=dict)
    items: ItemSet | None = None

    def add(self, run: StoredRun, items: ItemSet | None) -> None:
        """Of several runs of one system the newest that ended ok counts, else the newest."""
        known = self.runs.get(System.of(run))
        if known is None or _rank(run) > _rank(known):
            self.runs[System.of(run)] = run
        if items is not None:
            self.items = items


def gather(results: Results, rows: Sequence[LeaderboardRow], comparison: Comparison) -> Material:
    """Sort runs into constructs; derived numbers are computed only where a page needs them."""
    tasks = _tasks(results)
    asked = any(name != OTHER for name in tasks)
    derived = results.construct_rows if asked else ()
    return Material(
        results,
        lines_of(rows),
        tasks,
        _by_metric(results.metric_rows, [r for r in derived if not r.scope]),
        _by_run([r for r in derived if r.scope]),
        {d.row.run.folder: d for d in comparison.deltas if d.row.primary and not d.row.phase},
    )


def _tasks(results: Results) -> Mapping[str, tuple[TaskRuns, ...]]:
    found: dict[tuple[str, str], _Found] = {}
    primary: dict[tuple[str, str], str] = {}
    for run in sorted(results.stored, key=lambda r: r.record.run_id):
        work = run.spec.work
        if isinstance(work, TaskSpec):
            key = (run.spec.suite, work.task)
            found.setdefault(key, _Found()).add(run, results.item_set(run))
            primary[key] = work.primary
    order = _places(results)
    tasks: dict[str, list[TaskRuns]] = {}
    for key in sorted(found, key=lambda k: (order.get(k, len(order)), k)):
        mine = found[key]
        scorer = mine.items.scorer if mine.items is not None else ""
        one = TaskRuns(*key, primary[key], scorer, mine.items, mine.runs)
        tasks.setdefault(construct_of(one.task, scorer, one.primary), []).append(one)
    return {name: tuple(mine) for name, mine in _with_companions(tasks).items()}


def _with_companions(tasks: Mapping[str, list[TaskRuns]]) -> Mapping[str, list[TaskRuns]]:
    """General tasks that a suite asks beside its probes (utility, plain reading) join them.

    Not those that the leaderboard counts as accuracy.
    """
    page_of = {t.suite: name for name, mine in tasks.items() if name != OTHER for t in mine}
    found: dict[str, list[TaskRuns]] = {}
    for name, mine in sorted(tasks.items(), key=lambda entry: entry[0] == OTHER):
        for task in mine:
            counts = Column(task.task, task.suite, task.primary, "").is_accuracy
            page = name if name != OTHER or counts else page_of.get(task.suite, OTHER)
            found.setdefault(page, []).append(task)
    return found


def _places(results: Results) -> Mapping[tuple[str, str], int]:
    """Tasks in the order of their suite files."""
    named = [(suite.name, task.task) for suite in results.suites for task in suite.tasks]
    return {key: i for i, key in enumerate(dict.fromkeys(named))}


def _rank(run: StoredRun) -> tuple[bool, str]:
    return run.record.status is Status.OK, run.record.run_id


def _by_metric(
    rows: Iterable[MetricRow], derived: Iterable[MetricRow]
) -> Mapping[Path, Mapping[str, MetricRow]]:
    """A derived number takes the place of an absent one of the same name."""
    found: dict[Path, dict[str, MetricRow]] = {}
    for row in rows:
        if not row.phase:
            found.setdefault(row.run.folder, {})[row.metric] = row
    for row in derived:
        mine = found.setdefault(row.run.folder, {})
        if row.metric not in mine or mine[row.metric].estimate.value is None:
            mine[row.metric] = row
    return found


def _by_run(rows: Iterable[MetricRow]) -> Mapping[Path, tuple[MetricRow, ...]]:
    found: dict[Path, list[MetricRow]] = {}
    for row in rows:
        found.setdefault(row.run.folder, []).append(row)
    return {folder: tuple(mine) for folder, mine in found.items()}
