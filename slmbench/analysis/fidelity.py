"""How close every variant is to its parent: on a text, and in the answers that it gave.

Fidelity is not quality. Each number stands beside its floor, the same measure of the parent
against itself (in another process, packed otherwise), and nothing here is ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from slmbench.analysis.answer_fidelity import (
    AnsweredRun,
    MarginGroup,
    Pair,
    answer_measures,
    answered_run,
    choice_pairs,
    margin_groups,
)
from slmbench.analysis.columns import FIDELITY_COLUMNS, frame
from slmbench.analysis.measures import MEASURES, Found
from slmbench.analysis.results import Results
from slmbench.analysis.stability import Flag, joined
from slmbench.analysis.statistics import Estimate
from slmbench.analysis.text_fidelity import is_floor, reference_of, text_measures
from slmbench.errors import UsageError
from slmbench.records import Status
from slmbench.requests import ItemSet
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun, read_cell, read_items

ALL_TASKS = "all tasks"
"""Stands for the tasks of a suite together."""


@dataclass(frozen=True, slots=True)
class FidelityRow:
    """One measure of one variant against one parent."""

    run: StoredRun
    """The variant's."""
    parent: str
    parent_target: str
    work: str
    """Task, :data:`ALL_TASKS` of the run's suite, or ``fidelity`` for the text."""
    measure: str
    """Key of ``measures.MEASURES``."""
    estimate: Estimate
    floor: Estimate | None = None
    """The same measure of the parent against itself; None when that was not run."""
    parent_run: StoredRun | None = None
    """The parent's run of the task; None for the text, which its reference worker read."""
    is_floor: bool = False
    """The parent against itself in another process."""
    reason: str = ""
    """Why there is no value."""
    flags: tuple[Flag, ...] = ()

    @property
    def variant(self) -> str:
        """Name of the variant."""
        return self.run.spec.variant.name

    @property
    def unit(self) -> str:
        """Unit of value, interval and floor."""
        return MEASURES[self.measure].unit


@dataclass(frozen=True, slots=True)
class MarginRow:
    """Changed answers of one variant in one suite, by the parent's margin."""

    run: StoredRun
    parent: str
    groups: tuple[MarginGroup, ...]
    """Smallest margins first."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The outcome of :func:`measure_fidelity`."""

    rows: tuple[FidelityRow, ...]
    margins: tuple[MarginRow, ...]

    def table(self) -> pd.DataFrame:
        """One row a measure (``columns.FIDELITY_COLUMNS``)."""
        rows = [_table_row(row) for row in self.rows]
        values = {c.name: [row[i] for row in rows] for i, c in enumerate(FIDELITY_COLUMNS)}
        return frame(FIDELITY_COLUMNS, values)


def measure_fidelity(results: Results, parent: str | None = None) -> Fidelity:
    """Every measure of every variant against its declared parent, or against ``parent``.

    Text measures come from runs of the fidelity workload (with ``parent``: those whose
    reference it was); answer measures from any two runs of a task on the same items, by task
    and, as :data:`ALL_TASKS`, over the tasks of a suite. UsageError when ``parent`` has no
    results.
    """
    known = {run.spec.variant.name for run in results.stored}
    if parent is not None and parent not in known:
        raise UsageError(
            f"no results of variant {parent!r} in {results.root}",
            hint=f"there are: {', '.join(sorted(known)) or 'none'}",
        )
    answers, margins = _answers(results, parent)
    return Fidelity((*_text_rows(results, parent), *answers), margins)


def _text_rows(results: Results, parent: str | None) -> Iterator[FidelityRow]:
    runs = [(run, r) for run in results.stored if (r := reference_of(run)) is not None]
    floors = {_floor_key(run): text_measures(run) for run, _ in runs if is_floor(run)}
    for run, reference in runs:
        if parent is not None and reference.variant.name != parent:
            continue
        floor = () if is_floor(run) else floors.get(_floor_key(run), ())
        mine = FidelityRow(
            run, reference.variant.name, reference.target.name, run.spec.work_name, "kld_mean",
            Estimate(None, 0), is_floor=is_floor(run),
            flags=_flags(run, reference.target.backend),
        )  # fmt: skip
        yield from _with_floor(mine, text_measures(run), floor)


def _floor_key(run: StoredRun) -> tuple[str, ...]:
    """Runs of one reference that read the same text."""
    reference, work = reference_of(run), run.spec.work
    assert reference is not None
    assert not isinstance(work, TaskSpec)
    same = (work.text, str(work.points), str(work.repeats), run.record.machine)
    return (reference.variant.digest, reference.target.model_dump_json(), *same)


def _with_floor(
    mine: FidelityRow, measures: Iterable[Found], floors: Iterable[Found]
) -> Iterator[FidelityRow]:
    floor = {f.measure: f.estimate for f in floors if f.estimate.value is not None}
    for found in measures:
        yield replace(
            mine, measure=found.measure, estimate=found.estimate, reason=found.reason,
            floor=floor.get(found.measure),
        )  # fmt: skip


