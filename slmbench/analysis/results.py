"""A results folder as tidy tables. Reading imports nothing that runs a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from slmbench.analysis.chance import chance_level
from slmbench.analysis.columns import (
    IDENTITY,
    ITEM_COLUMNS,
    METRIC_COLUMNS,
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    Column,
    frame,
)
from slmbench.analysis.rows import Judged, MetricRow, judged_by_metric, metric_rows
from slmbench.analysis.stability import joined
from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.records import SkipRecord, Status
from slmbench.requests import Item
from slmbench.spec import TaskSpec
from slmbench.store import Quarantined, StoredRun, read_items, read_store


@dataclass(frozen=True)
class Results:
    """What a results folder holds; every table is computed when it is first asked for."""

    root: Path
    stored: tuple[StoredRun, ...]
    """The runs that the tables show: one per digest and machine unless all were asked for."""
    quarantined: tuple[Quarantined, ...] = ()
    """Folders that could not be read, and why; never counted."""
    skips: tuple[SkipRecord, ...] = ()
    """Cells that the last plans left out, and why."""
    _judged: dict[Path, dict[str, Judged] | None] = field(
        default_factory=dict, repr=False, compare=False
    )
    _items: dict[str, tuple[Item, ...]] = field(default_factory=dict, repr=False, compare=False)

    def runs(self) -> pd.DataFrame:
        """One row a run: identity, ending, model, machine (``columns.RUN_COLUMNS``)."""
        values = {c.name: [walk(run, c.path) for run in self.stored] for c in RUN_COLUMNS}
        return frame(RUN_COLUMNS, values)

    def metrics(self) -> pd.DataFrame:
        """One row a number, long format (``columns.METRIC_COLUMNS``).

        A failed cell is one row: its primary metric, its status and reason, a null value.
        """
        return _run_frame(METRIC_COLUMNS, self.metric_rows, lambda row: row.run, _ROW_VALUES)

    def samples(self) -> pd.DataFrame:
        """One row a raw reading of a meter, warm-up included (``columns.SAMPLE_COLUMNS``)."""
        rows = [
            (run, phase.phase, m, index, value)
            for run in self.stored
            for phase in run.record.phases
            for m in phase.measurements
            for index, value in enumerate(m.samples)
        ]
        getters: Mapping[str, Callable[[Any], object]] = {
            "phase": lambda r: r[1],
            "metric": lambda r: r[2].metric,
            "point": lambda r: r[2].point,
            "scope": lambda r: r[2].scope,
            "index": lambda r: r[3],
            "value": lambda r: r[4],
            "unit": lambda r: METRICS[r[2].metric].unit if r[2].metric in METRICS else None,
            "provenance": lambda r: r[2].provenance.value,
            "method": lambda r: r[2].method,
        }
        return _run_frame(SAMPLE_COLUMNS, rows, lambda row: row[0], getters)

    def items(self) -> pd.DataFrame:
        """One row a judgement of one item (``columns.ITEM_COLUMNS``)."""
        rows = [
            (run, metric, j, i)
            for run in self.stored
            for metric, j in (self.judged(run) or {}).items()
            for i in range(len(j.items))
        ]
        getters: Mapping[str, Callable[[Any], object]] = {
            "item_id": lambda r: r[2].items[r[3]],
            "cluster": lambda r: r[2].clusters[r[3]],
            "group": lambda r: r[2].groups[r[3]],
            "metric": lambda r: r[1],
            "value": lambda r: r[2].values[r[3]],
            "failure": lambda r: r[2].failures[r[3]],
        }
        return _run_frame(ITEM_COLUMNS, rows, lambda row: row[0], getters)

    @cached_property
    def metric_rows(self) -> tuple[MetricRow, ...]:
        """The rows of :meth:`metrics` as typed values."""
        return tuple(
            row for run in self.stored for row in metric_rows(run, self.judged(run), self.chance_of)
        )

    def judged(self, run: StoredRun) -> Mapping[str, Judged] | None:
        """Judgements of one run by metric; None when its score files cannot be read."""
        if run.folder not in self._judged:
            try:
                self._judged[run.folder] = judged_by_metric(run.scores())
            except (ValueError, OSError):
                self._judged[run.folder] = None
        return self._judged[run.folder]

    def chance_of(self, run: StoredRun, metric_name: str) -> float | None:
        """Chance level of a metric on the items that the run was judged on."""
        digest = run.record.item_set
        if digest is None or not isinstance(run.spec.work, TaskSpec):
            return None
        if metric_name not in METRICS or not METRICS[metric_name].chance:
            return None
        if digest not in self._items:
            try:
                self._items[digest] = read_items(self.root, digest).items
            except (ValueError, OSError):
                self._items[digest] = ()
        return chance_level(metric_name, self._items[digest])


def load_results(
    path: str | Path, *, every_run: bool = False, only: Collection[str] | None = None
) -> Results:
    """Read a results folder. Needs no engine; UsageError when there is no such folder.

    ``only``: keep the cells with these digests. Per cell and machine only one run is kept
    unless ``every_run``: the newest that ended ok, else the newest. Damaged folders are set
    aside in ``quarantined``.
    """
    root = Path(path)
    if not root.is_dir():
        raise UsageError(
            f"no results folder at {root}", hint="`slmbench run` or `slmbench demo` make one"
        )
    contents = read_store(root)
    wanted = [r for r in contents.runs if only is None or r.record.digest in only]
    runs = tuple(wanted) if every_run else latest(wanted)
    return Results(root, runs, contents.quarantined, contents.skips)


def latest(runs: Iterable[StoredRun]) -> tuple[StoredRun, ...]:
    """One run per digest and machine: the newest that ended ok, else the newest."""
    best: dict[tuple[str, str], StoredRun] = {}
    for run in runs:
        key = (run.record.digest, run.record.machine)
        if key not in best or _rank(run) >= _rank(best[key]):
            best[key] = run
    return tuple(best.values())


def _rank(run: StoredRun) -> tuple[bool, str]:
    return run.record.status is Status.OK, run.record.run_id


def walk(run: StoredRun, path: str) -> object:
    """Value of a stored column's path; None where an optional part of it is absent."""
    if path == "=results.phase_seconds":
        return sum(p.duration_ns for p in run.record.phases) / 1e9
    value: object = run
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return value if value is None or isinstance(value, (int, float)) else str(value)


