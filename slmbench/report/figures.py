"""The figures, as plotly specifications. Directions and units come from the metrics table."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slmbench.analysis import Point, metric_front
from slmbench.analysis.pareto import Ranked, one_grade, ranked_direction, staircase
from slmbench.meters.grades import SOURCES
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.format import Scale, scale_for
from slmbench.report.labels import Spot, place, short_names
from slmbench.report.leaderboard import LeaderboardRow

ACCENT, GREY, LINE = "#1f86b4", "#a8b0b8", "#7fb3c8"
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot with what a reader needs who does not see it."""

    name: str
    """HTML id."""
    title: str
    caption: str
    names: tuple[str, ...]
    """Systems on the front; empty where there is none."""
    spec: dict[str, Any]
    """plotly figure as JSON-ready data; every text in it is escaped."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """One system in a plot."""

    row: LeaderboardRow
    x: Cell
    y: Cell
    symbol: str
    name: str
    """Short name that stands beside the mark."""


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A plotly figure with the display units and ranges of its axes."""

    figure: Any
    xs: Scale
    ys: Scale
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def spot(self, mark: _Mark) -> Spot:
        """Where a mark lies in the drawing area."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        x, y = (mark.x.value or 0.0) / self.xs.divisor, (mark.y.value or 0.0) / self.ys.divisor
        return Spot((x - x0) / (x1 - x0), (y - y0) / (y1 - y0), mark.name)


def pareto_figure(rows: Sequence[LeaderboardRow], cost: str) -> Figure | None:
    """Accuracy against one cost; None when no row has both, or the cost is not ranked.

    The front is a staircase, points on it are coloured, dominated ones grey.
    """
    every = _marks(rows, cost)
    if any(m.x.provenance == Provenance.ESTIMATED for m in every):
        return None
    marks = _comparable(every)
    if not marks:
        return None
    quality = marks[0].y.metric
    points = _points(marks)
    kept = metric_front(points, cost, quality)
    on_front = {int(p.key) for p in kept}
    canvas = _canvas(marks, rows)
    _draw_front(canvas, kept, ranked_direction(cost), ranked_direction(quality))
    for group, wanted, colour in (("dominated", False, GREY), ("on the front", True, ACCENT)):
        _add_marks(
            canvas, marks, [(i in on_front) is wanted for i in range(len(marks))], (colour, group)
        )
    _draw_chance(canvas, rows)
    label = METRICS[cost].label
    names = tuple(marks[int(p.key)].row.label for p in kept)
    return Figure(
        f"pareto-{cost}",
        f"Accuracy × {label.lower()}",
        f"On the front: {', '.join(names)}.{_basis(marks, len(every) - len(marks))}",
        names,
        canvas.figure.to_plotly_json(),
    )


def _points(marks: Sequence[_Mark]) -> list[Point]:
    return [Point(str(i), m.x.value, m.y.value, m.x.grade) for i, m in enumerate(marks)]


def _comparable(marks: list[_Mark]) -> list[_Mark]:
    """Those that may be weighed against each other: energies of one grade and one scope."""
    kept = [marks[int(p.key)] for p in one_grade(_points(marks))]
    if not kept or kept[0].x.grade is None:
        return kept
    scopes = Counter(m.x.scope for m in kept)
    most = max(scopes, key=lambda scope: (scopes[scope], scope))
    return [m for m in kept if m.x.scope == most]


def _basis(marks: Sequence[_Mark], left_out: int) -> str:
    """What the energies of a front rest on, and how many rest on something else."""
    grade, scope = marks[0].x.grade, marks[0].x.scope
    if grade is None:
        return ""
    others = f"; {left_out} with another grade or scope left out" if left_out else ""
    return f" Energies of grade {grade} ({SOURCES[grade]}), {scope}{others}."


def bits_figure(rows: Sequence[LeaderboardRow]) -> Figure | None:
    """Accuracy against effective bits per weight, with the chance level; None without data."""
    marks = _marks(rows, "bits_per_weight")
    if len(marks) < 2:
        return None
    canvas = _canvas(marks, rows)
    for index, backend in enumerate(sorted({m.row.backend for m in marks})):
        colour = (ACCENT, "#c4622d", "#5a7d2a", "#7a4fa0")[index % 4]
        _add_marks(canvas, marks, [m.row.backend == backend for m in marks], (colour, backend))
    _draw_chance(canvas, rows)
    low = min(marks, key=lambda m: m.x.value or 0.0)
    return Figure(
        "quality-bits",
        "Accuracy × effective bits per weight",
        f"From {low.x.shown} ({low.row.label}) upwards. Bits count everything stored: scales, "
        "embeddings and head included, so they are more than a format's name says.",
        (),
        canvas.figure.to_plotly_json(),
    )


def estimate_figure(cells: Sequence[tuple[str, Cell]]) -> Figure | None:
    """Modelled energy per token by variant, hollow marks: not an objective, not ranked."""
    known = [(name, c) for name, c in cells if c.value is not None]
    if not known:
        return None
    scale = scale_for(known[0][1].unit, [c.value or 0.0 for _, c in known])
    figure = blank_figure()
    figure.add_scatter(
        x=[(c.value or 0.0) / scale.divisor for _, c in known],
        y=[escaped(name) for name, _ in known],
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": GREY, "line": {"width": 2}},
        hovertext=[_hover(name, [("Estimate", c)]) for name, c in known],
        hoverinfo="text",
        showlegend=False,
    )
    label = METRICS[known[0][1].metric].label
    figure.update_layout(
        xaxis={"title": {"text": f"estimated [{scale.label}]"}, "rangemode": "tozero"},
        yaxis={"automargin": True, "autorange": "reversed"},
        height=110 + 30 * len(known),
    )
    caption = "Hollow marks: estimated by a model, never ranked and never on a Pareto axis."
    return Figure("energy-estimate", label, caption, (), figure.to_plotly_json())


def _marks(rows: Sequence[LeaderboardRow], cost: str) -> list[_Mark]:
    backends = sorted({row.backend for row in rows})
    names = short_names([row.label for row in rows])
    found = []
    for row, name in zip(rows, names, strict=True):
        x = row.cell(cost)
        if x is not None and x.value is not None and row.accuracy.value is not None:
            symbol = _SYMBOLS[backends.index(row.backend) % len(_SYMBOLS)]
            found.append(_Mark(row, x, row.accuracy, symbol, name))
    return found


def blank_figure() -> Any:
    """A plotly figure with the page's margins and without colours of its own."""
    from plotly.graph_objects import Figure as PlotlyFigure
    from plotly.graph_objects import Layout

    # An empty template: the page's own script gives colours for light and dark.
    return PlotlyFigure(
        layout=Layout(
            template="none",
            margin={"l": 62, "r": 18, "t": 14, "b": 56},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            hovermode="closest",
            hoverlabel={"align": "left"},
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            height=430,
        )
    )


