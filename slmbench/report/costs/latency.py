"""Speed: a table a point with steadiness and paired ratios, figures by compression level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slmbench.analysis.scaling import fewest_lengths
from slmbench.analysis.scaling_curves import length_of
from slmbench.analysis.statistics import Estimate
from slmbench.metrics import METRICS
from slmbench.report.cells import arrow
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.systems import by_bits
from slmbench.report.costs.entries import Entry, Head, Part, Table, change
from slmbench.report.costs.material import Block, Costs, head, named, slug
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for
from slmbench.spec.points import parse_point
from slmbench.store import StoredRun

ValueOf = Callable[[StoredRun], Estimate | None]
COLUMNS = ("ttft", "prefill_rate", "tpot", "decode_rate", "e2e")
"""Metrics of a point's table."""
RATIOS = ("ttft", "tpot")
"""Those with their ratio to the parent beside them."""
_FIRST_TOKEN_ONLY = frozenset({"tpot", "decode_rate", "e2e"})
"""Say nothing at points that put out one token."""


def is_scaling(block: Block) -> bool:
    """Whether a latency block is a grid of lengths: it stands on the page about scaling."""
    lengths = {length_of(parse_point(point), "prefill") for point in block.points} - {None}
    return len(lengths) >= fewest_lengths(2)


def latency_parts(costs: Costs) -> tuple[Part, ...]:
    """One part a suite."""
    blocks = [block for block in costs.of("latency") if not is_scaling(block)]
    return tuple(_part(costs, block, alone=len(blocks) == 1) for block in blocks)


def _part(costs: Costs, block: Block, *, alone: bool) -> Part:
    title = "Latency" if alone else f"Latency: suite {block.suite}"
    return Part(
        f"latency-{block.suite}",
        title,
        (
            "One request at a time, from random tokens and an empty cache; a table a point: pp512 "
            "evaluates 512 tokens, tg128 generates 128, @d1024 does so with 1,024 tokens in the "
            "cache, ×b4 four at a time. Medians of all repetitions; the intervals count "
            "processes, not repetitions. The word says how steady the machine was (hover for the "
            "reason). “× parent” is the ratio of process medians, round by round: below 1 is "
            "faster for times.",
        ),
        _figures(costs, block),
        tuple(_table(costs, block, point) for point in block.points),
    )


def _table(costs: Costs, block: Block, point: str) -> Table:
    output = parse_point(point).output_tokens
    runs = list(block.runs.values())
    metrics = [
        metric
        for metric in COLUMNS
        if (output > 1 or metric not in _FIRST_TOKEN_ONLY)
        and (metric in RATIOS or costs.has(runs, metric, point))
    ]
    prompt = parse_point(point).prompt_tokens
    if prompt == 1 and output > 1:  # the first token of tg128 is of one prompt token
        metrics = [m for m in metrics if m not in ("ttft", "prefill_rate")]
    compared = {m for m in RATIOS if any(costs.change(run, m, point) for run in runs)}
    heads: list[Head] = []
    for metric in metrics:
        heads.append(head(metric))
        if metric in compared:
            heads.append(Head("× parent", "ratio to the parent's, with its 95 % interval"))
    rows = []
    for line in block.lines:
        run = block.runs[line.system]
        cells: list[Entry] = []
        for metric in metrics:
            cells.append(costs.entry(run, metric, point=point))
            if metric in compared:
                cells.append(change(costs.change(run, metric, point)))
        rows.append(named(line, block, cells))
    return Table(
        f"latency-{block.suite}-{slug(point)}", point, "", "Variant", tuple(heads), tuple(rows)
    )


def _figures(costs: Costs, block: Block) -> tuple[Figure, ...]:
    chosen = {metric: headline(costs, block, metric) for metric in RATIOS}
    found = [level_figure(costs, block, m, p) for m, p in chosen.items() if p]
    found.append(_ratio_figure(costs, block, chosen))
    return tuple(f for f in found if f is not None)


