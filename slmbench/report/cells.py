"""One number of the page with everything that must travel with it."""

from __future__ import annotations

from dataclasses import dataclass

from slmbench.analysis import MEANINGS, Flag, MetricRow
from slmbench.analysis.energy import grade_of
from slmbench.meters.grades import SOURCES, Grade
from slmbench.metrics import METRICS
from slmbench.records import Provenance, Status
from slmbench.report.format import NOTHING, show, show_range

ARROWS = {"higher": "↑", "lower": "↓", "none": "◦"}
"""Direction of a metric, as shown in table heads."""
ARROW_WORDS = {"higher": "higher is better", "lower": "lower is better", "none": "not ranked"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, or the reason why there is none."""

    title: str
    """Column that it belongs to."""
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    provenance: str = Provenance.UNAVAILABLE.value
    status: str = Status.OK.value
    """``ok``, the ending of a failed run, ``skipped`` or ``not run``."""
    reason: str = ""
    detail: str = ""
    """How the interval was made, scope, workload point."""
    flags: tuple[Flag, ...] = ()
    point: str = ""
    """Workload point that the whole column is about."""
    grade: Grade | None = None
    """Of an energy: what kind of source it rests on."""
    scope: str = ""
    """What the number covers."""

    @property
    def text(self) -> str:
        """Value and interval on one line; the status of a cell without a value."""
        if self.value is None:
            status = "suspect" if self.suspect else self.status
            return NOTHING if status == Status.OK else status
        shown = f"{self.shown} ({self.range})" if self.range else self.shown
        return f"suspect: {shown}" if self.suspect else shown

    @property
    def suspect(self) -> bool:
        """Whether a plausibility guard does not believe it; ``reason`` says why."""
        return "suspect" in self.flags

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return show(self.value, self.unit)

    @property
    def range(self) -> str:
        """The 95 % interval in the same unit; empty when there is none."""
        return "" if self.value is None else show_range(self.value, self.low, self.high, self.unit)

    @property
    def count(self) -> str:
        """What n counts, in words."""
        return f"n {self.n:,}".replace(",", " ") if self.n else ""

    @property
    def badge(self) -> str:
        """First letter of the provenance."""
        return self.provenance[0].upper()

    @property
    def failed(self) -> bool:
        """Whether the run behind this cell failed."""
        return self.status in {s.value for s in Status} - {Status.OK.value}

    @property
    def tooltip(self) -> str:
        """Everything else about the number, for hover and screen readers."""
        lines = [self.provenance, self.detail, self.reason]
        lines += [f"{flag}: {MEANINGS[flag].meaning}" for flag in self.flags]
        return " · ".join(line for line in lines if line)


def cell_of(row: MetricRow, title: str, column: str | None = None) -> Cell:
    """The cell of a metric row, in the column of another metric when the row is a failure."""
    metric = column or row.metric
    e = row.estimate
    method = e.method if e.value is not None else ""
    failed = f"{row.n_failed} unscored" if row.n_failed else ""
    chance = "" if row.chance is None else f"chance {show(row.chance, row.unit)}"
    grade = grade_of(row)
    graded = f"grade {grade} ({SOURCES[grade]})" if grade else ""
    detail = "; ".join(t for t in (method, row.point, row.scope, graded, chance, failed) if t)
    return Cell(
        title=title,
        metric=metric,
        value=e.value,
        low=e.low,
        high=e.high,
        n=e.n,
        unit=METRICS[metric].unit if metric in METRICS else "",
        provenance=row.provenance.value,
        status=row.run.record.status.value,
        reason=row.reason,
        detail=detail,
        flags=row.flags,
        grade=grade,
        scope=row.scope,
    )


def arrow(metric: str) -> str:
    """Arrow of the metric's direction, from the metrics table."""
    return ARROWS[METRICS[metric].direction] if metric in METRICS else ""


def arrow_words(metric: str) -> str:
    """What the arrow says."""
    declared = METRICS.get(metric)
    if declared is None or declared.direction != "none":
        return ARROW_WORDS[declared.direction] if declared else "not ranked"
    if declared.ideal is None:
        return "not ranked"
    return f"not ranked; {show(declared.ideal, declared.unit)} means no preference"