def _canvas(marks: Sequence[_Mark], rows: Sequence[LeaderboardRow]) -> _Canvas:
    xs = scale_for(marks[0].x.unit, [m.x.value or 0.0 for m in marks])
    ys = scale_for(marks[0].y.unit, [m.y.value or 0.0 for m in marks])
    chance = [r.chance for r in rows if r.chance is not None]
    right = max(_ends(m.x)[1] for m in marks) / xs.divisor
    bottom = min([_ends(m.y)[0] for m in marks] + chance) / ys.divisor
    top = max(_ends(m.y)[1] for m in marks) / ys.divisor
    air = 0.06 * (top - bottom or 1.0)
    x_range, y_range = (0.0, 1.08 * (right or 1.0)), (max(0.0, bottom - air), top + air)
    figure = blank_figure()
    cost, quality = marks[0].x.metric, marks[0].y.metric
    figure.update_layout(
        xaxis={"title": {"text": _axis(cost, xs)}, "range": list(x_range)},
        yaxis={
            "title": {"text": f"Accuracy, mean of tasks [{ys.label}] {_better(quality)}"},
            "range": list(y_range),
        },
    )
    return _Canvas(figure, xs, ys, x_range, y_range)


def _ends(cell: Cell) -> tuple[float, float]:
    value = cell.value or 0.0
    low = value if cell.low is None else cell.low
    return low, value if cell.high is None else cell.high


