"""Plots of the cost pages: curves over a number, and bars that add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slmbench.report.calibration import COLOURS
from slmbench.report.figures import GREY, Figure, blank_figure, escaped


@dataclass(frozen=True, slots=True)
class Spot:
    """One reading of a curve, in display units."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    told: str = ""
    """Hover text, not yet escaped."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Readings of one colour, and a line through them or fitted to them."""

    name: str
    spots: tuple[Spot, ...]
    line: tuple[tuple[float, float], ...] = ()
    """Corners of a line in display units; empty: the readings are joined."""
    joined: bool = False
    dashed: tuple[tuple[float, float], ...] = ()
    """A second line, for example of a formula."""
    dashed_name: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """The two axes."""

    x: str
    y: str
    logarithmic: bool = False
    """Both axes."""
    logarithmic_y: bool = False
    from_zero: bool = True
    level: float | None = None
    level_name: str = ""


def curves(
    name: str, title: str, caption: str, drawn: Sequence[Curve], frame: Frame
) -> Figure | None:
    """The figure; None when there is nothing to draw."""
    kept = [c for c in drawn if c.spots]
    if not kept:
        return None
    figure = blank_figure()
    for index, curve in enumerate(kept):
        _add(figure, curve, COLOURS[index % len(COLOURS)])
    if frame.level is not None:
        figure.add_hline(
            y=frame.level,
            line={"color": GREY, "width": 1, "dash": "dash"},
            annotation={"text": escaped(frame.level_name), "font": {"size": 11, "color": GREY}},
        )
    axes: list[dict[str, object]] = [
        {"automargin": True, "title": {"text": escaped(title)}} for title in (frame.x, frame.y)
    ]
    x, y = axes
    values = [v for c in kept for s in c.spots for v in (s.low, s.y, s.high) if v and v > 0]
    if (frame.logarithmic or frame.logarithmic_y) and values:
        y |= _logarithmic(values)
    if frame.logarithmic:
        lengths = sorted({spot.x for curve in kept for spot in curve.spots})
        x |= {"type": "log", "tickmode": "array", "tickvals": lengths,
              "ticktext": [f"{length:g}" for length in lengths]}  # fmt: skip
    elif frame.from_zero and not frame.logarithmic_y:
        y |= {"rangemode": "tozero"}
    figure.update_layout(xaxis=x, yaxis=y, showlegend=True)
    return Figure(name, title, caption, (), figure.to_plotly_json())


_MANY_DECADES = 3


def _logarithmic(values: Sequence[float]) -> dict[str, object]:
    """A logarithmic axis: 1, 2 and 5 of each decade marked; of many decades 1 alone, of few all."""
    low, high = min(values) / 1.15, max(values) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [step * 10.0**k for k in decades for step in range(1, 10)]
    inside = [tick for tick in every if low <= tick <= high]
    marked = "1" if math.log10(high / low) > _MANY_DECADES else "125"
    few = [tick for tick in inside if f"{tick:e}"[0] in marked]
    ticks = few if len(few) > 2 else inside
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _add(figure: Any, curve: Curve, colour: str) -> None:
    spots = curve.spots
    group = {"legendgroup": escaped(curve.name)}
    if curve.line:
        figure.add_scatter(
            x=[x for x, _ in curve.line], y=[y for _, y in curve.line], mode="lines",
            line={"color": colour, "width": 1.5}, hoverinfo="skip", showlegend=False, **group,
        )  # fmt: skip
    if curve.dashed:
        figure.add_scatter(
            x=[x for x, _ in curve.dashed], y=[y for _, y in curve.dashed], mode="lines",
            line={"color": colour, "width": 1.5, "dash": "dot"}, hoverinfo="skip",
            name=escaped(curve.dashed_name), showlegend=bool(curve.dashed_name), **group,
        )  # fmt: skip
    figure.add_scatter(
        x=[s.x for s in spots],
        y=[s.y for s in spots],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if s.high is None else s.high - s.y for s in spots],
            "arrayminus": [0.0 if s.low is None else s.y - s.low for s in spots],
            "color": colour,
            "thickness": 1,
            "width": 3,
        },
        mode="lines+markers" if curve.joined else "markers",
        line={"color": colour, "width": 1.2},
        marker={"size": 8, "color": colour},
        name=escaped(curve.name),
        hovertext=[escaped(s.told).replace("\n", "<br>") for s in spots],
        hoverinfo="text",
        **group,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of parts that add up, in display units."""

    name: str
    parts: tuple[float, ...]
    told: tuple[str, ...]
    """Hover text of each part, not yet escaped."""


def bars(
    name: str, title: str, caption: str, drawn: Sequence[Bar], words: tuple[str, tuple[str, ...]]
) -> Figure | None:
    """Horizontal bars, the first on top; ``words``: title of the axis, names of the parts."""
    if not drawn:
        return None
    figure = blank_figure()
    axis, names = words
    looks = (GREY, COLOURS[0], COLOURS[1])
    for index, part in enumerate(names):
        figure.add_bar(
            y=[escaped(bar.name) for bar in drawn],
            x=[bar.parts[index] for bar in drawn],
            orientation="h",
            name=escaped(part),
            marker={"color": looks[index % len(looks)]},
            hovertext=[escaped(bar.told[index]).replace("\n", "<br>") for bar in drawn],
            hoverinfo="text",
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"title": {"text": escaped(axis)}, "rangemode": "tozero"},
        yaxis={"automargin": True, "autorange": "reversed"},
        height=130 + 34 * len(drawn),
    )
    return Figure(name, title, caption, (), figure.to_plotly_json())
