"""The values of an experiment's page; the template computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slmbench.analysis import Results
from slmbench.analysis.experiments import Told, experiments_of
from slmbench.analysis.experiments.findings import Chapter, Grid, Mark, Plot
from slmbench.metrics import METRICS
from slmbench.report.cells import ARROWS
from slmbench.report.constructs.assignment import About
from slmbench.report.costs.drawing import Curve, Frame, Spot, curves
from slmbench.report.costs.entries import Head, Part, Row, Table, Tone
from slmbench.report.experiments.words import TONES, entry_of, in_words, spoken
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for
from slmbench.report.rendering import Link
from slmbench.spec import Suite


@dataclass(frozen=True, slots=True)
class Sentence:
    """A conclusion in words."""

    verdict: str
    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class ArmLine:
    """An arm in words."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    """Everything that the template shows."""

    title: str
    report_title: str
    name: str
    about: About
    source: str
    """Name of the results folder, without its path."""
    conclusions: tuple[Sentence, ...]
    arms: tuple[ArmLine, ...]
    parts: tuple[Part, ...]
    limitations: tuple[str, ...]
    setup: str
    suites: tuple[Suite, ...]
    runs: int
    cells: int
    links: tuple[Link, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures."""
        return tuple(figure for part in self.parts for figure in part.figures)

    def linked(self, links: tuple[Link, ...]) -> ExperimentPage:
        """The same page with its navigation."""
        return replace(self, links=links)


def experiment_pages(results: Results, title: str) -> tuple[ExperimentPage, ...]:
    """A page an experiment that was run into the folder, by name."""
    return tuple(page_of(told, title) for told in experiments_of(results))


def page_of(told: Told, title: str) -> ExperimentPage:
    """The page of one experiment."""
    experiment, results = told.kept.experiment, told.material.results
    parts = tuple(_part(chapter) for chapter in told.findings.chapters)
    asked = {a.suite.rpartition("/")[2].removesuffix(".yaml") for a in experiment.suites}
    return ExperimentPage(
        title=f"{experiment.title} · {title}",
        report_title=title,
        name=experiment.name,
        about=About(f"experiment-{experiment.name}", experiment.title, experiment.question, ""),
        source=results.root.name,
        conclusions=tuple(
            Sentence(c.verdict, TONES.get(c.verdict, ""), spoken(c))
            for c in told.findings.conclusions
        ),
        arms=tuple(ArmLine(a.name, _arm(told, a.name)) for a in experiment.arms),
        parts=tuple(part for part in parts if not part.empty),
        limitations=experiment.limitations,
        setup=_setup(told),
        suites=tuple(s for s in results.suites if s.name in asked),
        runs=len(results.all_runs),
        cells=len(told.kept.cells),
    )


def _arm(told: Told, name: str) -> str:
    arm = next(a for a in told.kept.experiment.arms if a.name == name)
    control = told.kept.experiment.control_of(arm)
    against = f"; judged against “{control.name}”" if control is not None else ""
    how = f", by {arm.differ.replace('_', ' ')}" if len(arm.variants) > 1 else ""
    return f"{arm.role.replace('_', ' ')}: {', '.join(arm.variants)}{how}{against}"


def _setup(told: Told) -> str:
    experiment = told.kept.experiment
    suites = ", ".join(f"{a.suite} (size {a.size})" for a in experiment.suites)
    return (
        f"Models file {experiment.models}; suites {suites}. The experiment is meant to fit into "
        f"{experiment.budget.minutes:g} minutes and {experiment.budget.memory_mb:,} MB on two "
        "cores without a GPU, making its variants included."
    )


def _part(chapter: Chapter) -> Part:
    figures = tuple(f for f in map(_figure, chapter.plots) if f is not None)
    tables = tuple(_table(grid) for grid in chapter.grids if grid.lines)
    return Part(chapter.name, chapter.title, chapter.lead, figures, tables, chapter.notes)


def _table(grid: Grid) -> Table:
    heads = tuple(Head(_titled(c.title, c.metric), c.meaning) for c in grid.columns)
    missing = len(heads)
    rows = []
    for line in grid.lines:
        cells = tuple(entry_of(content) for content in line.cells)
        if cells:
            cells = (*cells, *(None,) * (missing - len(cells)))
        rows.append(Row(line.name, line.below, cells))
    return Table(f"table-{grid.name}", grid.title, grid.note, grid.first, heads, tuple(rows))


def _titled(title: str, metric: str) -> str:
    if metric not in METRICS or METRICS[metric].direction == "none":
        return title
    return f"{title} {ARROWS[METRICS[metric].direction]}"


def _figure(plot: Plot) -> Figure | None:
    units = [m.y.unit for trace in plot.traces for m in trace.marks]
    values = [m.y.value for trace in plot.traces for m in trace.marks if m.y.value is not None]
    scale = scale_for(units[0] if units else "", values)
    drawn = [
        Curve(
            trace.name,
            tuple(_spot(m.x, m, scale.divisor) for m in trace.marks if m.y.value is not None),
            joined=True,
        )
        for trace in plot.traces
    ]
    label = f" [{scale.label}]" if scale.label and "[" not in plot.y else ""
    frame = Frame(
        plot.x, f"{plot.y}{label}", from_zero=plot.from_zero, logarithmic_y=plot.logarithmic
    )
    return curves(f"figure-{plot.name}", plot.title, plot.caption, drawn, frame)


def _spot(x: float, mark: Mark, divisor: float) -> Spot:
    n = mark.y
    low, high = (None if end is None else end / divisor for end in (n.low, n.high))
    told = f"{mark.told}\n{x:g}: {in_words(n)}".strip()
    return Spot(x, (n.value or 0.0) / divisor, low, high, told)


def brief(told: Told) -> Sequence[str]:
    """The conclusions as lines of text."""
    return [f"{c.verdict}: {spoken(c)}" for c in told.findings.conclusions]
