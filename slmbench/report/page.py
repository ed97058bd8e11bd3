"""Put the page together: one HTML file that needs no network and runs no foreign script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from slmbench.analysis import MEANINGS, Comparison, FlagMeaning, Results, compare_to_parents
from slmbench.analysis.compare import Refused
from slmbench.analysis.fidelity import Fidelity, measure_fidelity
from slmbench.analysis.gates import gates_passed
from slmbench.metrics import METRICS
from slmbench.report.cells import Cell, cell_of
from slmbench.report.constructs import ABOUT, ConstructPage, construct_pages
from slmbench.report.constructs.gathering import gather
from slmbench.report.costs import COSTS, CostPage, arrange, cost_pages
from slmbench.report.deltas import DeltaTable, base_table, delta_table
from slmbench.report.experiments import ExperimentPage, experiment_pages
from slmbench.report.fidelity import FidelityPart, fidelity_part
from slmbench.report.figures import Figure, bits_figure, estimate_figure, pareto_figure
from slmbench.report.format import show
from slmbench.report.leaderboard import LeaderboardRow, System, leaderboard_rows, task_columns
from slmbench.report.lineage import BOX_WIDTH, Lineage, lineage
from slmbench.report.rendering import GENERATOR, Link, render_template
from slmbench.report.sections import (
    Machine,
    Skipped,
    Trouble,
    Unavailable,
    machines,
    skipped,
    troubles,
    unavailable,
)
from slmbench.report.signatures import SignaturePart, signature_part
from slmbench.report.trust import Trust, trust
from slmbench.store import replace_file
from slmbench.store.gates import GateRecord, read_gates

PARETO_COSTS = ("tpot", "peak_memory", "energy_per_token")
MOST_OTHERS = 6
"""Columns of tasks other than accuracy in the leaderboard; more of them stand on their pages."""
ESTIMATE = "energy_estimate_per_token"
_TEMPLATES: Mapping[type, str] = {
    ExperimentPage: "experiment.html.j2",
    CostPage: "cost.html.j2",
    ConstructPage: "construct.html.j2",
}


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that could not be drawn, and why."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows; it computes nothing itself."""

    title: str
    source: str
    """Name of the results folder, without its path."""
    span: str
    """First and last day of the runs, UTC."""
    rows: tuple[LeaderboardRow, ...]
    gate_records: tuple[GateRecord, ...]
    variants: int
    targets: tuple[str, ...]
    sizes: tuple[str, ...]
    runs: int
    chance: str
    glance: tuple[str, ...]
    tradeoffs: tuple[Figure, ...]
    absent: tuple[Absent, ...]
    bits: Figure | None
    estimate: Figure | None
    estimate_reason: str
    deltas: DeltaTable
    base_deltas: DeltaTable
    """Of the variants whose parent is not the root."""
    refused: tuple[Refused, ...]
    fidelity: FidelityPart
    lineage: Lineage
    signatures: SignaturePart
    trust: Trust
    """Suspect numbers, shortcuts, calibration."""
    troubles: tuple[Trouble, ...]
    skipped: tuple[Skipped, ...]
    unavailable: tuple[Unavailable, ...]
    machines: tuple[Machine, ...]
    flags: tuple[FlagMeaning, ...]
    """Those that occur on this page."""
    accuracy_tasks: int
    """How many of the leaderboard's task columns are accuracy; they are the first ones."""
    elsewhere: bool
    """Whether other tasks are too many for a column each: their own pages show them then."""
    constructs: tuple[ConstructPage, ...]
    costs: tuple[CostPage, ...]
    experiments: tuple[ExperimentPage, ...]
    """The pages beside it."""
    links: tuple[Link, ...] = ()
    """All pages of the report, this one among them; empty until they are to be written."""

    @property
    def beside(self) -> tuple[ExperimentPage | CostPage | ConstructPage, ...]:
        """The other pages in the order of the navigation."""
        return (*self.experiments, *self.costs, *self.constructs)

    @property
    def gate_words(self) -> str:
        """What the gates are, for a tooltip."""
        titles = {record.gate: record.title for record in self.gate_records}
        told = "; ".join(f"{gate} {title}" for gate, title in sorted(titles.items()))
        return f"{told}. ✓ passed, ✗ failed, – does not apply"

    def gates(self, row: LeaderboardRow) -> str:
        """Which gates the row's variant has passed on its backend; empty when none was run."""
        return gates_passed(self.gate_records, row.system.digest, row.system.backend)

    @property
    def cells_missing(self) -> int:
        """Cells that failed or cannot be read."""
        return sum(len(t.works) for t in self.troubles)

    def shown(self, row: LeaderboardRow, part: str) -> tuple[Cell, ...]:
        """The cells of ``tasks`` or ``costs`` in columns that are worth their width.

        TPOT is left to the figures, and a column that no run filled or failed to fill is
        explained under "Not measured" instead.
        """
        columns = zip(*(_part(r, part) for r in self.rows), strict=True)
        keep = [any(c.value is not None or c.failed for c in column) for column in columns]
        cells = zip(_part(row, part), keep, strict=True)
        found = tuple(c for c, wanted in cells if wanted and c.metric != "tpot")
        if self.elsewhere and part == "tasks":
            return tuple(c for c in found if c in row.tasks[: self.accuracy_tasks])
        return found

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, in page order."""
        extra = [f for f in (self.bits, self.estimate) if f is not None]
        return (*self.tradeoffs, *self.fidelity.figures, *self.trust.figures, *extra)


def _part(row: LeaderboardRow, part: str) -> tuple[Cell, ...]:
    return row.tasks if part == "tasks" else row.costs


def write_report(results: Results, out: Path, *, title: str) -> Path:
    """Write the page, and one beside it per construct and kind of cost; returns the first's path.

    ``out`` is the file if it ends in ``.html``, else a folder that gets ``index.html``; the others
    are ``bias.html`` … in such a folder, ``FILE-bias.html`` … beside ``FILE.html``. No file loads
    anything: scripts and styles are in it, and its own content security policy forbids requests
    and any script but its own. Pages of an earlier report that have no runs any more are removed.
    """
    path = out if out.suffix == ".html" else out / "index.html"
    page = make_page(results, title)
    stale = {construct_file(path, about) for about in (*ABOUT, *COSTS)}
    stale |= set(path.parent.glob(construct_file(path, "experiment-*").name))
    for one in page.beside:
        links = _links(path, page, one.about.name)
        values = {"page": one.linked(links)}
        text = render_template(_TEMPLATES[type(one)], has_figures=bool(one.figures), values=values)
        place = construct_file(path, one.about.name)
        replace_file(place, text)
        stale.discard(place)
    replace_file(path, render(replace(page, links=_links(path, page, ""))))
    for old in sorted(stale):
        _remove_ours(old)
    return path


def construct_file(path: Path, construct: str) -> Path:
    """Where the page of a construct or cost lies, beside the report's first page.

    >>> construct_file(Path("out/index.html"), "bias").name
    'bias.html'
    >>> construct_file(Path("mine.html"), "bias").name
    'mine-bias.html'
    """
    stem = "" if path.stem == "index" else f"{path.stem}-"
    return path.with_name(f"{stem}{construct}.html")


def _links(path: Path, page: Page, current: str) -> tuple[Link, ...]:
    pages = [("", "Overview", path)]
    pages += [
        (one.about.name, one.about.title, construct_file(path, one.about.name))
        for one in page.beside
    ]
    return tuple(Link(label, quote(file.name), name == current) for name, label, file in pages)


def _remove_ours(path: Path) -> None:
    """Remove a page of an earlier report; a file that is not ours stays."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        ours = f'<meta name="generator" content="{GENERATOR}">' in file.read(2000)
    if ours:
        path.unlink()