def _draw_front(canvas: _Canvas, kept: Sequence[Point], x: Ranked, y: Ranked) -> None:
    """The staircase, led on to the edges of what the front dominates."""
    corners = [(cx / canvas.xs.divisor, cy / canvas.ys.divisor) for cx, cy in staircase(kept, x, y)]
    x_edge = canvas.x_range[1 if x == "lower" else 0]
    y_edge = canvas.y_range[0 if y == "higher" else 1]
    ends = [(corners[0][0], y_edge), *corners, (x_edge, corners[-1][1])]
    if x == "higher":
        ends = [(x_edge, corners[0][1]), *corners, (corners[-1][0], y_edge)]
    canvas.figure.add_scatter(
        x=[cx for cx, _ in ends],
        y=[cy for _, cy in ends],
        mode="lines",
        line={"color": LINE, "width": 2, "dash": "dot"},
        name="Pareto front",
        hoverinfo="skip",
    )


def _axis(metric: str, scale: Scale) -> str:
    return f"{METRICS[metric].label} [{scale.label}] {_better(metric)}"


def _better(metric: str) -> str:
    return {"higher": "→ higher is better", "lower": "← lower is better", "none": ""}[
        METRICS[metric].direction
    ]


def _add_marks(
    canvas: _Canvas, marks: Sequence[_Mark], wanted: Sequence[bool], look: tuple[str, str]
) -> None:
    """Draw the wanted marks in one colour under one legend name."""
    colour, name = look
    places = place([canvas.spot(m) for m in marks])
    chosen = [(m, p) for m, p, want in zip(marks, places, wanted, strict=True) if want]
    if not chosen:
        return
    mine = [m for m, _ in chosen]
    canvas.figure.add_scatter(
        x=[(m.x.value or 0.0) / canvas.xs.divisor for m in mine],
        y=[(m.y.value or 0.0) / canvas.ys.divisor for m in mine],
        error_x=_bars([m.x for m in mine], canvas.xs, colour),
        error_y=_bars([m.y for m in mine], canvas.ys, colour),
        mode="markers+text",
        text=[escaped(m.name) for m in mine],
        textposition=[p for _, p in chosen],
        textfont={"size": 11},
        marker={"size": 11, "color": colour, "symbol": [m.symbol for m in mine]},
        hovertext=[_hover(_title(m.row), [("Accuracy", m.y), (m.x.title, m.x)]) for m in mine],
        hoverinfo="text",
        cliponaxis=False,
        name=escaped(name),
    )


def _bars(cells: Sequence[Cell], scale: Scale, colour: str) -> dict[str, object]:
    def reach(c: Cell, end: float | None, sign: int) -> float:
        return 0.0 if end is None or c.value is None else sign * (end - c.value) / scale.divisor

    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, reach(c, c.high, 1)) for c in cells],
        "arrayminus": [max(0.0, reach(c, c.low, -1)) for c in cells],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _draw_chance(canvas: _Canvas, rows: Sequence[LeaderboardRow]) -> None:
    levels = {round(r.chance, 6) for r in rows if r.chance is not None}
    if len(levels) != 1:
        return
    level = levels.pop() / canvas.ys.divisor
    canvas.figure.add_hline(
        y=level,
        line={"color": GREY, "width": 1, "dash": "dash"},
        annotation={"text": "chance", "font": {"size": 11, "color": GREY}},
    )


def _title(row: LeaderboardRow) -> str:
    return f"{row.label} · {row.system.target}"


def _hover(title: str, cells: Iterable[tuple[str, Cell]]) -> str:
    lines = [f"<b>{escaped(title)}</b>"]
    for name, c in cells:
        interval = f", 95 %: {c.range}" if c.range else ""
        lines.append(escaped(f"{name}: {c.shown}{interval} ({c.provenance}, {c.count or 'n –'})"))
        lines += [escaped(f"flagged: {flag}") for flag in c.flags]
    return "<br>".join(lines)


def escaped(text: str) -> str:
    """Text for plotly, which reads a subset of HTML in labels and hover boxes."""
    return html.escape(text)
