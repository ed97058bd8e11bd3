"""Figures about confidence: the reliability diagram and the risk-coverage curve of each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slmbench.analysis.calibration import Calibration
from slmbench.report.figures import ACCENT, GREY, Figure, blank_figure, escaped
from slmbench.report.format import show

COLOURS = (ACCENT, "#c4622d", "#5a7d2a", "#7a4fa0", "#b08400", "#3f6f8f", "#9b3d57", "#5c6670")
DRAWN = 3
"""Runs that are drawn at once; the others wait in the legend."""
MOST_TASKS = 6
"""Tasks that get figures; the table has them all."""

Draw = Callable[[Any, Sequence[tuple[str, Calibration]]], None]


def calibration_figures(runs: Sequence[tuple[str, Calibration]]) -> tuple[Figure, ...]:
    """Two figures a task, in the order of the runs; suspect runs are not drawn.

    ``runs``: name of the system and its calibration.
    """
    tasks: dict[str, list[tuple[str, Calibration]]] = {}
    for name, found in runs:
        if found.bins and not any(r.suspect for r in found.rows):
            tasks.setdefault(found.run.spec.work_name, []).append((name, found))
    figures: list[Figure] = []
    for task, mine in list(tasks.items())[:MOST_TASKS]:
        figures += [_reliability(task, mine), _risk(task, mine)]
    return tuple(figures)


def _reliability(task: str, runs: Sequence[tuple[str, Calibration]]) -> Figure:
    figure = blank_figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "width": 1, "dash": "dash"},
        name="calibrated", hoverinfo="skip",
    )  # fmt: skip
    for index, (name, found) in enumerate(runs):
        bins, colour = found.bins, COLOURS[index % len(COLOURS)]
        figure.add_scatter(
            x=[b.confidence for b in bins],
            y=[b.accuracy for b in bins],
            error_y={
                "type": "data", "symmetric": False, "color": colour, "thickness": 1, "width": 2,
                "array": [b.high - b.accuracy for b in bins],
                "arrayminus": [b.accuracy - b.low for b in bins],
            },
            mode="lines+markers",
            line={"color": colour, "width": 1},
            marker={"size": 8, "color": colour},
            name=escaped(name),
            visible=True if index < DRAWN else "legendonly",
            hovertext=[
                f"<b>{escaped(name)}</b><br>confidence {show(b.confidence, 'fraction')}, right "
                f"{show(b.accuracy, 'fraction')} (95 %: {show(b.low, 'fraction')} to "
                f"{show(b.high, 'fraction')}), n {b.n}"
                for b in bins
            ],
            hoverinfo="text",
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": "confidence"}, "range": [0, 1.02], "tickformat": ".0%"},
        yaxis={"title": {"text": "right answers"}, "range": [-0.02, 1.02], "tickformat": ".0%"},
    )
    sure = [name for name, found in runs if (found.value("overconfidence") or 0) > 0]
    told = [name for name, found in runs if found.within_null is False]
    caption = (
        "Equal-mass bins with 95 % intervals; below the diagonal the model is too sure. "
        f"{len(sure)} of {len(runs)} runs are too sure on average; {len(told)} have a calibration "
        "error that a calibrated model would hardly show on so few items."
    )
    return Figure(
        f"reliability-{task}", f"{task}: confidence and truth", caption, (), figure.to_plotly_json()
    )


def _risk(task: str, runs: Sequence[tuple[str, Calibration]]) -> Figure:
    figure = blank_figure()
    for index, (name, found) in enumerate(runs):
        figure.add_scatter(
            x=[coverage for coverage, _ in found.risk],
            y=[risk for _, risk in found.risk],
            mode="lines",
            line={"color": COLOURS[index % len(COLOURS)], "width": 1.6},
            name=escaped(name),
            visible=True if index < DRAWN else "legendonly",
            hovertemplate=f"<b>{escaped(name)}</b><br>answering the surest %{{x:.0%}}: "
            "%{y:.1%} wrong<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": {"text": "share answered"}, "range": [0, 1.02], "tickformat": ".0%"},
        yaxis={
            "title": {"text": "wrong answers ← lower is better"},
            "rangemode": "tozero",
            "tickformat": ".0%",
        },
    )
    caption = (
        "Errors when only the most confident answers are given. A curve that rises from left to "
        "right says that confidence knows something; its left end rests on few items. Where items "
        "differ in their number of choices, each is ranked among those with as many."
    )
    return Figure(
        f"risk-{task}", f"{task}: risk and coverage", caption, (), figure.to_plotly_json()
    )