def make_page(results: Results, title: str) -> Page:
    """Compute everything that the page shows."""
    rows = tuple(leaderboard_rows(results))
    comparison = compare_to_parents(results, strict=False)
    bases = results.compare(against="base")
    measured = measure_fidelity(results)
    accuracy_tasks, elsewhere = _columns(results)
    material = gather(results, rows, comparison)
    hidden = material.of_pages() if elsewhere else frozenset()
    deltas = _without(comparison, hidden)
    tradeoffs = {cost: pareto_figure(rows, cost) for cost in PARETO_COSTS}
    estimates = _estimates(results, rows)
    levels = {show(r.chance, "fraction") for r in rows if r.chance is not None}
    found = tuple(f for f in tradeoffs.values() if f is not None)
    problems = troubles(results)
    return Page(
        title=title,
        source=results.root.name,
        span=_span(results),
        rows=rows,
        gate_records=read_gates(results.root),
        variants=len({r.system.variant for r in rows}),
        targets=tuple(sorted({r.system.target for r in rows})),
        sizes=tuple(sorted({r.system.size for r in rows})),
        runs=len(results.stored),
        chance=", ".join(sorted(levels)),
        glance=_glance(rows, found, deltas, sum(len(t.works) for t in problems)),
        tradeoffs=found,
        absent=tuple(_absent(rows, cost) for cost, f in tradeoffs.items() if f is None),
        bits=bits_figure(rows),
        estimate=estimate_figure(estimates),
        estimate_reason=next((c.reason for _, c in estimates if c.reason), ""),
        deltas=deltas,
        base_deltas=base_table(_other(bases, hidden)),
        refused=comparison.refused,
        fidelity=fidelity_part(measured),
        lineage=lineage(results, rows),
        signatures=signature_part(results, rows),
        trust=trust(results, rows),
        troubles=problems,
        skipped=skipped(results),
        unavailable=unavailable(results),
        machines=machines(results),
        flags=_flags(results, (comparison, bases), measured),
        accuracy_tasks=accuracy_tasks,
        elsewhere=elsewhere,
        constructs=construct_pages(material, title),
        costs=cost_pages(arrange(results, rows, comparison), title),
        experiments=experiment_pages(results, title),
    )


