"""Plots of the construct pages: marks with intervals, by variant or against another number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slmbench.analysis.statistics import Estimate
from slmbench.report.calibration import COLOURS
from slmbench.report.constructs.systems import Line, by_bits
from slmbench.report.figures import ACCENT, GREY, LINE, Figure, blank_figure, escaped
from slmbench.report.format import show, show_range
from slmbench.report.labels import Spot, place

SYMBOLS = ("circle", "diamond-open", "square-open")
"""Tell series apart that have to share a colour."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of a series."""

    x: str
    """Category."""
    y: Estimate
    told: str
    """First line of the hover text, not yet escaped."""


@dataclass(frozen=True, slots=True)
class Series:
    """Marks of one colour and one entry of the legend."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Axes:
    """What the two axes are, and the level to be drawn across."""

    x: str
    y: str
    unit: str
    """Of y; fractions are shown in per cent."""
    level: float | None = None
    level_name: str = ""
    categories: tuple[str, ...] = ()
    """All that may occur, in their order."""
    from_zero: bool = True


def categories(lines: Sequence[Line]) -> Mapping[object, str]:
    """A category per system whose bits are known, the most compressed first."""
    return {
        line.system: f"{escaped(line.short).replace(' · ', '<br>')}<br>{show(line.bits, 'bits')}"
        for line in by_bits(lines)
    }


def draw(
    name: str, title: str, caption: str, series: Sequence[Series], axes: Axes
) -> Figure | None:
    """The figure; None when no series has a value."""
    drawn = [
        Series(s.name, kept)
        for s in series
        if (kept := tuple(m for m in s.marks if m.y.value is not None))
    ]
    if not drawn:
        return None
    figure = blank_figure()
    for index, one in enumerate(drawn):
        _add(figure, one, axes, (COLOURS[index % len(COLOURS)], SYMBOLS[index // len(COLOURS) % 3]))
    if axes.level is not None:
        figure.add_hline(
            y=axes.level,
            line={"color": GREY, "width": 1, "dash": "dash"},
            annotation={"text": escaped(axes.level_name), "font": {"size": 11, "color": GREY}},
        )
    marked = {m.x for s in drawn for m in s.marks}
    _lay_out(figure, axes, [n for n in dict.fromkeys(axes.categories) if n in marked], drawn)
    return Figure(name, title, caption, (), figure.to_plotly_json())


def _lay_out(figure: Any, axes: Axes, used: Sequence[str], series: Sequence[Series]) -> None:
    x: dict[str, object] = {
        "title": {"text": escaped(axes.x)},
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(used),
        "range": [-0.5, len(used) - 0.5],
        "tickangle": 0,
        "tickfont": {"size": 10},
        "automargin": True,
    }
    y: dict[str, object] = {"title": {"text": escaped(axes.y)}, "automargin": True}
    if axes.unit == "fraction":
        y |= {"tickformat": ".0%"}
    if axes.from_zero:
        y |= {"rangemode": "tozero"}
    else:
        level = [] if axes.level is None else [Estimate(axes.level, 0)]
        y |= {"range": list(_ends([*level, *(m.y for s in series for m in s.marks)]))}
    figure.update_layout(xaxis=x, yaxis=y, showlegend=True, scattermode="group")


def _add(figure: Any, series: Series, axes: Axes, look: tuple[str, str]) -> None:
    marks, (colour, symbol) = series.marks, look
    figure.add_scatter(
        x=[m.x for m in marks],
        y=[m.y.value for m in marks],
        error_y=_bars([m.y for m in marks], colour),
        mode="markers",
        marker={"size": 9, "color": colour, "symbol": symbol},
        name=escaped(series.name),
        hovertext=[_hover(series.name, m, axes.unit) for m in marks],
        hoverinfo="text",
    )


def _bars(estimates: Sequence[Estimate], colour: str) -> dict[str, object]:
    def reach(e: Estimate, end: float | None) -> float:
        return 0.0 if end is None or e.value is None else abs(end - e.value)

    return {
        "type": "data",
        "symmetric": False,
        "array": [reach(e, e.high) for e in estimates],
        "arrayminus": [reach(e, e.low) for e in estimates],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _hover(name: str, mark: Mark, unit: str) -> str:
    e = mark.y
    interval = show_range(e.value or 0.0, e.low, e.high, unit)
    told = f"{show(e.value, unit)}" + (f" (95 %: {interval})" if interval else "")
    lines = [f"<b>{escaped(mark.told)}</b>", escaped(name), escaped(f"{told}, n {e.n}")]
    return "<br>".join(dict.fromkeys(lines))


@dataclass(frozen=True, slots=True)
class Dot:
    """One system in a plot of two numbers."""

    name: str
    told: str
    x: Estimate
    y: Estimate


@dataclass(frozen=True, slots=True)
class Plane:
    """The two axes of such a plot."""

    x: str
    y: str
    x_unit: str
    y_unit: str


def scatter(
    name: str, title: str, caption: str, dots: Sequence[Dot], plane: Plane
) -> Figure | None:
    """Two numbers of each system with both intervals; None where no system has both."""
    known = [d for d in dots if d.x.value is not None and d.y.value is not None]
    if not known:
        return None
    xs, ys = _span([d.x for d in known], plane.x_unit), _span([d.y for d in known], plane.y_unit)
    spots = [
        Spot(((d.x.value or 0.0) - xs[0]) / (xs[1] - xs[0]),
             ((d.y.value or 0.0) - ys[0]) / (ys[1] - ys[0]), d.name)
        for d in known
    ]  # fmt: skip
    figure = blank_figure()
    figure.add_scatter(
        x=[d.x.value for d in known],
        y=[d.y.value for d in known],
        error_x=_bars([d.x for d in known], LINE),
        error_y=_bars([d.y for d in known], LINE),
        mode="markers+text",
        text=[escaped(d.name) for d in known],
        textposition=list(place(spots)),
        textfont={"size": 11},
        marker={"size": 10, "color": ACCENT},
        hovertext=[_both(d, plane) for d in known],
        hoverinfo="text",
        cliponaxis=False,
        showlegend=False,
    )
    figure.update_layout(
        xaxis=_axis(plane.x, plane.x_unit, xs),
        yaxis={**_axis(plane.y, plane.y_unit, ys), "automargin": True},
    )
    return Figure(name, title, caption, (), figure.to_plotly_json())


def _span(estimates: Sequence[Estimate], unit: str) -> tuple[float, float]:
    """As :func:`_ends`; shares stay near 0 to 1."""
    low, high = _ends(estimates)
    return (max(-0.02, low), min(1.02, high)) if unit == "fraction" else (low, high)


def _ends(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """From the lowest to the highest end of the intervals, with some air."""
    ends = [v for e in estimates for v in (e.low, e.value, e.high) if v is not None]
    low, high = min(ends), max(ends)
    air = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
    return low - air, high + air


def _axis(title: str, unit: str, span: tuple[float, float]) -> dict[str, object]:
    axis: dict[str, object] = {"title": {"text": escaped(title)}, "range": list(span)}
    return axis | ({"tickformat": ".0%"} if unit == "fraction" else {})


def _both(dot: Dot, plane: Plane) -> str:
    lines = [f"<b>{escaped(dot.told)}</b>"]
    for label, e, unit in ((plane.x, dot.x, plane.x_unit), (plane.y, dot.y, plane.y_unit)):
        interval = show_range(e.value or 0.0, e.low, e.high, unit)
        ends = f" (95 %: {interval})" if interval else ""
        lines.append(escaped(f"{label}: {show(e.value, unit)}{ends}, n {e.n}"))
    return "<br>".join(lines)
