"""The page about servers under load: a table a load, latency and goodput against the rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.metrics import METRICS
from slmbench.report.constructs.systems import Line
from slmbench.report.costs.drawing import Curve, Frame, Spot, curves
from slmbench.report.costs.entries import Entry, Head, Part, Row, Table, Words, change
from slmbench.report.costs.limits import tails
from slmbench.report.costs.material import Block, Costs, head, named, slug
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for, show
from slmbench.spec import Slo, WorkloadSpec

WORKLOADS = ("serving",)
COLUMNS = (
    "ttft", "tpot", "itl", "chunk_gap", "e2e", "output_throughput", "request_rate", "goodput",
    "slo_attainment", "failed_requests", "send_lag", "cached_prompt_tokens",
)  # fmt: skip
RATIOS = ("ttft", "output_throughput")
_LOAD = re.compile(r"(?:(?P<point>pp\S+) )?(?P<load>\S+?)(?: at (?P<tried>[\d.eE+-]+)/s)?")
_RATE = re.compile(r"(?P<scenario>[a-z_]+)@(?P<rate>[\d.eE+-]+)/s")
_WORDS = {
    "single_stream": "The next request is sent when one is complete (MLPerf: SingleStream).",
    "closed": "So many users, each sending the next request when one is complete.",
    "poisson": "Requests at random times, whatever the server does (MLPerf: Server).",
    "constant": "Requests at equal intervals, whatever the server does.",
    "offline": "All requests at once (MLPerf: Offline).",
    "sweep": "Random times at rising rates, until fewer than 90 % of the requests are good.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One load, as rows name it."""

    label: str
    point: str
    """Workload point where there are several."""
    load: str
    scenario: str
    rate: float | None
    """Of an open loop [requests/s]."""
    tried: bool
    """One rate of a sweep."""


def place_of(label: str) -> Place:
    """Read a row's point.

    >>> place_of("pp48+tg16 sweep@0.25/s at 0.5/s").rate, place_of("closed×2").scenario
    (0.5, 'closed')
    """
    found = _LOAD.fullmatch(label)
    if found is None:
        return Place(label, "", label, label, None, False)
    load = found["load"]
    open_loop = _RATE.fullmatch(load)
    tried = found["tried"] is not None
    rate = found["tried"] or (open_loop["rate"] if open_loop else None)
    scenario = open_loop["scenario"] if open_loop else load.split("×")[0]
    counted = None if rate is None or (scenario == "sweep" and not tried) else float(rate)
    return Place(label, found["point"] or "", load, scenario, counted, tried)


def build(costs: Costs) -> tuple[Part, ...]:
    """All sections; none without a server's runs."""
    blocks = costs.of("serving")
    if not blocks:
        return ()
    parts = [_part(costs, block, alone=len(blocks) == 1) for block in blocks]
    return (*parts, tails(costs, blocks, "tails"))


def _part(costs: Costs, block: Block, *, alone: bool) -> Part:
    places = _places(costs, block)
    tables = [
        t for p in places if not p.tried and (t := _table(costs, block, p, places)) is not None
    ]
    figures: list[Figure] = []
    for point in dict.fromkeys(p.point for p in places):
        figures += _figures(costs, block, [p for p in places if p.point == point])
    slo = next((work.slo for work in _specs(block) if work.slo is not None), None)
    lead = (
        "Requests on a server that was started for the variant, streamed, with fresh random words "
        "as prompts. Times count from when a request was due; a chunk is not a token, so ITL "
        "stands only where tokens of chunks are known. Rates are of the steady window where there "
        "is one (the tooltip says which).",
        _bounds(slo),
    )
    title = "Loads" if alone else f"Loads: suite {block.suite}"
    return Part(f"serving-{block.suite}", title, lead, tuple(figures), tuple(tables))


def _specs(block: Block) -> list[WorkloadSpec]:
    works = (run.spec.work for run in block.runs.values())
    return [work for work in works if isinstance(work, WorkloadSpec)]


def _bounds(slo: Slo | None) -> str:
    if slo is None:
        return "The suite states no bounds, so no request is good or bad."
    bounds = (("TTFT", slo.ttft_s), ("TPOT", slo.tpot_s), ("E2E", slo.e2e_s))
    told = ", ".join(f"{name} ≤ {show(bound, 's')}" for name, bound in bounds if bound is not None)
    return (
        f"A good request was answered whole and met every bound: {told or 'none'}. Attainment "
        "divides by all requests, failed ones included."
    )


def _places(costs: Costs, block: Block) -> list[Place]:
    labels = dict.fromkeys(
        row.point
        for line in block.lines
        for row in costs.rows.get(block.runs[line.system].folder, ())
        if row.phase in ("timed", "total") and row.point
    )
    return [place_of(label) for label in labels]


def _table(costs: Costs, block: Block, place: Place, every: Sequence[Place]) -> Table | None:
    """Of a load; of a sweep its saturation, then all rates that were tried."""
    anchor = f"load-{block.suite}-{slug(place.label)}"
    note = _WORDS.get(place.scenario, "")
    if place.scenario == "sweep":
        return _sweep(costs, block, place, every, (anchor, note))
    columns = _columns(costs, block, [place])
    if not columns:
        return None
    rows = [_row(costs, block, line, place, columns) for line in block.lines]
    heads = tuple(_heads(columns))
    return Table(anchor, place.label, note, "Variant", heads, tuple(rows))


