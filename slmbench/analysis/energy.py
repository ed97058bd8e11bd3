"""What an energy figure is worth: its grade, what it says beyond time, model against counter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slmbench.analysis.processes import process_estimate
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.statistics import Estimate
from slmbench.meters.grades import RANKED, SOURCES, Grade, grade
from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.spec import WorkloadSpec
from slmbench.store import StoredRun

UNITS = frozenset({"J", "J/token", "Wh", "J·s", "W", "gCO2e"})
"""Units of the figures that bear a grade."""
OWN_WORD = 0.99
"""Correlation with wall time above which an energy says nothing of its own."""
FEWEST_VARIANTS = 3
_TIME = "window_request_time"
_TOLD = ("energy_per_request", "energy_net_per_request", "energy_estimate_per_request")


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """One energy figure of one run with its grade."""

    row: MetricRow
    grade: Grade | None
    """None: unavailable, so of no source."""

    @property
    def source(self) -> str:
        """What the grade stands for; empty without one."""
        return SOURCES[self.grade] if self.grade else ""

    @property
    def ranked(self) -> bool:
        """Whether it may be ranked among figures of its own grade, and stand on an axis."""
        return self.grade in RANKED and self.row.direction != "none"


def grade_of(row: MetricRow) -> Grade | None:
    """Grade of a row that is about energy; None for others and for what has no value.

    Grams are graded by the energy under them, though their factor is always an assumption.
    """
    if row.unit not in UNITS or row.estimate.value is None:
        return None
    return grade(row.method, row.scope, row.reason)


def energy_rows(rows: Iterable[MetricRow]) -> tuple[EnergyRow, ...]:
    """The figures of energy workloads, counts of their windows included."""
    return tuple(
        EnergyRow(row, grade_of(row))
        for row in rows
        if isinstance(row.run.spec.work, WorkloadSpec) and row.run.spec.work.workload == "energy"
    )


@dataclass(frozen=True, slots=True)
class Information:
    """Whether an energy tells variants apart by more than the time that they take."""

    suite: str
    size: str
    machine: str
    target: str
    point: str
    metric: str
    scope: str
    grade: Grade | None
    variants: tuple[str, ...]
    r: float | None
    """Pearson correlation of energy and time per request over the variants."""

    @property
    def n(self) -> int:
        """Variants."""
        return len(self.variants)

    @property
    def own_information(self) -> bool | None:
        """None: too few variants to tell."""
        return None if self.r is None else self.r <= OWN_WORD

    @property
    def verdict(self) -> str:
        """In words."""
        if self.r is None:
            return f"{self.n} variants: too few, or too alike, to tell energy from time"
        seen = f"r = {self.r:.3f} with wall time over {self.n} variants"
        if self.r > OWN_WORD:
            return f"{seen}: it restates time and carries no information of its own"
        return f"{seen}: it says something that time does not"


def information(rows: Iterable[MetricRow]) -> tuple[Information, ...]:
    """One verdict per machine, target, point and kind of energy."""
    values: dict[tuple[str, ...], dict[str, tuple[MetricRow, float]]] = {}
    times: dict[tuple[str, str], float] = {}
    kept = [row for row in rows if row.estimate.value is not None]
    for row in kept:
        if row.metric == _TIME and row.estimate.value is not None:
            times[str(row.run.folder), row.point] = row.estimate.value
    for row in kept:
        seconds = times.get((str(row.run.folder), row.point))
        if row.metric not in _TOLD or seconds is None:
            continue
        spec = row.run.spec
        key = (spec.suite, spec.size, row.run.record.machine, spec.target.name, row.point,
               row.metric, row.scope)  # fmt: skip
        values.setdefault(key, {})[spec.variant.name] = (row, seconds)
    return tuple(_informed(key, found) for key, found in values.items())


def _informed(key: tuple[str, ...], found: dict[str, tuple[MetricRow, float]]) -> Information:
    energies = [row.estimate.value or 0.0 for row, _ in found.values()]
    r = correlation(energies, [seconds for _, seconds in found.values()])
    first = next(iter(found.values()))[0]
    suite, size, machine, target, point, metric, scope = key
    return Information(
        suite, size, machine, target, point, metric, scope, grade_of(first), tuple(found), r
    )


def correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's r; None below three pairs, and where one side does not vary.

    >>> round(correlation([1, 2, 3, 4], [1, 3, 2, 4]) or 0, 3)
    0.8
    >>> correlation([1, 1, 1], [1, 2, 3]) is None
    True
    """
    if len(left) < FEWEST_VARIANTS or len(left) != len(right):
        return None
    x, y = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((x * x).sum() * (y * y).sum()))
    flat = float(np.abs(x).max()) == 0 or float(np.abs(y).max()) == 0
    return None if flat or spread == 0 else float((x * y).sum()) / spread


@dataclass(frozen=True, slots=True)
class Agreement:
    """codecarbon's energy beside a measured one, window by window."""

    run: StoredRun
    point: str
    scope: str
    """What was measured; the model is of the whole machine."""
    grade: Grade | None
    """Of the measured one."""
    model_scope: str
    model_grade: Grade | None
    measured_w: float
    """Mean power by the meter [W]."""
    modelled_w: float
    ratio: Estimate
    """Modelled / measured energy, a sample a window."""


def agreement(runs: Iterable[StoredRun]) -> tuple[Agreement, ...]:
    """Where a window has both: the model's energy over the measured one."""
    return tuple(found for run in runs for found in _agreements(run))


def _agreements(run: StoredRun) -> Iterator[Agreement]:
    grouped: dict[tuple[str, str, str], list[tuple[PhaseRecord, Measurement, Measurement]]] = {}
    for phase in run.record.phases:
        if phase.phase != "window":
            continue
        measured, modelled = _one(phase, "energy_total"), _one(phase, "energy_estimate")
        if measured is not None and modelled is not None and sum(measured.samples) > 0:
            key = (measured.point, measured.scope, modelled.scope)
            grouped.setdefault(key, []).append((phase, measured, modelled))
    for (point, scope, model_scope), windows in grouped.items():
        seconds = sum(phase.duration_ns for phase, _, _ in windows) * 1e-9
        totals = [sum(m.samples) for _, m, _ in windows]
        models = [sum(m.samples) for _, _, m in windows]
        ratios = [model / total for model, total in zip(models, totals, strict=True)]
        first, other = windows[0][1], windows[0][2]
        yield Agreement(
            run,
            point,
            scope,
            grade(first.method, scope, first.reason),
            model_scope,
            grade(other.method, model_scope, other.reason),
            sum(totals) / seconds,
            sum(models) / seconds,
            process_estimate(ratios, [phase.process for phase, _, _ in windows]),
        )


def _one(phase: PhaseRecord, metric: str) -> Measurement | None:
    found = [m for m in phase.measurements if m.metric == metric and m.samples]
    usable = [m for m in found if m.provenance is not Provenance.UNAVAILABLE]
    return usable[0] if usable else None