def _columns(results: Results) -> tuple[int, bool]:
    """How many task columns are accuracy, and whether the others are too many."""
    columns = task_columns(results.metric_rows)
    accuracy_tasks = sum(column.is_accuracy for column in columns)
    return accuracy_tasks, len(columns) - accuracy_tasks > MOST_OTHERS


def _span(results: Results) -> str:
    """First and last day of the runs, UTC."""
    days = sorted(r.record.started_utc[:10] for r in results.stored)
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else "no runs"


def _flags(
    results: Results, compared: Iterable[Comparison], measured: Fidelity
) -> tuple[FlagMeaning, ...]:
    """Those of every number that the page may show."""
    seen = {f for row in results.metric_rows for f in row.flags}
    seen |= {f for comparison in compared for d in comparison.deltas for f in d.flags}
    seen |= {f for row in measured.rows for f in row.flags}
    return tuple(MEANINGS[f] for f in sorted(seen))


def _other(comparison: Comparison, hidden: Set[Path]) -> Comparison:
    """Without the differences of these runs."""
    kept = (d for d in comparison.deltas if d.row.run.folder not in hidden)
    return Comparison(tuple(kept), comparison.refused)


def _without(comparison: Comparison, hidden: Set[Path]) -> DeltaTable:
    """The table without these runs; what it counts is counted over all."""
    whole, shown = delta_table(comparison), delta_table(_other(comparison, hidden))
    return replace(shown, verdicts=whole.verdicts, largest_mde=whole.largest_mde)


def render(page: Page) -> str:
    """The page as HTML; every text in it is escaped."""
    values = {"page": page, "shown": page.shown, "box_width": BOX_WIDTH}
    return render_template("report.html.j2", has_figures=bool(page.figures), values=values)


def _estimates(results: Results, rows: tuple[LeaderboardRow, ...]) -> tuple[tuple[str, Cell], ...]:
    """Modelled energy per token by system, in the leaderboard's order."""
    found = {
        System.of(row.run): cell_of(row, "Estimate")
        for row in results.metric_rows
        if row.metric == ESTIMATE and row.estimate.value is not None and row.phase != "warm_up"
    }
    return tuple(
        (f"{r.label} · {r.system.target}", found[r.system]) for r in rows if r.system in found
    )


def _absent(rows: tuple[LeaderboardRow, ...], cost: str) -> Absent:
    cells = [c for r in rows if (c := r.cell(cost)) is not None]
    if all(r.accuracy.value is None for r in rows):
        cells = [r.accuracy for r in rows]
    reasons = [c.reason for c in cells if c.value is None and c.reason]
    why = reasons[0] if reasons else "no variant has both an accuracy mean and this cost"
    return Absent(f"Accuracy × {METRICS[cost].label.lower()}", why)


def _glance(
    rows: tuple[LeaderboardRow, ...], figures: tuple[Figure, ...], deltas: DeltaTable, bad: int
) -> tuple[str, ...]:
    """The page in a few sentences; each is also shown, with its uncertainty, further down."""
    said = []
    best = next((r for r in rows if r.accuracy.value is not None), None)
    if best is not None:
        said.append(f"Highest mean accuracy: {best.label}, {best.accuracy.text}.")
    said += [
        f"{figure.title}: the best trade-offs are {', '.join(figure.names)}."
        for figure in figures
        if figure.names
    ]
    verdicts = dict(deltas.verdicts)
    total = sum(verdicts.values())
    if total:
        resolved = total - verdicts.get("not resolved", 0)
        said.append(
            f"{resolved} of {total} quality differences from a parent are resolved; the weakest "
            f"test could only see {deltas.largest_mde or 'larger effects'}. "
            "“Not resolved” does not mean “no loss”."
        )
    if bad:
        said.append(f"{bad} cells failed or cannot be read; their reasons are listed below.")
    return tuple(said)
