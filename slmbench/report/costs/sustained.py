"""Minutes of back-to-back work: burst against sustained rates, and when the rate changed."""

from __future__ import annotations

from slmbench.analysis.sustained import Sustained, binned, sustained
from slmbench.report.costs.drawing import Curve, Frame, Spot, curves
from slmbench.report.costs.entries import Entry, Part, Table, Words
from slmbench.report.costs.entries import Head as Column
from slmbench.report.costs.material import Block, Costs, head, named, slug
from slmbench.report.figures import Figure
from slmbench.report.format import show
from slmbench.report.leaderboard import System

METRICS_SHOWN = ("burst_rate", "sustained_rate", "sustained_share")


def sustained_part(costs: Costs) -> Part:
    """A table a point and the course of each system's rate."""
    tables, figures = [], []
    for block in costs.of("sustained"):
        found: dict[tuple[System, str], list[Sustained]] = {}
        for one in sustained(block.runs.values()):
            found.setdefault((System.of(one.run), one.point), []).append(one)
        for point in block.points:
            tables.append(_table(costs, block, point, found))
            figures.append(_figure(block, point, found))
    lead = (
        "Requests without a pause. Burst is the first minute (a fifth of shorter runs), sustained "
        "the second half. One change of level is fitted to the course and tested by permuting "
        "blocks of it; a change without throttling has another cause, for example other work.",
    )
    drawn = tuple(f for f in figures if f is not None)
    return Part("sustained", "Sustained work", lead if tables else (), drawn, tuple(tables))


def _table(
    costs: Costs, block: Block, point: str, found: dict[tuple[System, str], list[Sustained]]
) -> Table:
    heads = (*(head(m) for m in METRICS_SHOWN), Column("Course", "the best single change of level"))
    rows = []
    for line in block.lines:
        run = block.runs[line.system]
        cells: list[Entry] = [costs.entry(run, m, point=point) for m in METRICS_SHOWN]
        cells.append(_course(found.get((line.system, point), [])))
        rows.append(named(line, block, cells))
    return Table(f"sustained-{block.suite}-{slug(point)}", point, "", "Variant", heads,
                 tuple(rows))  # fmt: skip


def _course(all_of: list[Sustained]) -> Entry:
    if not all_of:
        return None
    first = all_of[0]
    changed = first.change is not None and not first.verdict.startswith("steady")
    below = [f"{show(first.seconds, 's')}, {first.requests} requests"]
    if first.change is not None:
        below.append(f"p {first.change.p:.3f}")
    below += [f"process {one.process}: {one.verdict}" for one in all_of[1:]]
    return Words(first.verdict, "warn" if changed else "", tuple(below), pill=False)


def _figure(
    block: Block, point: str, found: dict[tuple[System, str], list[Sustained]]
) -> Figure | None:
    drawn = []
    for line in block.lines:
        for one in found.get((line.system, point), [])[:1]:
            spots = _spots(one)
            drawn.append(Curve(f"{line.short}", spots, joined=True))
    name = f"sustained-{block.suite}-{slug(point)}-figure"
    caption = "Mean rate of successive requests over time, one process each."
    frame = Frame("time [s]", "rate of requests [tok/s]")
    return curves(name, f"Rate over time, {point}", caption, drawn, frame)


def _spots(one: Sustained) -> tuple[Spot, ...]:
    rates, ends = _series(one, "request_rate_series"), _series(one, "request_end_series")
    found = binned(rates, ends) if len(rates) == len(ends) else None
    if found is None:
        pairs = list(zip(ends, rates, strict=False))
    else:
        levels, begins = found
        pairs = [(float(b), float(r)) for b, r in zip(begins, levels, strict=True)]
    return tuple(Spot(x, y, told=f"{y:.1f} tok/s at {x:.0f} s") for x, y in pairs)


def _series(one: Sustained, metric: str) -> list[float]:
    return [
        sample
        for phase in one.run.record.phases
        if phase.process == one.process
        for m in phase.measurements
        if m.metric == metric and m.point == one.point
        for sample in m.samples
    ]
