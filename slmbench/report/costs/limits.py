"""How far from the machine's limits: roofline, the engine's share, tails, and the observer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slmbench.analysis import MetricRow
from slmbench.analysis.cost_frames import observer_share
from slmbench.analysis.noise import noise_rows
from slmbench.analysis.percentiles import (
    FEWEST,
    PER_TOKEN,
    QUANTILES,
    PercentileRow,
    percentile_rows,
)
from slmbench.metrics import METRICS
from slmbench.records import MachinePeaks, Provenance
from slmbench.report.cells import Cell, cell_of
from slmbench.report.costs.entries import Entry, Head, Part, Reading, Row, Table, Words
from slmbench.report.costs.latency import headline, is_scaling, level_figure, runs_of
from slmbench.report.costs.material import Block, Costs, head, named, slug
from slmbench.report.format import show
from slmbench.store import StoredRun

ROOFLINE = ("mbu", "mfu", "engine_share", "decode_overhead")
SHORT = {
    "mbu": "MBU",
    "mfu": "MFU",
    "engine_share": "Engine's share",
    "decode_overhead": "Outside the engine",
}
MOST_COLUMNS = 8
LOADING = ("load_time_cold", "load_time", "start_time_cold", "start_time")


def roofline_part(costs: Costs) -> Part:
    """MBU of decoding, MFU of prefill, and what of the time is the engine's, by point."""
    tables: list[Table] = []
    figures = []
    blocks = [block for block in costs.of("latency") if not is_scaling(block)]
    for block in blocks:
        tables += _shares(costs, block)
        if point := headline(costs, block, "mbu"):
            figures.append(level_figure(costs, block, "mbu", point))
    lead = (
        "Decoding reads every weight for every token, so the read bandwidth bounds it (MBU); "
        "prefill multiplies many tokens with each weight, so matrix products do (MFU). Peaks are "
        "measured on the same cores with the same threads, never taken from a data sheet. A share "
        "flagged “llc resident” is of weights that fit into the processor's cache: it may pass "
        "100 % and says nothing about memory.",
        *_peaks(runs_of(blocks)),
    )
    drawn = tuple(f for f in figures if f is not None)
    return Part("roofline", "Against the machine's limits", lead, drawn, tuple(tables))


def _shares(costs: Costs, block: Block) -> list[Table]:
    """All shares in one table while it stays narrow, else a table a share."""
    runs = list(block.runs.values())
    columns = {
        metric: [point for point in block.points if costs.has(runs, metric, point)]
        for metric in ROOFLINE
    }
    if sum(map(len, columns.values())) <= MOST_COLUMNS:
        pairs = [(metric, point) for metric in ROOFLINE for point in columns[metric]]
        heads = [head(metric, SHORT[metric], point) for metric, point in pairs]
        title = "Shares" if len(costs.of("latency")) == 1 else f"Shares: suite {block.suite}"
        return [_share_table(costs, block, title, "", heads, pairs)] if pairs else []
    found = []
    for metric, points in columns.items():
        declared = METRICS[metric]
        note = f"{declared.definition[:1].upper()}{declared.definition[1:]}."
        heads = [Head(point, declared.definition) for point in points]
        pairs = [(metric, point) for point in points]
        found += [_share_table(costs, block, declared.label, note, heads, pairs)] if pairs else []
    return found


def _share_table(
    costs: Costs,
    block: Block,
    title: str,
    note: str,
    heads: Sequence[Head],
    pairs: Sequence[tuple[str, str]],
) -> Table:
    rows = [
        named(line, block, [costs.entry(block.runs[line.system], m, point=p) for m, p in pairs])
        for line in block.lines
    ]
    anchor = f"roofline-{block.suite}-{pairs[0][0]}"
    return Table(anchor, title, note, "Variant", tuple(heads), tuple(rows))


