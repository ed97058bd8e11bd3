"""The page about robustness: what it has beside the tables of its tasks."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.levels import level_figure
from slmbench.report.constructs.special import Special


def build(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    """Figures by compression level."""
    levels = level_figure(material, tasks, "robustness")
    return Special(figures=tuple(f for f in (levels,) if f is not None))