_ROW_VALUES: Mapping[str, Callable[[MetricRow], object]] = {
    "metric": lambda r: r.metric,
    "primary": lambda r: r.primary,
    "phase": lambda r: r.phase,
    "point": lambda r: r.point,
    "scope": lambda r: r.scope,
    "value": lambda r: r.estimate.value,
    "ci_low": lambda r: r.estimate.low,
    "ci_high": lambda r: r.estimate.high,
    "se": lambda r: r.estimate.se,
    "ci_method": lambda r: r.estimate.method,
    "n": lambda r: r.estimate.n,
    "n_failed": lambda r: r.n_failed,
    "chance": lambda r: r.chance,
    "unit": lambda r: r.unit or None,
    "direction": lambda r: r.direction,
    "provenance": lambda r: r.provenance.value,
    "method": lambda r: r.method or None,
    "reason": lambda r: r.reason,
    "flags": lambda r: joined(r.flags),
}


def _run_frame(
    columns: tuple[Column, ...],
    rows: Iterable[Any],
    run_of: Callable[[Any], StoredRun],
    getters: Mapping[str, Callable[[Any], object]],
) -> pd.DataFrame:
    """Rows that belong to runs as a table; what a run says is looked up once per run."""
    stored = [c for c in columns if c.name not in getters]
    known: dict[Path, dict[str, object]] = {}
    values: dict[str, list[object]] = {c.name: [] for c in columns}
    for row in rows:
        run = run_of(row)
        if run.folder not in known:
            known[run.folder] = {c.name: walk(run, c.path) for c in stored}
        for name, value in known[run.folder].items():
            values[name].append(value)
        for name, getter in getters.items():
            values[name].append(getter(row))
    return frame(columns, values)


__all__ = ["IDENTITY", "Results", "latest", "load_results", "walk"]
