"""The page about speed."""

from __future__ import annotations

from slmbench.report.costs.entries import Part
from slmbench.report.costs.latency import is_scaling, latency_parts
from slmbench.report.costs.limits import loading_part, observer_part, percentile_part, roofline_part
from slmbench.report.costs.material import Costs
from slmbench.report.costs.sustained import sustained_part
from slmbench.store import StoredRun

WORKLOADS = ("latency", "sustained")


def build(costs: Costs) -> tuple[Part, ...]:
    """All sections; none where nothing but grids of lengths was timed."""
    timed = [b for b in costs.of("latency") if not is_scaling(b)]
    if not timed and not costs.of("sustained"):
        return ()
    return (
        *latency_parts(costs),
        roofline_part(costs),
        percentile_part(costs),
        loading_part(costs),
        sustained_part(costs),
        observer_part(costs),
        elsewhere(costs),
    )


def runs(costs: Costs) -> tuple[StoredRun, ...]:
    """What the page is about."""
    timed = [block for block in costs.of("latency") if not is_scaling(block)]
    return tuple(run for b in (*timed, *costs.of("sustained")) for run in b.runs.values())


def elsewhere(costs: Costs) -> Part:
    """What was timed and stands on another page."""
    grids = [b.suite for b in costs.of("latency") if is_scaling(b)]
    told = (
        f"Grids of lengths (suite {', '.join(grids)}) stand on the page about long contexts.",
    ) if grids else ()  # fmt: skip
    return Part("elsewhere", "On other pages", (), (), (), told)
