"""The table of a task: systems down, its primary number, the difference, and all others across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis import MetricRow
from slmbench.metrics import METRICS
from slmbench.report.cells import Cell, cell_of
from slmbench.report.constructs.assignment import SHOWN_FIRST, SHOWN_LAST, declares
from slmbench.report.constructs.entries import Number
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.groups import GroupTable, group_tables
from slmbench.report.constructs.sentinels import Floor, floors
from slmbench.report.constructs.systems import Line
from slmbench.report.deltas import DeltaCell, delta_cell
from slmbench.report.format import show
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun

IN_SIGHT = 5
"""Metrics in a task's first table where none are declared for its scorer; the others stand in a
second one that can be opened."""
FEWEST = 3
"""In sight at least, where some are declared."""
QUALIFIED = "mia_"
"""Metrics whose reason stands beside a value: it says what the value does not show."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column."""

    title: str
    metric: str
    point: str
    """Chance level or ideal, below the title."""
    definition: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One system on one task."""

    line: Line
    numbers: tuple[Number, ...]
    """The primary number first, then the others in sight."""
    delta: DeltaCell | None
    """Primary metric, minus the parent."""
    further: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class TaskPart:
    """Everything that a page says about one task, figures apart."""

    anchor: str
    suite: str
    task: str
    facts: tuple[str, ...]
    heads: tuple[Head, ...]
    further_heads: tuple[Head, ...]
    rows: tuple[TaskRow, ...]
    floors: tuple[Floor, ...]
    """What a model without any skill would score, in the columns of ``heads``."""
    groups: tuple[GroupTable, ...]
    sizes: int
    """How many sizes its rows mix."""

    @property
    def has_deltas(self) -> bool:
        """Whether any row could be compared with its parent."""
        return any(row.delta is not None for row in self.rows)


def task_part(material: Material, task: TaskRuns, construct: str) -> TaskPart:
    """Arrange one task."""
    lines = material.lines_with(task)
    rows = {line.system: material.rows.get(task.runs[line.system].folder, {}) for line in lines}
    names = _ordered(task, construct, rows.values())
    in_sight = _in_sight(task, names)
    seen, further = names[:in_sight], names[in_sight:]
    made = []
    for line in lines:
        run = task.runs[line.system]
        numbers = [_number(run, rows[line.system], name) for name in names]
        delta = delta_cell(material.deltas.get(run.folder))
        made.append(TaskRow(line, tuple(numbers[:in_sight]), delta, tuple(numbers[in_sight:])))
    return TaskPart(
        f"{task.suite}-{task.task}",
        task.suite,
        task.task,
        _facts(task),
        tuple(_head(name, rows.values()) for name in seen),
        tuple(_head(name, rows.values()) for name in further),
        tuple(made),
        floors(material, task, seen),
        group_tables(material, task, lines, names),
        len({line.system.size for line in lines}),
    )


def _ordered(task: TaskRuns, construct: str, rows: Iterable[Mapping[str, MetricRow]]) -> list[str]:
    """The primary metric, then those of the construct, then general ones; as in the table."""
    places = {name: i for i, name in enumerate(METRICS)}
    declared = dict.fromkeys((task.primary, *SHOWN_FIRST.get(task.scorer, ())))
    first = {name: i for i, name in enumerate(declared)}
    found = {name for mine in rows for name in mine}
    found.add(task.primary)

    def place(metric: str) -> tuple[int, bool, bool, int, str]:
        return (
            first.get(metric, len(first)),
            metric in SHOWN_LAST,
            not declares(construct, metric),
            places.get(metric, len(places)),
            metric,
        )

    return sorted(found, key=place)


def _in_sight(task: TaskRuns, names: Sequence[str]) -> int:
    declared = {task.primary, *SHOWN_FIRST.get(task.scorer, ())}
    return max(FEWEST, len(declared.intersection(names))) if len(declared) > 1 else IN_SIGHT


def _head(name: str, rows: Iterable[Mapping[str, MetricRow]]) -> Head:
    declared = METRICS.get(name)
    if declared is None:
        return Head(name, name, "", "a metric that this version does not know")
    levels = {row.chance for mine in rows if (row := mine.get(name)) and row.chance is not None}
    notes = [f"chance {show(level, declared.unit)}" for level in sorted(levels)]
    if declared.ideal is not None:
        notes.append(f"no preference: {show(declared.ideal, declared.unit)}")
    return Head(declared.label, name, ", ".join(notes), declared.definition)


def _number(run: StoredRun, rows: Mapping[str, MetricRow], name: str) -> Number:
    row = rows.get(name)
    title = METRICS[name].label if name in METRICS else name
    if row is None:
        why = run.record.reason or "this run has no such number"
        return Number(Cell(title, name, status=run.record.status.value, reason=why))
    extra = [f"{row.n_failed} unscored"] if row.n_failed else []
    if row.estimate.value is not None and not row.suspect:
        extra += [row.reason] if row.reason and name.startswith(QUALIFIED) else []
        row = replace(row, reason="")
    return Number(cell_of(row, title, name), tuple(extra))


def _facts(task: TaskRuns) -> tuple[str, ...]:
    """What was asked, of what data, and who judged."""
    said = []
    items = task.items
    work = next((r.spec.work for r in task.runs.values()), None)
    if items is not None:
        clusters = len({item.cluster for item in items.items})
        of = "" if items.population == len(items.items) else f" of {items.population}"
        said += [
            f"{len(items.items)}{of} items in {clusters} clusters",
            f"judged by {items.scorer}",
            items.source,
            items.licence,
        ]
    if isinstance(work, TaskSpec):
        said += [f"{work.num_fewshot}-shot"] if work.num_fewshot else []
        said += ["chat template"] if work.chat_template else []
    return tuple(text for text in said if text)
