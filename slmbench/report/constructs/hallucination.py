"""The page about making things up: rates by compression level, coverage, and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.short_answer import risk_curve
from slmbench.report.calibration import COLOURS, DRAWN
from slmbench.report.constructs.drawing import Dot, Plane, scatter
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.levels import level_figure
from slmbench.report.constructs.special import Special
from slmbench.report.figures import Figure, blank_figure, escaped

CLOSED_BOOK = "short_answer"
RATE, COVERAGE = "hallucination_rate", "answer_coverage"
MOST_TASKS = 6
"""Tasks that get figures of their own; the tables have them all."""


def build(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    """Levels of all tasks; of closed-book ones also rate against coverage, and risk curves."""
    figures = [level_figure(material, tasks, "hallucination")]
    closed = [task for task in tasks if task.scorer == CLOSED_BOOK]
    judged = {one.run.folder: one for one in material.results.judged_runs} if closed else {}
    for task in closed[:MOST_TASKS]:
        figures += [_rates(material, task), _risks(material, task, judged)]
    left = len(closed) - MOST_TASKS
    notes = (f"{left} further closed-book tasks have tables only.",) if left > 0 else ()
    return Special(tuple(f for f in figures if f is not None), notes=notes)


def _rates(material: Material, task: TaskRuns) -> Figure | None:
    dots = []
    for line in material.lines_with(task):
        rows = material.rows.get(task.runs[line.system].folder, {})
        rate, coverage = rows.get(RATE), rows.get(COVERAGE)
        if rate is not None and coverage is not None and not rate.suspect:
            told = f"{line.label} · {line.system.target}"
            dots.append(Dot(line.short, told, coverage.estimate, rate.estimate))
    caption = (
        "Wrong among the attempted answers against the share attempted. A rate says nothing "
        "without its coverage: lower right is better, and silence ends at the left edge."
    )
    return scatter(
        f"{task.suite}-{task.task}-rates",
        f"{task.task}: hallucination rate and coverage",
        caption,
        dots,
        Plane("share attempted", "wrong, of those attempted", "fraction", "fraction"),
    )


def _risks(material: Material, task: TaskRuns, judged: dict[Path, JudgedRun]) -> Figure | None:
    figure, drawn = blank_figure(), 0
    for line in material.lines_with(task):
        one = judged.get(task.runs[line.system].folder)
        curve = risk_curve(one) if one is not None else ()
        if not curve:
            continue
        figure.add_scatter(
            x=[coverage for coverage, _ in curve],
            y=[risk for _, risk in curve],
            mode="lines",
            line={"color": COLOURS[drawn % len(COLOURS)], "width": 1.6},
            name=escaped(line.short),
            visible=True if drawn < DRAWN else "legendonly",
            hovertemplate=f"<b>{escaped(line.label)}</b><br>answering the surest %{{x:.0%}}: "
            "%{y:.1%} wrong<extra></extra>",
        )
        drawn += 1
    if not drawn:
        return None
    figure.update_layout(
        xaxis={"title": {"text": "share answered, the surest first"}, "range": [0, 1.02],
               "tickformat": ".0%"},
        yaxis={"title": {"text": "wrong answers ← lower is better"}, "rangemode": "tozero",
               "tickformat": ".0%"},
    )  # fmt: skip
    caption = (
        "Errors if only the surest answers were given, by the mean log-probability of the answer’s "
        "tokens. Each curve ends at the variant’s own coverage; its left end rests on few items."
    )
    return Figure(
        f"{task.suite}-{task.task}-risk",
        f"{task.task}: risk and coverage",
        caption,
        (),
        figure.to_plotly_json(),
    )
