"""Plots of the construct pages: marks with intervals, by variant or against another number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slmbench.analysis.statistics import Estimate
from slmbench.report.calibration import COLOURS
from slmbench.report.constructs.systems import Line, by_bits
from slmbench.report.figures import GREY, Figure, blank_figure, escaped
from slmbench.report.format import show, show_range


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of a series."""

    x: str | float
    """Category, or a place on a linear axis."""
    y: Estimate
    told: str
    """First line of the hover text, not yet escaped."""
    x_ends: tuple[float, float] | None = None
    """Interval of x."""


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
    x_unit: str = ""
    """Empty for categories."""
    level: float | None = None
    level_name: str = ""
    categories: tuple[str, ...] = ()
    """Their order."""
    joined: bool = False
    """Lines between the marks of a series."""
    from_zero: bool = True
    named: bool = False
    """The series' name stands beside its first mark instead of in a legend."""


def categories(lines: Sequence[Line]) -> Mapping[object, str]:
    """A category per system whose bits are known, the most compressed first."""
    return {
        line.system: f"{escaped(line.short)}<br>{show(line.bits, 'bits')}"
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
        _add(figure, one, axes, COLOURS[index % len(COLOURS)])
    if axes.level is not None:
        figure.add_hline(
            y=axes.level,
            line={"color": GREY, "width": 1, "dash": "dash"},
            annotation={"text": escaped(axes.level_name), "font": {"size": 11, "color": GREY}},
        )
    _lay_out(figure, axes, len(drawn))
    return Figure(name, title, caption, (), figure.to_plotly_json())


def _lay_out(figure: Any, axes: Axes, series: int) -> None:
    x: dict[str, object] = {"title": {"text": escaped(axes.x)}}
    if axes.categories:
        x |= {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(axes.categories),
            "range": [-0.5, len(axes.categories) - 0.5],
        }
    elif axes.x_unit == "fraction":
        x |= {"tickformat": ".0%"}
    y: dict[str, object] = {"title": {"text": escaped(axes.y)}}
    if axes.unit == "fraction":
        y |= {"tickformat": ".0%"}
    if axes.from_zero:
        y |= {"rangemode": "tozero"}
    figure.update_layout(
        xaxis=x, yaxis=y, showlegend=series > 1 and not axes.named, scattermode="group"
    )


def _add(figure: Any, series: Series, axes: Axes, colour: str) -> None:
    marks = series.marks
    extra: dict[str, object] = {}
    if any(m.x_ends is not None for m in marks):
        extra["error_x"] = _bars([_x_estimate(m) for m in marks], colour)
    mode = "lines+markers" if axes.joined else "markers"
    if axes.named:
        extra |= {"text": [escaped(series.name)], "textposition": "top right", "cliponaxis": False}
        mode += "+text"
    figure.add_scatter(
        x=[m.x for m in marks],
        y=[m.y.value for m in marks],
        error_y=_bars([m.y for m in marks], colour),
        mode=mode,
        line={"color": colour, "width": 1.2},
        marker={"size": 9, "color": colour},
        name=escaped(series.name),
        hovertext=[_hover(series.name, m, axes.unit) for m in marks],
        hoverinfo="text",
        **extra,
    )


def _x_estimate(mark: Mark) -> Estimate:
    low, high = mark.x_ends or (None, None)
    return Estimate(float(mark.x), 1, low, high)


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
