"""Long texts: the retrieval grid with its intervals, effective lengths, likelihood by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.analysis import MetricRow
from slmbench.analysis.chance import chance_level
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.position import METRIC as POSITION
from slmbench.analysis.constructs.retrieval import Cell as GridCell
from slmbench.analysis.constructs.retrieval import cells, metric_of
from slmbench.analysis.long_context import LongSequences, symptoms
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs.drawing import Axes, Mark, Series, draw
from slmbench.report.constructs.systems import Line
from slmbench.report.costs.entries import Entry, Head, Part, Row, Table, Tint, Tone, Words, reading
from slmbench.report.costs.material import Costs
from slmbench.report.figures import Figure
from slmbench.report.format import show
from slmbench.report.leaderboard import System
from slmbench.store import StoredRun

TELLING = ("effective_length", "position_rise")
_TONES: dict[str, Tone] = {"yes": "bad", "no": "good", "unknown": "warn"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One task with its newest run a system, parents first."""

    suite: str
    task: str
    runs: tuple[tuple[Line, JudgedRun], ...]


def text_runs(costs: Costs) -> tuple[StoredRun, ...]:
    """Runs of tasks about long texts."""
    return tuple(run.run for asked in _asked(costs) for _, run in asked.runs)


def text_parts(costs: Costs) -> tuple[Part, ...]:
    """Symptom, retrieval and position; empty ones where nothing was asked."""
    asked = _asked(costs)
    if not asked:
        return ()
    kept = {run.run.folder for one in asked for _, run in one.runs}
    rows = [row for row in costs.results.construct_rows if row.run.folder in kept]
    return (_symptoms(costs, asked, rows), _grid(asked), _position(asked, rows))


def _asked(costs: Costs) -> tuple[Asked, ...]:
    lines = {line.system: line for line in costs.lines}
    found: dict[tuple[str, str], dict[System, JudgedRun]] = {}
    newest = sorted(costs.results.judged_runs, key=lambda r: r.run.record.run_id)
    for run in newest:
        if metric_of(run) is not None or POSITION in run.judged:
            key = (run.run.spec.suite, run.run.spec.work_name)
            found.setdefault(key, {})[System.of(run.run)] = run
    order = {system: i for i, system in enumerate(lines)}
    return tuple(
        Asked(
            suite,
            task,
            tuple((lines[s], mine[s]) for s in sorted(mine, key=lambda s: order[s])),
        )
        for (suite, task), mine in sorted(found.items())
    )


def _symptoms(costs: Costs, asked: Sequence[Asked], rows: Sequence[MetricRow]) -> Part:
    """Instability on long sequences: yes, no or unknown, and by what."""
    telling = {(row.run.folder, row.metric): row for row in rows if not row.scope}
    seen = {(one.run.folder, one.measure): one for one in symptoms(rows)}
    made = []
    for one in asked:
        for line, run in one.runs:
            for measure in TELLING:
                found = seen.get((run.run.folder, measure))
                if found is not None:
                    row = telling[run.run.folder, measure]
                    made.append(_symptom(line, one, found, row))
    heads = (
        Head("Instability", "whether the model fails on long texts by one of two rules"),
        Head("Measure", "effective length of retrieval, or rise of nats with position"),
        Head("What was seen", "what the answer rests on"),
    )
    lead = (
        "Yes where the whole interval of the effective length lies below the longest length that "
        "was asked (retrieval), or where a later range of positions is worse than an earlier one "
        "by more than 0.05 nats a token (likelihood, paired by window, Bonferroni). Unknown where "
        "there is nothing to lose or too few windows. Compare with the parent before you blame a "
        "compression.",
    )
    table = Table("symptoms-table", "Instability on long sequences", "", "Variant", heads,
                  tuple(made))  # fmt: skip
    return Part("symptoms", "Instability on long sequences", lead if made else (), (),
                (table,) if made else ())  # fmt: skip


def _symptom(line: Line, one: Asked, found: LongSequences, row: MetricRow) -> Row:
    return Row(
        line.label,
        (f"{line.system.target} · {one.task}", line.made_from),
        (
            Words(found.symptom, _TONES[found.symptom], flags=row.flags),
            reading(row, METRICS[row.metric].label, METRICS[row.metric].label),
            Words(found.reason or "–", pill=False),
        ),
    )


def _grid(asked: Sequence[Asked]) -> Part:
    tables = [
        _grid_table(one) for one in asked if any(metric_of(run) is not None for _, run in one.runs)
    ]
    lead = (
        "Share of keys found by length of the text and depth of the key in it, with Wilson "
        "intervals. Lengths are words, so that all variants read the same bytes; below them the "
        "mean tokens. A text that does not fit the context is a failure, never cut, and its "
        "length does not count as measured. Darker: more keys found; without an interval there is "
        "no tint.",
    )
    return Part("retrieval", "Keys found in long texts", lead if tables else (), (), tuple(tables))