def headline(costs: Costs, block: Block, metric: str) -> str:
    """The point that stands for a metric in figures; empty where none has a value.

    The one that most systems have; of several, prefill alone (longest prompt) for the first token
    and decode alone (longest output) for the others.
    """

    def rank(label: str) -> tuple[int, bool, int]:
        point = parse_point(label)
        have = sum(costs.has([run], metric, label) for run in block.runs.values())
        if metric in ("ttft", "mfu"):
            return have, point.output_tokens == 1, point.prompt_tokens
        return have, point.prompt_tokens == 1 and not point.depth, point.output_tokens

    best = max(block.points, key=rank, default="")
    return best if best and rank(best)[0] else ""


def level_figure(costs: Costs, block: Block, metric: str, point: str) -> Figure | None:
    """A metric at a point by compression level, a series a target."""
    label = METRICS[metric].label
    values = [
        row.estimate.value or 0.0
        for run in block.runs.values()
        if (row := costs.row(run, metric, point=point)) is not None
    ]
    unit = METRICS[metric].unit
    scale = scale_for(unit, values)

    return _by_level(
        block,
        (
            f"{metric}-{block.suite}",
            f"{label} of {point} by compression level",
            "Medians with 95 % intervals over processes. Bits per weight count everything stored.",
        ),
        (f"{label} [{scale.label}] {arrow(metric)}", scale.label),
        lambda run: (
            None
            if (row := costs.row(run, metric, point=point)) is None
            else scaled_estimate(row.estimate, scale.divisor)
        ),
    )


def scaled_estimate(e: Estimate, divisor: float) -> Estimate:
    """The estimate in display units, its standard error left out."""
    value, low, high = (None if x is None else x / divisor for x in (e.value, e.low, e.high))
    return Estimate(value, e.n, low, high, None, e.method)


def _by_level(
    block: Block, words: tuple[str, str, str], axis: tuple[str, str], value: ValueOf
) -> Figure | None:
    places = categories(block.lines)
    series = []
    for target in sorted({line.system.target for line in block.lines}):
        marks = []
        for line in by_bits(block.lines):
            if line.system.target != target:
                continue
            estimate = value(block.runs[line.system])
            if estimate is not None:
                marks.append(Mark(places[line.system], estimate, f"{line.label} · {target}"))
        series.append(Series(target, tuple(marks)))
    name, title, caption = words
    axes = Axes(BITS, axis[0], axis[1], categories=tuple(places.values()))
    return draw(name, title, caption, series, axes)


def _ratio_figure(costs: Costs, block: Block, chosen: dict[str, str]) -> Figure | None:
    places = categories(block.lines)
    series = []
    floors: list[float] = []
    for metric, point in chosen.items():
        marks = []
        for line in by_bits(block.lines):
            d = costs.change(block.runs[line.system], metric, point)
            if d is None or d.difference.change is None:
                continue
            diff = d.difference
            low, high = (
                None if end is None else 1 + end for end in (diff.change_low, diff.change_high)
            )
            ratio = Estimate(1 + (diff.change or 0.0), diff.n, low, high, None, diff.p_method)
            marks.append(Mark(places[line.system], ratio, f"{line.label} × {d.parent}"))
            floors += [] if d.floor is None else [d.floor]
        series.append(Series(f"{METRICS[metric].label} {point}", tuple(marks)))
    axes = Axes(
        BITS, "variant / parent ↓", "score", 1.0, "as the parent", tuple(places.values()),
        from_zero=False,
    )  # fmt: skip
    told = _floor_words(floors)
    return draw(
        f"ratio-{block.suite}",
        "Time over the parent's",
        f"Ratios with 95 % intervals over rounds that both ran in; below 1 is faster. {told}",
        series,
        axes,
    )


def _floor_words(floors: Sequence[float]) -> str:
    if not floors:
        return (
            "This machine's noise floor is not known: `slmbench doctor --noise` finds it, and "
            "until then nothing is greyed out."
        )
    return f"Noise floor of this machine: up to {100 * max(floors):.1f} %."


def runs_of(blocks: Sequence[Block]) -> list[StoredRun]:
    """All runs of some blocks."""
    return [run for block in blocks for run in block.runs.values()]
