"""The leaderboard: variants down, what was measured across."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis import MetricRow, Results
from slmbench.analysis.accuracy_mean import ACCURACY as ACCURACY
from slmbench.analysis.accuracy_mean import NOT_ACCURACY
from slmbench.analysis.headline import headline_point as headline_point
from slmbench.analysis.stability import score_flags
from slmbench.analysis.statistics import Estimate, mean_of_means
from slmbench.analysis.systems import System as System
from slmbench.metrics import METRICS
from slmbench.records import ModelInfo, Provenance, Status
from slmbench.report.cells import Cell, cell_of
from slmbench.spec import TaskSpec, VariantRef

_BESIDE = frozenset({"robustness"})
"""Suites that ask tasks of other suites once more: no columns of their own."""
_COMPANION = {"abstention_rate": "answer_rate_control"}
"""Shown beside a metric that could be gamed without it."""
_COSTS = (
    ("latency", "decode_rate"),
    ("latency", "ttft"),
    ("latency", "tpot"),
    ("memory", "peak_memory"),
    ("energy", "energy_per_token"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that the leaderboard shows."""

    work: str
    """Task or workload."""
    suite: str
    metric: str
    title: str

    @property
    def is_accuracy(self) -> bool:
        """Whether it counts towards the accuracy mean."""
        return self.metric in ACCURACY and self.suite not in NOT_ACCURACY


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One system with its numbers."""

    system: System
    ref: VariantRef
    """The variant's lineage, licence and note, as the newest run knew them."""
    label: str
    """Variant name, told apart from its namesakes where there are any."""
    accuracy: Cell
    """Mean over the accuracy tasks; null when one of them has no value."""
    tasks: tuple[Cell, ...]
    """One per task (accuracy tasks first), the same for every row."""
    costs: tuple[Cell, ...]
    """Decode rate, TTFT, TPOT, peak memory, energy, size, bits per weight."""
    chance: float | None
    """Mean chance level of the accuracy tasks."""

    @property
    def variant(self) -> str:
        """Variant name."""
        return self.label

    @property
    def backend(self) -> str:
        """Engine."""
        return self.system.backend

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The headline cells, for a narrow table: no accuracy task alone, no TPOT."""
        others = [c for c in self.tasks if c.metric not in (*ACCURACY, *_COMPANION.values())]
        return (self.accuracy, *others, *(c for c in self.costs if c.metric != "tpot"))

    def cell(self, metric: str) -> Cell | None:
        """The cost cell of that metric."""
        return next((c for c in self.costs if c.metric == metric), None)


def leaderboard_rows(results: Results) -> list[LeaderboardRow]:
    """One row per artefact × target × size × machine, the most accurate first.

    Every row has the same cells in the same order; a failed, skipped or absent run leaves a
    cell that says so.
    """
    found = _newest(results.metric_rows)
    columns = task_columns(results.metric_rows)
    point = headline_point(results.metric_rows)
    models = _models(results)
    skips = {(s.variant, s.target, s.work): s.reason for s in results.skips}
    names = Counter((s.variant, s.target, s.size, s.machine) for s in found)
    rows = []
    for system, mine in found.items():
        place = _Place(system, mine, skips)
        tasks = [place.cell(c.work, c.metric, "", c.title) for c in columns]
        estimates = [(c, place.row(c.work, c.metric, "")) for c in columns if c.is_accuracy]
        twins = names[system.variant, system.target, system.size, system.machine]
        costs = [place.cell(work, m, point.get(m, ""), METRICS[m].label) for work, m in _COSTS]
        label = system.variant + (f" ({system.digest[:6]})" if twins > 1 else "")
        rows.append(
            LeaderboardRow(
                system,
                max((r.run for r in mine.values()), key=lambda r: r.record.run_id).spec.variant,
                label,
                _mean_cell(estimates),
                tuple(tasks),
                (*costs, *_identity_cells(models.get(system))),
                _mean_chance(estimates),
            )
        )
    return sorted(rows, key=_best_first)


def task_columns(rows: Iterable[MetricRow]) -> tuple[Column, ...]:
    """Columns of tasks: primaries and their companions; accuracy first, then by suite."""
    columns: dict[tuple[str, str, str], Column] = {}
    for row in rows:
        spec = row.run.spec
        if not isinstance(spec.work, TaskSpec) or not row.primary or spec.suite in _BESIDE:
            continue
        for metric in (row.metric, _COMPANION.get(row.metric)):
            if metric is not None and metric in METRICS:
                key = (spec.suite, spec.work_name, metric)
                title = spec.work_name
                if metric not in ACCURACY:
                    title = METRICS[metric].label
                columns[key] = Column(spec.work_name, spec.suite, metric, title)
    order = {"hallucination": 1, "bias": 2}
    return tuple(
        sorted(
            columns.values(),
            key=lambda c: (not c.is_accuracy, order.get(c.suite, 3), c.suite, c.work),
        )
    )


def _newest(rows: Sequence[MetricRow]) -> dict[System, dict[tuple[str, str, str], MetricRow]]:
    """Rows by system and (work, metric, point); of several runs the newest that has a value."""
    found: dict[System, dict[tuple[str, str, str], MetricRow]] = {}
    for row in rows:
        key = (row.run.spec.work_name, row.metric, row.point)
        mine = found.setdefault(System.of(row.run), {})
        if row.phase == "warm_up":
            continue
        if key not in mine or _weight(row) > _weight(mine[key]):
            mine[key] = row
    return found


def _weight(row: MetricRow) -> tuple[bool, bool, str]:
    return row.estimate.value is not None, row.primary, row.run.record.run_id


@dataclass(frozen=True, slots=True)
class _Place:
    """One row under construction."""

    system: System
    rows: Mapping[tuple[str, str, str], MetricRow]
    skips: Mapping[tuple[str, str, str], str]

    def row(self, work: str, metric: str, point: str) -> MetricRow | None:
        """The metric row of that place, else the failure of the run it would come from."""
        return self.rows.get((work, metric, point)) or next(
            (
                r
                for (its_work, its_metric, _), r in self.rows.items()
                if its_work == work
                and (r.run.record.status is not Status.OK or its_metric == metric)
                and r.estimate.value is None
            ),
            None,
        )

    def cell(self, work: str, metric: str, point: str, title: str) -> Cell:
        """The cell of that place; says why when there is no number."""
        row = self.row(work, metric, point)
        if row is not None:
            return replace(cell_of(row, title, metric), point=point)
        skipped = self.skips.get((self.system.variant, self.system.target, work))
        unit = METRICS[metric].unit
        if skipped is not None:
            return Cell(title, metric, unit=unit, status="skipped", reason=skipped, point=point)
        why = f"{work} was not run for this variant and target"
        return Cell(title, metric, unit=unit, status="not run", reason=why, point=point)


def _mean_cell(estimates: Sequence[tuple[Column, MetricRow | None]]) -> Cell:
    title = "Accuracy"
    if not estimates:
        why = "no accuracy task was run"
        return Cell(title, "acc", unit="fraction", status="not run", reason=why)
    absent = [c.title for c, row in estimates if row is None or row.estimate.value is None]
    if absent:
        why = f"no value for {', '.join(absent)}: a mean over the rest would not be comparable"
        return Cell(title, "acc", unit="fraction", reason=why)
    doubted = [(c.title, row.reason) for c, row in estimates if row is not None and row.suspect]
    if doubted:
        why = "; ".join(f"{title} is suspect: {reason}" for title, reason in doubted)
        return Cell(title, "acc", unit="fraction", reason=f"no mean: {why}", flags=("suspect",))
    mean: Estimate = mean_of_means([row.estimate for _, row in estimates if row is not None])
    return Cell(
        title,
        estimates[0][0].metric,
        mean.value,
        mean.low,
        mean.high,
        mean.n,
        "fraction",
        Provenance.DERIVED.value,
        detail=f"unweighted mean of {len(estimates)} tasks, {mean.method}",
        flags=score_flags(mean, 0, _mean_chance(estimates)),
    )


def _mean_chance(estimates: Sequence[tuple[Column, MetricRow | None]]) -> float | None:
    levels = [row.chance for _, row in estimates if row is not None and row.chance is not None]
    return sum(levels) / len(levels) if levels and len(levels) == len(estimates) else None


def _models(results: Results) -> dict[System, ModelInfo]:
    return {
        System.of(run): run.record.model for run in results.stored if run.record.model is not None
    }


def _identity_cells(model: ModelInfo | None) -> tuple[Cell, Cell]:
    size, bits = METRICS["artefact_size"], METRICS["bits_per_weight"]
    if model is None:
        why = "no run loaded the model"
        return (
            Cell(size.label, size.name, unit=size.unit, reason=why),
            Cell("Bits / weight", bits.name, unit=bits.unit, reason=why),
        )
    measured, derived = Provenance.MEASURED.value, Provenance.DERIVED.value
    return (
        Cell(size.label, size.name, model.artefact_bytes, unit=size.unit,
             provenance=measured, detail="exact, of the files"),
        Cell("Bits / weight", bits.name, model.bits_per_weight, unit=bits.unit,
             provenance=derived, detail=bits.definition),
    )  # fmt: skip


def _best_first(row: LeaderboardRow) -> tuple[bool, float, str]:
    cell = row.accuracy
    value = cell.value or 0.0
    higher = METRICS[cell.metric].direction == "higher"
    return cell.value is None, -value if higher else value, row.label