def _answers(
    results: Results, parent: str | None
) -> tuple[list[FidelityRow], tuple[MarginRow, ...]]:
    read = _Reader(results)
    suites: dict[tuple[str, ...], list[_Paired]] = {}
    for run, base in answered_pairs(results, parent):
        left, right = read.answers(base), read.answers(run)
        if left is not None and right is not None:
            again = read.again(base)
            floor = Pair(left, again) if again is not None else None
            paired = _Paired(run, base, Pair(left, right), floor)
            suites.setdefault(_suite_key(paired), []).append(paired)
    rows: list[FidelityRow] = []
    margins = []
    for found in suites.values():
        for paired in found:
            rows += _rows_of([paired], paired.run.spec.work_name)
        if len(found) > 1:
            rows += _rows_of(found, ALL_TASKS)
        if groups := margin_groups([choice_pairs(p.pair) for p in found]):
            first = found[0]
            margins.append(MarginRow(first.run, first.base.spec.variant.name, groups))
    return rows, tuple(margins)


def _rows_of(found: Sequence[_Paired], work: str) -> Iterator[FidelityRow]:
    first = found[0]
    floors = [p.floor for p in found if p.floor is not None]
    mine = FidelityRow(
        first.run, first.base.spec.variant.name, first.base.spec.target.name, work, "flips",
        Estimate(None, 0), parent_run=first.base,
        flags=_flags(first.run, first.base.spec.target.backend),
    )  # fmt: skip
    measured = answer_measures([p.pair for p in found])
    floor = answer_measures(floors) if len(floors) == len(found) else ()
    yield from _with_floor(mine, measured, floor)


@dataclass(frozen=True, slots=True)
class _Paired:
    """A variant's run of a task with the parent's, and the parent's with its own other run."""

    run: StoredRun
    base: StoredRun
    pair: Pair
    floor: Pair | None


def _suite_key(paired: _Paired) -> tuple[str, ...]:
    """Tasks that are put together: of one suite, variant and parent, each on one target."""
    run, base = paired.run, paired.base
    sides = [(r.spec.variant.digest, r.spec.target.name, r.record.machine) for r in (run, base)]
    return (run.spec.suite, run.spec.size, *sides[0], *sides[1])


class _Reader:
    """Reads the answers of each run once."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._known: dict[Path, AnsweredRun | None] = {}
        self._items: dict[str, ItemSet] = {}

    def answers(self, run: StoredRun) -> AnsweredRun | None:
        """Answers of a run; None when they or their items cannot be read."""
        if run.folder not in self._known:
            self._known[run.folder] = self._read(run)
        return self._known[run.folder]

    def again(self, base: StoredRun) -> AnsweredRun | None:
        """The newest other run of the same cell on the same items; None without one."""
        others = [
            run
            for run in read_cell(self._results.root, base.spec)
            if run.record.run_id != base.record.run_id
            and run.record.status is Status.OK
            and run.record.item_set == base.record.item_set
        ]
        return self.answers(others[-1]) if others else None

    def _read(self, run: StoredRun) -> AnsweredRun | None:
        work, model, digest = run.spec.work, run.record.model, run.record.item_set
        if digest is None or not isinstance(work, TaskSpec):
            return None
        try:
            if digest not in self._items:
                self._items[digest] = read_items(self._results.root, digest)
            outputs = tuple(run.outputs())
        except (ValueError, OSError):
            return None
        judged = (self._results.judged(run) or {}).get(work.primary)
        vocabulary = (model.vocab_size, model.first_ids) if model is not None else None
        return answered_run(self._items[digest], outputs, work.primary, judged, vocabulary)


def answered_pairs(results: Results, parent: str | None) -> Iterator[tuple[StoredRun, StoredRun]]:
    """Runs of a task with the parent's closest run on the same items."""
    for run in results.stored:
        name = parent or run.spec.variant.parent
        if name is None or name == run.spec.variant.name or not _is_answered(run):
            continue
        declared = None if parent else run.spec.variant.parent_digest
        base = _closest(results.stored, run, name, declared)
        if base is not None:
            yield run, base


def _is_answered(run: StoredRun) -> bool:
    return isinstance(run.spec.work, TaskSpec) and run.record.status is Status.OK


def _closest(
    stored: Iterable[StoredRun], run: StoredRun, name: str, digest: str | None
) -> StoredRun | None:
    mine = run.spec

    def closeness(other: StoredRun) -> tuple[bool, bool, bool, str]:
        return (
            other.spec.target.name == mine.target.name,
            other.spec.target.backend == mine.target.backend,
            other.record.machine == run.record.machine,
            other.record.run_id,
        )

    candidates = [
        other
        for other in stored
        if other.spec.variant.name == name
        and (digest is None or other.spec.variant.digest == digest)
        and _is_answered(other)
        and _question(other) == _question(run)
    ]
    return max(candidates, key=closeness, default=None)


def _question(run: StoredRun) -> tuple[object, ...]:
    """What must be equal for answers to be answers to the same question."""
    spec, work = run.spec, run.spec.work
    assert isinstance(work, TaskSpec)
    same = (spec.suite, spec.size, work.task, run.record.item_set)
    return (*same, work.num_fewshot, work.chat_template)


def _flags(run: StoredRun, backend: str) -> tuple[Flag, ...]:
    return () if run.spec.target.backend == backend else ("backend differs",)


def _table_row(row: FidelityRow) -> tuple[object, ...]:
    spec, e = row.run.spec, row.estimate
    return (
        row.run.record.run_id,
        row.parent_run.record.run_id if row.parent_run else None,
        spec.variant.name, row.parent, spec.target.name, row.parent_target,
        spec.suite, spec.size, row.work, row.measure,
        e.value, e.low, e.high, e.method, e.n, row.floor.value if row.floor else None,
        row.unit, row.is_floor, row.reason, joined(row.flags),
    )  # fmt: skip
