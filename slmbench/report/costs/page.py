"""The values of one cost page; the template computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis import MEANINGS, Flag, FlagMeaning
from slmbench.report.constructs.assignment import About
from slmbench.report.costs import energy, memory, performance, scaling, serving
from slmbench.report.costs.about import COSTS
from slmbench.report.costs.entries import Part
from slmbench.report.costs.material import Costs, costs_of
from slmbench.report.figures import Figure
from slmbench.report.rendering import Link
from slmbench.spec import Suite
from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class _Builder:
    """What makes a page."""

    build: Callable[[Costs], tuple[Part, ...]]
    runs: Callable[[Costs], tuple[StoredRun, ...]]
    """The runs that it is about."""
    workloads: tuple[str, ...]
    """For combinations that were left out."""


_BUILDERS: Mapping[str, _Builder] = {
    "performance": _Builder(performance.build, performance.runs, performance.WORKLOADS),
    "memory": _Builder(memory.build, costs_of(*memory.WORKLOADS), memory.WORKLOADS),
    "energy": _Builder(energy.build, costs_of(*energy.WORKLOADS), energy.WORKLOADS),
    "scaling": _Builder(scaling.build, scaling.runs, scaling.WORKLOADS),
    "serving": _Builder(serving.build, costs_of(*serving.WORKLOADS), serving.WORKLOADS),
}
SIMULATED = "simulated"
TABLES: Mapping[str, tuple[str, ...]] = {
    "performance": ("costs", "percentiles", "noise_floors", "sustained", "compare", "samples"),
    "memory": ("metrics", "memory_fit", "frontier", "samples"),
    "energy": ("energy", "energy_agreement", "energy_information", "energy_per_correct"),
    "scaling": ("scaling", "scaling_exponents", "retrieval", "long_sequences"),
    "serving": ("costs", "percentiles", "samples"),
}
"""Methods of ``Results`` that give the numbers of a page."""


@dataclass(frozen=True, slots=True)
class CostPage:
    """Everything that the template shows."""

    title: str
    report_title: str
    about: About
    source: str
    """Name of the results folder, without its path."""
    suites: tuple[Suite, ...]
    """As they were run; for their descriptions."""
    unnamed_suites: tuple[str, ...]
    """Suites whose file was not kept."""
    parts: tuple[Part, ...]
    simulated: tuple[str, ...]
    """Systems whose compression is simulated: nothing is credited to them."""
    flags: tuple[FlagMeaning, ...]
    sizes: tuple[str, ...]
    runs: int
    links: tuple[Link, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures."""
        return tuple(figure for part in self.parts for figure in part.figures)

    @property
    def tables_in_python(self) -> tuple[str, ...]:
        """Methods of ``Results`` with the same numbers."""
        return TABLES[self.about.name]

    def linked(self, links: tuple[Link, ...]) -> CostPage:
        """The same page with its navigation."""
        return replace(self, links=links)


def cost_pages(costs: Costs, title: str) -> tuple[CostPage, ...]:
    """The pages that have runs, in the order of the navigation."""
    found = [_page(costs, about, title) for about in COSTS.values()]
    return tuple(page for page in found if page is not None)


def _page(costs: Costs, about: About, title: str) -> CostPage | None:
    builder = _BUILDERS[about.name]
    parts = tuple(part for part in builder.build(costs) if not part.empty)
    if not any(part.tables or part.figures for part in parts):
        return None
    runs = builder.runs(costs)
    named = dict.fromkeys(run.spec.suite for run in runs)
    kept = {suite.name: suite for suite in costs.results.suites}
    return CostPage(
        title=f"{about.title} · {title}",
        report_title=title,
        about=about,
        source=costs.results.root.name,
        suites=tuple(kept[name] for name in named if name in kept),
        unnamed_suites=tuple(name for name in named if name not in kept),
        parts=parts,
        simulated=_simulated(costs, runs, builder.workloads),
        flags=_flags(parts),
        sizes=tuple(sorted({run.spec.size for run in runs})),
        runs=len(runs),
    )


def _flags(parts: Sequence[Part]) -> tuple[FlagMeaning, ...]:
    """Those that stand in a table of the page."""
    entries = [
        entry
        for part in parts
        for table in part.tables
        for row in table.rows
        for entry in row.cells
    ]
    seen: set[Flag] = {flag for entry in entries if entry is not None for flag in entry.flags}
    return tuple(MEANINGS[flag] for flag in sorted(seen))


def _simulated(
    costs: Costs, runs: Sequence[StoredRun], workloads: Sequence[str]
) -> tuple[str, ...]:
    """Left out by the plan, refused for what their files show, or declared by what loaded them."""
    found = [
        f"{skip.variant} on {skip.target}"
        for skip in costs.results.skips
        if SIMULATED in skip.reason and skip.work in workloads
    ]
    found += [
        f"{run.spec.variant.name} on {run.spec.target.name}"
        for run in runs
        if run.record.reason.startswith(SIMULATED)
        or (run.record.model is not None and run.record.model.kernel == SIMULATED)
    ]
    return tuple(dict.fromkeys(found))
