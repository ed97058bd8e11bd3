"""What stands between a score and belief: suspect numbers, shortcuts, and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis import MetricRow, Results
from slmbench.analysis.baselines import MEANINGS, SHORTCUTS, AgainstBaseline
from slmbench.analysis.calibration import Calibration
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.report.calibration import calibration_figures
from slmbench.report.cells import Cell, cell_of
from slmbench.report.figures import Figure
from slmbench.report.format import show
from slmbench.report.labels import short_names
from slmbench.report.leaderboard import LeaderboardRow, System
from slmbench.spec import TaskSpec

MEASURES: tuple[tuple[str, str], ...] = (
    ("brier", "Brier (0–2)"),
    ("choice_nll", "NLL"),
    ("ece", "ECE, raw"),
    ("ece_debiased", "ECE, debiased"),
    ("ece_scaled_debiased", "ECE, scaled"),
    ("overconfidence", "Over-confidence"),
    ("confidence_auroc", "AUROC"),
    ("selective_acc_50", "Surest 50 %"),
    ("selective_acc_80", "Surest 80 %"),
    ("aurc", "AURC"),
)
"""Columns of the table: measure and short title."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Numbers of one run that a guard does not believe, for one reason."""

    variant: str
    target: str
    suite: str
    task: str
    numbers: tuple[str, ...]
    """``Accuracy 100.0 %`` …: the headline number first."""
    reason: str


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What needs no question on one task, and who is not told from it."""

    task: str
    chance: str
    cells: tuple[Cell, ...]
    """One per shortcut; ``choices only`` differs by model, and the highest is shown."""
    not_above: tuple[str, ...]
    """``variant (longest answer)``: runs whose interval does not lie above the shortcut."""
    runs: int


@dataclass(frozen=True, slots=True)
class Sure:
    """Calibration of one run, ready to print."""

    variant: str
    target: str
    task: str
    cells: tuple[Cell, ...]
    note: str
    """Whether the raw ECE says anything at this n."""


@dataclass(frozen=True, slots=True)
class Trust:
    """All of it."""

    suspects: tuple[Suspect, ...]
    shortcuts: tuple[Shortcuts, ...]
    heads: tuple[tuple[str, str], ...]
    """Title and meaning of each shortcut."""
    sure: tuple[Sure, ...]
    figures: tuple[Figure, ...]


def trust(results: Results, rows: Sequence[LeaderboardRow]) -> Trust:
    """Arrange what the analysis says; ``rows`` give the systems their names and order."""
    place = {row.system: (i, row) for i, row in enumerate(rows)}

    def order(found: Calibration) -> tuple[str, int]:
        known = place.get(System.of(found.run))
        return found.run.spec.work_name, known[0] if known else len(place)

    ordered = sorted(results.calibrations, key=order)
    names = system_names(rows)
    named = [(names.get(System.of(c.run), c.run.spec.variant.name), c) for c in ordered]
    return Trust(
        suspects(results.metric_rows),
        shortcuts(results.shortcuts),
        tuple((name.capitalize(), MEANINGS[name]) for name in SHORTCUTS),
        tuple(_sure(c) for c in ordered),
        calibration_figures(named),
    )


def system_names(rows: Sequence[LeaderboardRow]) -> Mapping[System, str]:
    """Short names of the systems; those that share one are told apart by what differs."""
    alike: dict[str, list[System]] = {}
    for row, name in zip(rows, short_names([row.label for row in rows]), strict=True):
        alike.setdefault(name, []).append(row.system)
    return {
        system: " · ".join([name, *_differing(system, twins)])
        for name, twins in alike.items()
        for system in twins
    }


def _differing(system: System, twins: Sequence[System]) -> list[str]:
    """The parts of a system that not all its namesakes share."""
    parts = (
        (system.target, {t.target for t in twins}),
        (system.size, {t.size for t in twins}),
        (f"machine {system.machine[:6]}", {t.machine for t in twins}),
        (system.digest[:6], {t.digest for t in twins}),
    )
    return [part for part, values in parts if len(values) > 1]


def suspects(rows: Sequence[MetricRow]) -> tuple[Suspect, ...]:
    """Suspect rows, those of one run with one reason as one."""
    grouped: dict[tuple[str, str, str, str, str], list[MetricRow]] = {}
    for row in rows:
        if row.suspect:
            spec = row.run.spec
            key = (spec.variant.name, spec.target.name, spec.suite, spec.work_name, row.reason)
            grouped.setdefault(key, []).append(row)
    return tuple(
        Suspect(*key[:4], tuple(map(_number, sorted(mine, key=lambda r: not r.primary))), key[4])
        for key, mine in grouped.items()
    )


def _number(row: MetricRow) -> str:
    label = METRICS[row.metric].label if row.metric in METRICS else row.metric
    return f"{label} {show(row.estimate.value, row.unit)}"


def shortcuts(found: Sequence[AgainstBaseline]) -> tuple[Shortcuts, ...]:
    """One row per item set, in the order of the tasks' names."""
    tasks: dict[tuple[str, str], list[AgainstBaseline]] = {}
    for one in found:
        key = (one.run.spec.work_name, one.run.record.item_set or "")
        tasks.setdefault(key, []).append(one)
    return tuple(_shortcuts(task, mine) for (task, _), mine in sorted(tasks.items()))