def _peaks(runs: Iterable[StoredRun]) -> tuple[str, ...]:
    """What the machines can do, a sentence for each machine, device and number of threads."""
    known: dict[tuple[str, str, int], MachinePeaks] = {}
    for run in sorted(runs, key=lambda r: r.record.run_id):
        peaks = run.record.peaks
        if peaks is not None:
            known[run.record.machine, peaks.device, peaks.threads] = peaks
    return tuple(_told(peaks) for peaks in known.values())


def _told(p: MachinePeaks) -> str:
    products = ", ".join(f"{kind} {flops / 1e9:,.0f} GFLOP/s" for kind, flops in
                         sorted(p.gemm_flops.items()))  # fmt: skip
    cache = "" if p.llc_bytes is None else f"; last-level cache {show(p.llc_bytes, 'bytes')}"
    where = p.device if p.device != "cpu" else f"{p.threads} threads"
    beside = "" if p.disturbed is None else (
        f" Other work took {100 * p.disturbed:.0f} % of the cores meanwhile, so they are too small "
        "and the shares too large."
    )  # fmt: skip
    return (
        f"Peaks of {where}, measured {p.measured_utc[:10]}: reading "
        f"{show(p.read_bandwidth, 'bytes')}/s; products {products or 'not measured'}{cache}."
        f"{beside}"
    )


def percentile_part(costs: Costs) -> Part:
    """Tails where the number of requests allows an interval; else what it would take."""
    blocks = [block for block in costs.of("latency") if not is_scaling(block)]
    return tails(costs, blocks, "percentiles")


def tails(costs: Costs, blocks: Sequence[Block], anchor: str) -> Part:
    """A table per latency and point that has any tail."""
    tables: list[Table] = []
    most, missing = 0, False
    for block in blocks:
        found: dict[tuple[str, str], dict[object, dict[float, PercentileRow]]] = {}
        for line in block.lines:
            rows = costs.rows.get(block.runs[line.system].folder, ())
            for p in percentile_rows(rows):
                mine = found.setdefault((p.row.metric, p.row.point), {})
                mine.setdefault(line.system, {})[p.quantile] = p
                most = max(most, 0 if p.row.metric in PER_TOKEN else p.estimate.n)
        for (metric, point), of_systems in found.items():
            every = [p for mine in of_systems.values() for p in mine.values()]
            if any(p.quantile > 0.5 and p.estimate.n >= FEWEST[p.quantile] for p in every):
                tables.append(_tail_table(block, metric, point, of_systems))
            elif metric not in PER_TOKEN:
                missing = True
    lead = (
        "Percentiles over requests. A tail has an order-statistic 95 % interval or no number: 36 "
        "requests for p90, 72 for p95, 368 for p99. Requests without an answer count as slower "
        "than any. Gaps between tokens follow one another, so theirs are pooled, without interval.",
    )
    notes = (
        f"Points without a table have too few requests for any tail (at most {most} here).",
    ) if missing else ()  # fmt: skip
    return Part(anchor, "Percentiles", lead if tables or missing else (), (), tuple(tables), notes)


def _tail_table(
    block: Block, metric: str, point: str, found: dict[object, dict[float, PercentileRow]]
) -> Table:
    rows = []
    for line in block.lines:
        mine = found.get(line.system)
        if mine is not None:
            rows.append(named(line, block, [_tail(mine[q]) for q in QUANTILES if q in mine]))
    label = METRICS[metric].label
    title = f"{label}, {point}" if len(block.points) > 1 or point else label
    heads = tuple(Head(f"p{100 * q:g}", f"{100 * q:g} % are faster") for q in QUANTILES)
    anchor = f"tail-{block.suite}-{metric}-{slug(point)}"
    return Table(anchor, title, "", "Variant", heads, tuple(rows), folded=True)


def _tail(p: PercentileRow) -> Reading:
    cell = cell_of(p.row, f"p{100 * p.quantile:g}")
    e = p.estimate
    missing = e.value is None
    return Reading(
        Cell(
            cell.title, cell.metric, e.value, e.low, e.high, e.n, cell.unit,
            Provenance.UNAVAILABLE.value if missing else cell.provenance, cell.status, p.reason,
            "" if missing else e.method, p.flags, cell.point,
        ),
        (f"{p.failed} failed",) if p.failed else (),
    )  # fmt: skip