def _sweep(
    costs: Costs, block: Block, place: Place, every: Sequence[Place], words: tuple[str, str]
) -> Table:
    anchor, note = words
    tried = sorted(
        (p for p in every if p.tried and (p.load, p.point) == (place.load, place.point)),
        key=lambda p: p.rate or 0.0,
    )
    columns = _columns(costs, block, tried)
    heads = (head("saturation_rate"), *_heads(columns))
    width = len(heads) - 1
    rows = [
        named(line, block, [costs.entry(block.runs[line.system], "saturation_rate",
                                        point=place.label), *[None] * width])
        for line in block.lines
    ]  # fmt: skip
    for one in tried:
        having = [
            line
            for line in block.lines
            if costs.row(block.runs[line.system], "ttft", point=one.label) is not None
        ]
        rows.append(Row(f"At {one.rate:g} requests/s"))
        for line in having:
            row = _row(costs, block, line, one, columns)
            rows.append(Row(row.name, row.below, (None, *row.cells)))
    return Table(anchor, place.label, note, "Variant", heads, tuple(rows))


def _columns(costs: Costs, block: Block, places: Sequence[Place]) -> list[tuple[str, bool]]:
    """Metrics with any value, each with whether its ratio to the parent is known."""
    runs = list(block.runs.values())
    return [
        (
            metric,
            metric in RATIOS
            and any(costs.change(run, metric, p.label) for run in runs for p in places),
        )
        for metric in COLUMNS
        if any(costs.has(runs, metric, p.label) for p in places)
    ]


def _heads(columns: Sequence[tuple[str, bool]]) -> list[Head]:
    found = []
    for metric, compared in columns:
        found.append(head(metric))
        if compared:
            found.append(Head("× parent", "ratio to the parent's, with its 95 % interval"))
    return found


def _row(
    costs: Costs, block: Block, line: Line, place: Place, columns: Sequence[tuple[str, bool]]
) -> Row:
    run = block.runs[line.system]
    cells: list[Entry] = []
    for metric, compared in columns:
        if metric == "failed_requests":
            cells.append(_failed(costs, block, line, place))
        else:
            cells.append(costs.entry(run, metric, point=place.label, phase="timed"))
        if compared:
            cells.append(change(costs.change(run, metric, place.label)))
    return named(line, block, cells)


def _failed(costs: Costs, block: Block, line: Line, place: Place) -> Entry:
    rows = [
        row
        for row in costs.rows.get(block.runs[line.system].folder, ())
        if row.metric == "failed_requests" and row.point == place.label and row.phase == "timed"
        and row.estimate.value is not None
    ]  # fmt: skip
    total = sum(row.estimate.value or 0.0 for row in rows)
    if not rows:
        return None
    kinds = tuple(f"{row.estimate.value:g} {row.scope}" for row in rows if row.estimate.value)
    return Words(f"{total:g}", "bad" if total else "", kinds, pill=bool(total))


def _figures(costs: Costs, block: Block, places: Sequence[Place]) -> list[Figure]:
    """TTFT and goodput against the rate of open loops."""
    rates = [p for p in places if p.rate is not None]
    if not rates:
        return []
    several = f" of {places[0].point}" if places[0].point else ""
    found = [
        _figure(costs, block, rates, "ttft", (
            f"Time to first token against rate{several}",
            "Medians with 95 % intervals, from when requests were due, over requests that were "
            "answered. Where the line turns up, requests wait for each other.")),
        _figure(costs, block, rates, "goodput", (
            f"Goodput against rate{several}",
            "Good answers per second in the steady window. Below the dotted line of equality, "
            "requests are late, fail or pile up.")),
    ]  # fmt: skip
    return [f for f in found if f is not None]


def _figure(
    costs: Costs, block: Block, places: Sequence[Place], metric: str, words: tuple[str, str]
) -> Figure | None:
    ordered = sorted(places, key=lambda p: p.rate or 0.0)
    found = {
        line: [
            (p.rate or 0.0, row.estimate)
            for p in ordered
            if (row := costs.row(block.runs[line.system], metric, point=p.label)) is not None
            and row.estimate.value is not None
        ]
        for line in block.lines
    }
    unit = METRICS[metric].unit
    scale = scale_for(unit, [e.value or 0.0 for mine in found.values() for _, e in mine])
    top = max((p.rate or 0.0 for p in places), default=0.0)
    drawn: list[Curve] = []
    for line, mine in found.items():
        spots = tuple(
            Spot(
                x,
                (e.value or 0.0) / scale.divisor,
                None if e.low is None else e.low / scale.divisor,
                None if e.high is None else e.high / scale.divisor,
                f"{line.label} · {line.system.target}\n{x:g} requests/s: {show(e.value, unit)}",
            )
            for x, e in mine
        )
        equal = ((0.0, 0.0), (top, top)) if metric == "goodput" and not drawn else ()
        drawn.append(Curve(line.short, spots, joined=True, dashed=equal))
    title, caption = words
    frame = Frame("requests due per second", f"{METRICS[metric].label} [{scale.label}]")
    name = f"serving-{block.suite}-{slug(places[0].point or 'all')}-{metric}"
    return curves(name, title, caption, drawn, frame)