def _shortcuts(task: str, mine: Sequence[AgainstBaseline]) -> Shortcuts:
    by_name: dict[str, list[AgainstBaseline]] = {}
    for one in mine:
        by_name.setdefault(one.baseline.shortcut, []).append(one)
    level = next((one.chance for one in mine if one.chance is not None), None)
    weak = [
        f"{one.run.spec.variant.name} ({one.baseline.shortcut})"
        for one in mine
        if one.told in ("below", "not told apart")
    ]
    return Shortcuts(
        task,
        show(level, "fraction"),
        tuple(_shortcut_cell(name, by_name[name]) for name in SHORTCUTS),
        tuple(dict.fromkeys(weak)),
        len({one.run.folder for one in mine}),
    )


def _shortcut_cell(name: str, mine: Sequence[AgainstBaseline]) -> Cell:
    """The shortcut's accuracy: one for all runs, or of the best model where it needs one."""
    valued = [one for one in mine if one.baseline.estimate.value is not None]
    if not valued:
        return Cell(name, "acc", unit="fraction", reason=mine[0].baseline.estimate.method)
    best = max(valued, key=lambda one: one.baseline.estimate.value or 0.0)
    e, source = best.baseline.estimate, best.baseline.provenance
    detail = e.method
    if source is Provenance.MEASURED:
        detail = f"{best.run.spec.variant.name}, the highest of {len(valued)} runs; {e.method}"
    return Cell(name, "acc", e.value, e.low, e.high, e.n, "fraction", source.value, detail=detail)


def _sure(found: Calibration) -> Sure:
    spec = found.run.spec
    by_metric = {row.metric: row for row in found.rows}
    common = next((r.reason for r in found.rows if r.reason), "")
    cells = tuple(
        cell_of(by_metric[name], title)
        if name in by_metric
        else Cell(title, name, unit=METRICS[name].unit, reason=common)
        for name, title in MEASURES
    )
    limit, heat = found.value("ece_null_q95"), found.value("temperature")
    notes = []
    if limit is not None:
        verdict = "within" if found.within_null else "above"
        notes.append(f"raw ECE {verdict} the null ({show(limit, 'fraction')})")
    if heat is not None:
        notes.append(f"temperature {heat:.2f}")
    shots = isinstance(spec.work, TaskSpec) and spec.work.num_fewshot
    task = f"{spec.work_name}, {shots}-shot" if shots else spec.work_name
    return Sure(spec.variant.name, spec.target.name, task, cells, "; ".join(notes))
