"""The primary numbers of a construct by compression level: one series a task."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.metrics import METRICS
from slmbench.report.cells import arrow
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.figures import Figure

BITS = "most compressed first [bits per weight]"
"""Title of the axis of variants; effective bits, everything stored counted."""


def level_figure(material: Material, tasks: Sequence[TaskRuns], construct: str) -> Figure | None:
    """Shares only, suspect numbers left out; None with fewer than two systems of known bits."""
    shares = [t for t in tasks if t.primary in METRICS and METRICS[t.primary].unit == "fraction"]
    places = categories(material.lines)
    if len(places) < 2:
        return None
    series = [Series(f"{t.task} {arrow(t.primary)}", _marks(material, t)) for t in shares]
    caption = (
        "Every task for itself, with 95 % intervals over clusters of items: the tasks measure "
        "different things and are not to be added up. ↑ higher is better, ↓ lower is better."
    )
    axes = Axes(BITS, "primary metric of each task", "fraction",
                categories=tuple(places.values()))  # fmt: skip
    return draw(f"{construct}-levels", "By compression level", caption, series, axes)


def _marks(material: Material, task: TaskRuns) -> tuple[Mark, ...]:
    places = categories(material.lines)
    found = []
    for line in material.lines:
        run = task.runs.get(line.system)
        row = None if run is None else material.rows.get(run.folder, {}).get(task.primary)
        if row is not None and not row.suspect and line.system in places:
            told = f"{line.label} · {line.system.target}: {METRICS[task.primary].label}"
            found.append((line.bits or 0.0, Mark(places[line.system], row.estimate, told)))
    return tuple(mark for _, mark in sorted(found, key=lambda f: f[0]))