def _grid_table(asked: Asked) -> Table:
    grids = [(line, run, cells(run, by_depth=True)) for line, run in asked.runs]
    depths = sorted({c.depth for _, _, grid in grids for c in grid if c.depth is not None})
    rows: list[Row] = []
    for line, run, grid in grids:
        rows.append(Row(f"{line.label} · {line.system.target}"))
        by_place = {(c.words, c.depth): c for c in grid}
        for whole in cells(run, by_depth=False):
            mine = [by_place.get((whole.words, depth)) for depth in depths]
            tokens = "" if whole.tokens is None else f"{whole.tokens:,.0f} tokens"
            shown = [None if c is None else _tint(c) for c in (*mine, whole)]
            rows.append(Row(f"{whole.words} words", (tokens,), tuple(shown)))
    first = asked.runs[0][1]
    metric = metric_of(first) or ""
    chance = chance_level(metric, first.items.items) if METRICS[metric].chance else None
    note = f"{METRICS[metric].definition[:1].upper()}{METRICS[metric].definition[1:]}."
    note += "" if chance is None else f" Guessing finds {show(chance, 'fraction')}."
    heads = (
        *(Head(f"{depth} % deep", "share of the sentences before the key") for depth in depths),
        Head("All depths", "all questions of this length"),
    )
    title = f"{asked.task} ({asked.suite})"
    return Table(f"grid-{asked.suite}-{asked.task}", title, note, "Length", heads, tuple(rows))


def _tint(c: GridCell) -> Entry:
    e = c.found
    extra = [f"{c.failed} unscored"] if c.failed else []
    extra += [f"{c.truncated} did not fit"] if c.truncated else []
    if e.value is None:
        return Words("no value", "warn", tuple(extra))
    cell = Cell("", "", e.value, e.low, e.high, e.n, "fraction", Provenance.MEASURED.value,
                detail=e.method)  # fmt: skip
    return Tint(cell, round(100 * e.value) if cell.range else 0, tuple(extra))


def _position(asked: Sequence[Asked], rows: Sequence[MetricRow]) -> Part:
    by_run: dict[object, list[MetricRow]] = {}
    for row in rows:
        if row.metric == POSITION and row.scope:
            by_run.setdefault(row.run.folder, []).append(row)
    figures, tables = [], []
    for one in asked:
        mine = [(line, by_run.get(run.run.folder, [])) for line, run in one.runs]
        mine = [(line, found) for line, found in mine if found]
        if mine:
            figures.append(_position_figure(one, mine))
            tables.append(_position_table(one, mine))
    lead = (
        "Nats per token by how far into the context a token stands, in texts of independent "
        "sentences: no place in them is harder than another. A sound model learns their ways and "
        "stays level. A model that ignores all that is far away shows it in retrieval, not here.",
    )
    drawn = tuple(f for f in figures if f is not None)
    return Part("position", "Likelihood by position", lead if tables else (), drawn, tuple(tables))


def _ranges(mine: Sequence[tuple[Line, Sequence[MetricRow]]]) -> tuple[str, ...]:
    """Ranges of positions, first to last."""
    return tuple(dict.fromkeys(row.scope for _, found in mine for row in found))


def _position_figure(
    asked: Asked, mine: Sequence[tuple[Line, Sequence[MetricRow]]]
) -> Figure | None:
    series = [
        Series(
            line.short,
            tuple(Mark(row.scope, row.estimate, f"{line.label} · {line.system.target}")
                  for row in found),
        )
        for line, found in mine
    ]  # fmt: skip
    axes = Axes("position in the context", "nats per token ↓", "nats/token",
                categories=_ranges(mine), from_zero=False)  # fmt: skip
    caption = "Pooled over windows, with 95 % intervals. Up to the right is instability."
    name = f"position-{asked.suite}-{asked.task}-figure"
    return draw(name, f"{asked.task}: nats per token by position", caption, series, axes)


def _position_table(asked: Asked, mine: Sequence[tuple[Line, Sequence[MetricRow]]]) -> Table:
    places = _ranges(mine)
    rows = []
    for line, found in mine:
        by_place = {row.scope: reading(row, METRICS[POSITION].label) for row in found}
        shown = tuple(by_place.get(place) for place in places)
        rows.append(Row(line.label, (line.system.target, line.made_from), shown))
    heads = tuple(Head(place, METRICS[POSITION].definition) for place in places)
    title = f"{asked.task} ({asked.suite})"
    anchor = f"position-{asked.suite}-{asked.task}"
    return Table(anchor, title, "", "Variant", heads, tuple(rows), folded=True)
