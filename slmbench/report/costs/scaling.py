"""The page about long contexts: what they cost, and what is left of the model in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slmbench.analysis.scaling_curves import Quantity, Scaling, length_of, scalings
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs.systems import Line
from slmbench.report.costs.drawing import Curve, Frame, Spot, curves
from slmbench.report.costs.entries import Entry, Head, Part, Reading, Table, Words
from slmbench.report.costs.latency import is_scaling
from slmbench.report.costs.long_texts import text_parts, text_runs
from slmbench.report.costs.material import Block, Costs, named
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for, show
from slmbench.spec.points import parse_point
from slmbench.store import StoredRun

WORKLOADS = ("latency",)
WORDS: Mapping[Quantity, tuple[str, str, str]] = {
    "prefill": ("ttft", "Prefill", "time to first token"),
    "decode": ("tpot", "Decode", "time per output token"),
}
"""Metric, title and what is timed of each quantity."""
_TICKS = 40
_LEAD = (
    "Time to first token against the length of the prompt, and time per output token against the "
    "tokens in the cache. Fits of t = a + bT + cT² with no coefficient below 0, weights 1/t²; "
    "intervals over processes. T* = b/c: from here on pairs of tokens cost more than tokens.",
    "“Pair share” is the share of cT² in the time of the longest length: its upper end says how "
    "large a quadratic term that was not resolved could still be. Exponents are local, between "
    "neighbouring lengths: 1 is linear, 2 quadratic. There is none for the whole range, because a "
    "fixed cost flattens it and attention steepens it.",
)


def build(costs: Costs) -> tuple[Part, ...]:
    """All sections; none without grids of lengths or long texts."""
    return (*(_part(costs, block) for block in _grids(costs)), *text_parts(costs))


def runs(costs: Costs) -> tuple[StoredRun, ...]:
    """What the page is about."""
    timed = [run for block in _grids(costs) for run in block.runs.values()]
    return (*timed, *text_runs(costs))


def _grids(costs: Costs) -> list[Block]:
    return [block for block in costs.of("latency") if is_scaling(block)]


def _part(costs: Costs, block: Block) -> Part:
    found: dict[Quantity, dict[Line, Scaling]] = {}
    for line in block.lines:
        for one in scalings([block.runs[line.system]]):
            found.setdefault(one.quantity, {})[line] = one
    figures, tables = [], []
    for quantity in WORDS:
        mine = found.get(quantity, {})
        if mine:
            figures.append(_figure(costs, block, quantity, mine))
            tables += [_fits(block, quantity, mine), *_exponents(block, quantity, mine)]
    alone = len(_grids(costs)) == 1
    return Part(
        f"scaling-{block.suite}",
        "What a longer context costs" + ("" if alone else f": suite {block.suite}"),
        _LEAD,
        tuple(f for f in figures if f is not None),
        tuple(tables),
    )


def _figure(
    costs: Costs, block: Block, quantity: Quantity, found: Mapping[Line, Scaling]
) -> Figure | None:
    metric, title, what = WORDS[quantity]
    readings = {line: _readings(costs, block, line, quantity) for line in found}
    scale = scale_for("s", [e.value or 0.0 for mine in readings.values() for _, e in mine])
    drawn = [
        Curve(
            line.short,
            tuple(_spot(line, x, e, scale.divisor) for x, e in readings[line]),
            _fitted(one, scale.divisor),
        )
        for line, one in found.items()
    ]
    caption = (
        "Marks: medians with 95 % intervals over processes. Lines: the fits, where there are "
        "enough lengths for one. Both axes are logarithmic: a slope of 1 is linear, 2 quadratic."
    )
    axis = "prompt [tokens]" if quantity == "prefill" else "tokens in the cache, on average"
    frame = Frame(axis, f"{what} [{scale.label}]", logarithmic=True)
    name = f"scaling-{block.suite}-{metric}"
    return curves(name, f"{title}: {what} against context", caption, drawn, frame)


def _readings(
    costs: Costs, block: Block, line: Line, quantity: Quantity
) -> list[tuple[float, Estimate]]:
    """Length and time of every point that says something about the quantity."""
    found = []
    for label in block.points:
        length = length_of(parse_point(label), quantity)
        row = costs.row(block.runs[line.system], WORDS[quantity][0], point=label)
        if length is not None and row is not None and row.estimate.value is not None:
            found.append((length, row.estimate))
    return sorted(found, key=lambda pair: pair[0])


def _spot(line: Line, x: float, e: Estimate, divisor: float) -> Spot:
    low, high = (None if end is None else end / divisor for end in (e.low, e.high))
    told = f"{line.label} · {line.system.target}\n{x:g} tokens: {show(e.value, 's')}"
    return Spot(x, (e.value or 0.0) / divisor, low, high, told)


def _fitted(one: Scaling, divisor: float) -> tuple[tuple[float, float], ...]:
    if one.fit is None or one.curve is None:
        return ()
    parts = (one.fit.fixed, one.fit.per_token, one.fit.per_pair)
    a, b, c = (0.0 if e is None or e.value is None else e.value for e in parts)
    low, high = one.curve.lengths[0], one.curve.lengths[-1]
    places = [low * (high / low) ** (i / _TICKS) for i in range(_TICKS + 1)]
    return tuple((t, (a + b * t + c * t * t) / divisor) for t in places)


def _fits(block: Block, quantity: Quantity, found: Mapping[Line, Scaling]) -> Table:
    prefill = quantity == "prefill"
    heads = [
        Head("Verdict", "whether the interval of c (prefill) or b (decode) lies above 0"),
        Head("a, fixed", "what any length costs"),
        Head("b, per token", "what a further token costs"),
    ]
    if prefill:
        heads += [
            Head("c, per pair", "what a pair of tokens costs: softmax attention"),
            Head("T* = b/c", "from here on pairs cost more than tokens; only where c is resolved"),
            Head("Pair share", "cT² over the time, at the longest length"),
        ]
    else:
        heads.append(Head("b / reading KV", "slope over the time that reading a token's keys and "
                          "values takes at the measured bandwidth"))  # fmt: skip
    heads.append(Head("Held out", "each length predicted from a fit to the others"))
    rows = [named(line, block, _fit_cells(one, prefill=prefill)) for line, one in found.items()]
    title = f"{WORDS[quantity][1]}: fits"
    anchor = f"fits-{block.suite}-{quantity}"
    return Table(anchor, title, "", "Variant", tuple(heads), tuple(rows))


def _fit_cells(one: Scaling, *, prefill: bool) -> list[Entry]:
    fit, curve = one.fit, one.curve
    if fit is None:
        return [Words("no fit", "warn", (one.reason,)), *[None] * (6 if prefill else 4)]
    resolved = fit.verdict in ("quadratic term resolved", "grows with context")
    span = () if curve is None else (
        f"{len(curve.lengths)} lengths, {curve.lengths[0]:g} to {curve.lengths[-1]:g}",
        f"{curve.processes} processes" if curve.processes > 1 else "one process",
    )  # fmt: skip
    cells: list[Entry] = [
        Words(fit.verdict, "good" if resolved else "", span, flags=one.flags),
        estimate(fit.fixed, "s"),
        estimate(fit.per_token, "s/token"),
    ]
    if prefill:
        cells += [
            estimate(fit.per_pair, "s/token²"),
            estimate(fit.crossover, "tokens"),
            estimate(fit.pair_share, "fraction"),
        ]
    else:
        cells.append(estimate(one.kv_ratio, "score", one.kv_reason))
    error = fit.held_out_error
    below = "" if fit.held_out_r2 is None else f"R² {fit.held_out_r2:.4f}"
    largest = "–" if error is None else f"within {show(error, 'fraction')}"
    cells.append(Words(largest, pill=False, below=(below,)))
    return cells


def estimate(e: Estimate | None, unit: str, why: str = "") -> Entry:
    """A derived number with its interval; None where it does not apply."""
    if e is None or e.value is None:
        return Words("no value", tooltip=why) if why else None
    return Reading(
        Cell("", "", e.value, e.low, e.high, e.n, unit, Provenance.DERIVED.value, detail=e.method)
    )


def _exponents(block: Block, quantity: Quantity, found: Mapping[Line, Scaling]) -> Sequence[Table]:
    pairs = sorted({(x.shorter, x.longer) for one in found.values() for x in one.exponents})
    if not pairs:
        return ()
    rows = []
    for line, one in found.items():
        mine = {(x.shorter, x.longer): x.estimate for x in one.exponents}
        rows.append(named(line, block, [estimate(mine.get(pair), "score") for pair in pairs]))
    heads = tuple(Head(f"{a:g} → {b:g}", "dlog t / dlog T between these lengths") for a, b in pairs)
    anchor = f"exponents-{block.suite}-{quantity}"
    title = f"{WORDS[quantity][1]}: local exponents"
    return (Table(anchor, title, "", "Variant", heads, tuple(rows)),)
