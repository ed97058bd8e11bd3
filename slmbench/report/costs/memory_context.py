"""Memory against context: the readings, the line through them, and the cache by the formula."""

from __future__ import annotations

from slmbench.analysis.memory_fit import Line as Fitted
from slmbench.analysis.memory_fit import cache_line, headline, memory_lines, readings_of
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs.systems import Line
from slmbench.report.costs.drawing import Curve, Frame, Spot, curves
from slmbench.report.costs.entries import Head, Part, Reading, Row, Table, Words
from slmbench.report.costs.material import Block, Costs, named
from slmbench.report.figures import Figure
from slmbench.report.format import scale_for, show

_LEAD = (
    "A process per context, with exactly that context, filled; M(T) = a + bT through all of them. "
    "T counts filled cells of all sequences. The formula of keys and values is 2 × layers × KV "
    "heads × head size × bytes a value. “cache” is the phase in which model and context are there "
    "and nothing is evaluated yet; “prefill” is what a user pays for, buffers of the engine "
    "included. Logits hide in a: an engine reserves rows of vocabulary × 4 bytes."
)


def context_part(costs: Costs) -> Part:
    """A figure of every system's cache and peak, and all fits."""
    tables, figures = [], []
    for block in costs.of("memory_context"):
        fitted = {
            line: memory_lines([block.runs[line.system]]) for line in block.lines
        }  # a run's lines; none where it failed
        tables.append(_table(block, fitted))
        figures.append(_figure(block, fitted, cache=True))
        figures.append(_figure(block, fitted, cache=False))
    drawn = tuple(f for f in figures if f is not None)
    return Part("context", "Memory against context", (_LEAD,) if tables else (), drawn,
                tuple(tables))  # fmt: skip


def _table(block: Block, fitted: dict[Line, tuple[Fitted, ...]]) -> Table:
    heads = (
        Head("a, at no context", "fixed part of the line"),
        Head("b, per token", "slope of the line, least squares over processes"),
        Head("KV formula", "bytes of keys and values of a token, by the formula"),
        Head("b / formula", "1 where the cache is all that grows"),
        Head("Farthest", "largest distance of a process from the line"),
        Head("What b is", "read from its size"),
    )
    rows: list[Row] = []
    for line, lines in fitted.items():
        if not lines:
            why = block.runs[line.system].record.reason or "no reading at two contexts"
            status = block.runs[line.system].record.status.value
            nothing = Words(status if status != "ok" else "no value", "bad", (why,))
            rows.append(named(line, block, [nothing, *[None] * (len(heads) - 1)]))
            continue
        rows.append(Row(line.label, (f"{line.system.target} · {line.bits_text}".rstrip(" ·"),)))
        rows += [_row(one) for one in lines]
    return Table(f"context-{block.suite}", "The lines", "", "Phase and counter", heads, tuple(rows))


def _row(one: Fitted) -> Row:
    contexts = ", ".join(map(str, one.contexts))
    kv = one.kv_bytes
    return Row(
        f"{one.phase}: {one.quantity}",
        (f"{one.n} processes", f"T = {contexts}"),
        (
            _estimate("memory_fixed", one.fixed, "bytes", one.reason),
            _estimate("memory_per_token", one.per_token, "bytes/token", one.reason),
            Words("–" if kv is None else f"{kv:,} B/token".replace(",", " "), pill=False),
            _estimate("kv_ratio", one.kv_ratio, "score", one.kv_ratio.method),
            Words(show(one.worst, "bytes"), pill=False),
            Words(one.told, pill=False),
        ),
    )


def _estimate(metric: str, e: Estimate, unit: str, reason: str) -> Reading:
    missing = e.value is None
    source = Provenance.UNAVAILABLE if missing else Provenance.DERIVED
    return Reading(
        Cell(
            metric, metric, e.value, e.low, e.high, e.n, unit, source.value,
            reason=reason if missing else "", detail="" if missing else e.method,
        )
    )  # fmt: skip


def _figure(block: Block, fitted: dict[Line, tuple[Fitted, ...]], *, cache: bool) -> Figure | None:
    chosen = {
        line: one
        for line, lines in fitted.items()
        if (one := cache_line(lines) if cache else headline(lines)) is not None
    }
    if not chosen:
        return None
    tops = [y for one in chosen.values() for _, y in readings_of(one)]
    scale = scale_for("bytes", tops)
    drawn = [_curve(line, one, scale.divisor) for line, one in chosen.items()]
    words = sorted({f"{one.phase}: {one.quantity}" for one in chosen.values()})
    shown = ", ".join(words)
    name = f"context-{block.suite}-{'cache' if cache else 'paid'}"
    caption = (
        f"{shown}; a mark is a process, the line is M(T) = a + bT. "
        "Dotted: a + the formula of keys and values × T."
    )
    frame = Frame("filled context T [tokens]", f"memory [{scale.label}]", from_zero=False)
    title = "The cache against its formula" if cache else "What is paid for a longer context"
    return curves(name, title, caption, drawn, frame)


def _curve(line: Line, one: Fitted, divisor: float) -> Curve:
    spots = tuple(
        Spot(x, y / divisor, told=f"{line.label} · {line.system.target}\n{x} tokens: "
             f"{show(y, 'bytes')}")
        for x, y in readings_of(one)
    )  # fmt: skip
    a, b, kv = one.fixed.value or 0.0, one.per_token.value or 0.0, one.kv_bytes
    ends = (0, one.contexts[-1])
    straight = tuple((float(x), (a + b * x) / divisor) for x in ends)
    formula = () if kv is None else tuple((float(x), (a + kv * x) / divisor) for x in ends)
    return Curve(line.short, spots, straight, dashed=formula)
