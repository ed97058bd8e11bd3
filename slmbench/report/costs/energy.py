"""The page about energy: figures by grade and scope, model against meter, energy against time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from slmbench.analysis import MetricRow
from slmbench.analysis.energy import grade_of
from slmbench.meters.grades import RANKED, SOURCES, Grade
from slmbench.metrics import METRICS
from slmbench.records import Status
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.systems import Line, by_bits
from slmbench.report.costs.energy_checks import check_parts
from slmbench.report.costs.entries import Entry, Head, Part, Row, Table, Words, reading
from slmbench.report.costs.latency import scaled_estimate
from slmbench.report.costs.material import Block, Costs, head, named, slug
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for
from slmbench.spec.points import parse_point

WORKLOADS = ("energy",)
MEASURED = (
    "energy_per_token", "energy_net_per_token", "energy_per_prompt_token",
    "energy_net_per_prompt_token", "energy_per_request", "energy_net_per_request", "mean_power",
    "idle_power", "energy_per_1000_requests", "edp", "co2e_per_1000_requests",
)  # fmt: skip
"""Columns of a measured table, gross and net beside each other."""
MODELLED = ("energy_estimate_per_token", "energy_estimate_per_request", "co2e_estimate")
GROSS = ("energy_gross", "energy_total", "energy_net", "window_request_time", "window_requests")
"""What the figures are made of, a sample a window."""
_PLAIN = ("s", "count")
"""Units of figures that are no energy and have no grade."""
Basis = tuple[Grade, str]
"""Grade and scope: figures of one basis may be compared."""


def build(costs: Costs) -> tuple[Part, ...]:
    """All sections; none where no energy was asked for."""
    blocks = costs.of("energy")
    if not blocks:
        return ()
    return (
        _grades(costs, blocks),
        *(_measured(costs, block, alone=len(blocks) == 1) for block in blocks),
        _estimated(costs, blocks),
        *check_parts(costs),
    )


def _rows(costs: Costs, block: Block) -> list[MetricRow]:
    return [row for run in block.runs.values() for row in costs.rows.get(run.folder, ())]


def _grades(costs: Costs, blocks: Sequence[Block]) -> Part:
    """Which grades there are, and for how many systems."""
    seen: dict[Basis, set[object]] = {}
    for block in blocks:
        for row in _rows(costs, block):
            grade = grade_of(row)
            if grade is not None and row.phase == "window":
                seen.setdefault((grade, row.scope), set()).add(row.run.folder)
    rows = [
        Row(
            f"Grade {grade}",
            (SOURCES[grade],),
            (
                Words(scope or "–", pill=False),
                Words(f"{len(runs)}", pill=False),
                Words("among itself" if grade in RANKED else "never",
                      "" if grade in RANKED else "warn"),
            ),
        )
        for (grade, scope), runs in sorted(seen.items(), key=lambda item: item[0])
    ]  # fmt: skip
    heads = (
        Head("What it covers", "scope of the figures"),
        Head("Runs", "runs with figures of this grade and scope"),
        Head("May be ranked", "D and E restate load and time: they stand on no axis of a front"),
    )
    lead = (
        "A wall meter · B hardware counter · C sampled power · D load model · E constant. Compare "
        "within a grade and a scope only: a board's counter leaves out the processor, the memory "
        "and the power supply. A total takes the weakest grade of its parts.",
    )
    table = Table("energy-grades", "Grades of these figures", "", "Grade", heads, tuple(rows))
    notes = [f"No measured figure: {why}." for why in _missing(costs, blocks)]
    return Part(
        "grades", "What these figures rest on", lead, (), (table,) if rows else (), tuple(notes)
    )


def _missing(costs: Costs, blocks: Iterable[Block]) -> tuple[str, ...]:
    """Why runs that ended ok have no measured energy, each reason once with its systems."""
    found: dict[str, list[str]] = {}
    for block in blocks:
        for line in block.lines:
            run = block.runs[line.system]
            if run.record.status is not Status.OK or costs.has([run], "energy_total"):
                continue
            why = next(
                (r.reason for r in costs.rows.get(run.folder, ()) if r.metric == "energy_gross"
                 and r.estimate.value is None and r.reason), "")  # fmt: skip
            if why:
                found.setdefault(why, []).append(f"{line.label} on {line.system.target}")
    return tuple(f"{why} ({', '.join(who)})" for why, who in found.items())


def _measured(costs: Costs, block: Block, *, alone: bool) -> Part:
    tables, figures = [], []
    for point in block.points:
        tables += _tables(costs, block, point)
        figures.append(_figure(costs, block, point))
    title = "Measured energy"
    lead = (
        "Windows of identical requests with the model loaded; idle before and after, from the same "
        "source. Gross is what was read, net is gross minus idle power times the time: it hangs on "
        "idle power, which moves with temperature. pp is prefill alone, tg decode alone. Systems "
        "stand in the order of their lineage, never by their energy. Carbon is a factor times "
        "energy and ranks nothing.",
    )
    return Part(
        f"energy-{block.suite}",
        title if alone else f"{title}: suite {block.suite}",
        lead if tables else (),
        tuple(f for f in figures if f is not None),
        tuple(tables),
        _factors(r for r in _rows(costs, block) if r.metric in MEASURED) if tables else (),
    )


def _bases(costs: Costs, block: Block, point: str, metrics: Iterable[str]) -> list[Basis]:
    wanted = frozenset(metrics)
    found = {
        (grade, row.scope)
        for row in _rows(costs, block)
        if row.metric in wanted and row.point == point and (grade := grade_of(row)) is not None
    }
    return sorted(found)


def _tables(costs: Costs, block: Block, point: str) -> list[Table]:
    """The figures, and what they are made of; a part of rows a grade and scope."""
    found = []
    for metrics, title, folded in (
        (MEASURED, point, False),
        (GROSS, f"{point}: windows", True),
    ):
        energies = [m for m in metrics if METRICS[m].unit not in _PLAIN]
        bases = [b for b in _bases(costs, block, point, energies) if b[0] in RANKED]
        columns = [m for m in metrics if any(
            r.metric == m and r.point == point and r.estimate.value is not None
            for r in _rows(costs, block))]  # fmt: skip
        rows = _graded(costs, block, point, bases, columns)
        if rows:
            anchor = f"energy-{block.suite}-{slug(point)}{'-windows' if folded else ''}"
            heads = tuple(head(m) for m in columns)
            found.append(Table(anchor, title, "", "Variant", heads, rows, folded=folded))
    return found


def _graded(
    costs: Costs, block: Block, point: str, bases: Sequence[Basis], columns: Sequence[str]
) -> tuple[Row, ...]:
    rows: list[Row] = []
    for grade, scope in bases:
        mine: list[tuple[Line, list[Entry]]] = []
        for line in block.lines:
            cells = [_entry(costs, block, line, m, point, (grade, scope)) for m in columns]
            if any(c for c, m in zip(cells, columns, strict=True) if METRICS[m].unit not in _PLAIN):
                mine.append((line, cells))
        if mine:
            rows.append(Row(f"Grade {grade}: {SOURCES[grade]} · {scope}"))
            rows += [named(line, block, cells) for line, cells in mine]
    return tuple(rows)


def _entry(costs: Costs, block: Block, line: Line, metric: str, point: str, basis: Basis) -> Entry:
    """The figure of that grade and scope; of counts and times the only one there is."""
    unit = METRICS[metric].unit
    for row in costs.rows.get(block.runs[line.system].folder, ()):
        if row.metric != metric or row.point != point or row.estimate.value is None:
            continue
        if row.phase not in ("window", "idle_before", "idle_after"):
            continue
        if unit in _PLAIN:
            return reading(row, METRICS[metric].label)
        if (grade_of(row), row.scope) == basis:
            return reading(row, METRICS[metric].label)
    return None


def _factors(rows: Iterable[MetricRow]) -> tuple[str, ...]:
    """What grams rest on, each once."""
    told = (row.reason for row in rows if row.unit == "gCO2e" and row.reason)
    return tuple(f"Carbon rests on: {text}." for text in dict.fromkeys(told))


def _figure(costs: Costs, block: Block, point: str) -> Figure | None:
    """Energy per token, gross and net, of the grade and scope that most systems have."""
    prefill = parse_point(point).output_tokens == 1
    names = ("energy_per_prompt_token", "energy_net_per_prompt_token") if prefill else (
        "energy_per_token", "energy_net_per_token")  # fmt: skip
    rows = [
        row
        for row in _rows(costs, block)
        if row.metric in names and row.point == point and grade_of(row) in RANKED
    ]
    if not rows:
        return None
    counts = Counter(
        (grade, row.scope)
        for row in rows
        if row.metric == names[0] and (grade := grade_of(row)) is not None
    )
    if not counts:
        return None
    basis: Basis = min(counts, key=lambda key: (-counts[key], key))
    kept = [row for row in rows if (grade_of(row), row.scope) == basis]
    scale = scale_for("J/token", [row.estimate.value or 0.0 for row in kept])
    places = categories(block.lines)
    series = []
    for metric in names:
        by_run = {row.run.folder: row for row in kept if row.metric == metric}
        marks = [
            Mark(places[line.system], scaled_estimate(row.estimate, scale.divisor),
                 f"{line.label} · {line.system.target}")
            for line in by_bits(block.lines)
            if (row := by_run.get(block.runs[line.system].folder)) is not None
        ]  # fmt: skip
        series.append(Series("gross" if metric == names[0] else "net of idle", tuple(marks)))
    what = "per prompt token" if prefill else "per output token"
    axes = Axes(BITS, f"energy {what} [{scale.label}] ↓", scale.label,
                categories=tuple(places.values()))  # fmt: skip
    caption = (
        f"Grade {basis[0]} ({SOURCES[basis[0]]}), {basis[1]}; others are left out. Medians of "
        "windows with 95 % intervals."
    )
    name = f"energy-{block.suite}-{slug(point)}-figure"
    return draw(name, f"Energy {what}, {point}", caption, series, axes)


def _estimated(costs: Costs, blocks: Sequence[Block]) -> Part:
    """What codecarbon's model says; kept off everything that is measured."""
    tables, told = [], []
    for block in blocks:
        told += [
            row.reason
            for row in _rows(costs, block)
            if row.metric == "energy_estimate" and row.reason
        ]
        for point in block.points:
            bases = [b for b in _bases(costs, block, point, MODELLED) if b[0] not in RANKED]
            columns = [m for m in MODELLED if costs.has(block.runs.values(), m, point)]
            if rows := _graded(costs, block, point, bases, columns):
                anchor = f"energy-{block.suite}-{slug(point)}-model"
                heads = tuple(head(m) for m in columns)
                tables.append(Table(anchor, point, "", "Variant", heads, rows))
    lead = (
        "These come from codecarbon's model of power, not from a meter: never ranked, on no axis "
        "of a front, and not to be compared with the measured figures above.",
        *(f"What the model assumed: {text}." for text in dict.fromkeys(told)),
    )
    every = (row for block in blocks for row in _rows(costs, block) if row.metric in MODELLED)
    notes = _factors(every) if tables else ()
    return Part("estimated", "Energy, estimated", lead if tables else (), (), tuple(tables), notes)