def loading_part(costs: Costs) -> Part:
    """Loading and starting, cold and warm."""
    tables = []
    for block in costs.of("latency"):
        runs = list(block.runs.values())
        metrics = [m for m in LOADING if costs.has(runs, m)]
        rows = [
            named(line, block, [_loaded(costs.row(block.runs[line.system], m),
                                        costs.entry(block.runs[line.system], m)) for m in metrics])
            for line in block.lines
        ]  # fmt: skip
        if metrics:
            heads = tuple(head(m) for m in metrics)
            anchor = f"loading-{block.suite}"
            title = f"Suite {block.suite}"
            tables.append(Table(anchor, title, "", "Variant", heads, tuple(rows)))
    lead = (
        "Load time begins after the engine is imported, start time with the process. Cold: the "
        "artefact was dropped from the page cache before; the line below says what stayed.",
    )
    return Part("loading", "Loading", lead, (), tuple(tables))


def _loaded(row: MetricRow | None, entry: Reading) -> Reading:
    if row is None or not row.scope:
        return entry
    return Reading(entry.cell, (*entry.extra, row.scope.split(", ")[-1]), entry.word, entry.reason)


def observer_part(costs: Costs) -> Part:
    """What watching cost, and what this machine shows where there is nothing to see."""
    blocks = costs.of("latency")
    rows = [
        named(line, block, _observed(block.runs[line.system]))
        for block in blocks
        for line in block.lines
        if block.runs[line.system].record.observer is not None
    ]
    tables = []
    if rows:
        heads = (
            Head("Supervisor", "its processor time while the workers ran, of one core"),
            Head("Its memory", "resident memory of the supervisor"),
            Head("Meters", "starting and stopping meters in the workers, outside the phases"),
        )
        note = (
            "None of it is inside a timed window; on a machine with no core to spare it still "
            "takes part of one."
        )
        title = "The observer's cost"
        tables.append(Table("observer-table", title, note, "Variant", heads, tuple(rows)))
    if floor := _floors(costs):
        tables.append(floor)
    lead = ("The instrument stands beside what it measures: this is what it takes itself.",)
    return Part("observer", "The instrument itself", lead if tables else (), (), tuple(tables))


def _observed(run: StoredRun) -> list[Entry]:
    cost, share = run.record.observer, observer_share(run)
    if cost is None:
        return [None, None, None]
    return [
        Words(
            show(cost.supervisor_cpu_s, "s"),
            pill=False,
            below=(f"{show(share, 'fraction')} of one core",),
        ),
        Words(show(cost.supervisor_rss_bytes, "bytes"), pill=False),
        Words(show(cost.meters_s, "s"), pill=False, below=(f"in {show(cost.wall_s, 's')}",)),
    ]


def _floors(costs: Costs) -> Table | None:
    rows = []
    for r in noise_rows(costs.results.noise):
        record = r.record
        floors = [100 * r.floor(n) for n in (1, 5, 15)]
        busy = f"{record.disturbed} of {record.processes} processes disturbed"
        rows.append(
            Row(
                f"{METRICS[r.ratios.metric].label}, {r.ratios.point}",
                (f"{record.target} · {record.threads} threads", f"machine {record.machine[:6]}"),
                (
                    *(Words(f"{f:.1f} %", pill=False) for f in floors),
                    Words(f"{len(r.ratios.logs)} rounds", pill=False,
                          below=(record.measured_utc[:10], busy if record.disturbed else "")),
                ),
            )
        )  # fmt: skip
    if not rows:
        return None
    heads = (
        Head("One process each", "95 % of comparisons of nothing with nothing stay below this"),
        Head("Five rounds", "the same of a comparison over five rounds"),
        Head("Fifteen rounds", "the same over fifteen"),
        Head("Experiment", "rounds of one variant against itself"),
    )
    note = "What a comparison finds where there is nothing to find; changes inside are greyed out."
    return Table("noise-floor", "The machine's noise floor", note, "Of", heads, tuple(rows))
