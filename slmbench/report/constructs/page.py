"""The values of one construct's page; the template computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slmbench.analysis import MEANINGS, FlagMeaning
from slmbench.report.constructs import bias, hallucination, privacy, robustness
from slmbench.report.constructs.assignment import ABOUT, About
from slmbench.report.constructs.gathering import Material
from slmbench.report.constructs.special import Build, Special
from slmbench.report.constructs.tables import TaskPart, task_part
from slmbench.report.figures import Figure
from slmbench.report.rendering import Link
from slmbench.report.trust import Suspect, suspects
from slmbench.spec import Suite

_BUILDERS: Mapping[str, Build] = {
    "hallucination": hallucination.build,
    "bias": bias.build,
    "privacy": privacy.build,
    "robustness": robustness.build,
}


@dataclass(frozen=True, slots=True)
class ConstructPage:
    """Everything that the template shows."""

    title: str
    """Of the HTML document."""
    report_title: str
    about: About
    source: str
    """Name of the results folder, without its path."""
    suites: tuple[Suite, ...]
    """Those that the tasks are from, as they were run; for their descriptions."""
    unnamed_suites: tuple[str, ...]
    """Suites whose file was not kept."""
    tasks: tuple[TaskPart, ...]
    special: Special
    suspects: tuple[Suspect, ...]
    flags: tuple[FlagMeaning, ...]
    sizes: tuple[str, ...]
    runs: int
    links: tuple[Link, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures."""
        return self.special.figures

    def linked(self, links: tuple[Link, ...]) -> ConstructPage:
        """The same page with its navigation."""
        return replace(self, links=links)


def construct_pages(material: Material, title: str) -> tuple[ConstructPage, ...]:
    """The pages that have runs, in the order of the navigation."""
    found = [_page(material, about, title) for about in ABOUT.values()]
    return tuple(page for page in found if page is not None)


def _page(material: Material, about: About, title: str) -> ConstructPage | None:
    tasks = material.tasks.get(about.name, ())
    special = _BUILDERS[about.name](material, tasks)
    if not tasks and special.empty:
        return None
    runs = [run for task in tasks for run in task.runs.values()]
    every = [*runs, *special.runs]
    suites = dict.fromkeys([*(task.suite for task in tasks), *(r.spec.suite for r in every)])
    kept = {suite.name: suite for suite in material.results.suites}
    rows = [row for run in runs for row in material.rows.get(run.folder, {}).values()]
    grouped = [row for run in runs for row in material.groups.get(run.folder, ())]
    seen = {flag for row in (*rows, *grouped) for flag in row.flags}
    seen |= {f for run in runs if (d := material.deltas.get(run.folder)) for f in d.flags}
    return ConstructPage(
        title=f"{about.title} · {title}",
        report_title=title,
        about=about,
        source=material.results.root.name,
        suites=tuple(kept[name] for name in suites if name in kept),
        unnamed_suites=tuple(name for name in suites if name not in kept),
        tasks=tuple(task_part(material, task, about.name) for task in tasks),
        special=special,
        suspects=suspects(rows),
        flags=tuple(MEANINGS[flag] for flag in sorted(seen)),
        sizes=tuple(sorted({run.spec.size for run in every})),
        runs=len(every),
    )
