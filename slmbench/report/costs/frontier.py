"""What fits below which memory limit: yes, no or not known, and how well it runs at the edge."""

from __future__ import annotations

from collections.abc import Mapping

from slmbench.analysis.frontier import Edge, edges
from slmbench.report.costs.entries import Entry, Head, Part, Table, Tone, Words
from slmbench.report.costs.material import Block, Costs, named
from slmbench.report.format import show
from slmbench.report.leaderboard import System

_ANSWER: Mapping[bool | None, tuple[str, Tone]] = {
    True: ("yes", "good"),
    False: ("no", "bad"),
    None: ("not known", "warn"),
}
LEAD = (
    "Found by trying: a process per try below a hard limit, its context filled, then decoding, by "
    "bisection. Nothing is extrapolated. Below a control group's limit touched pages count; below "
    "an address space limit reserved ones do, so that is pessimistic by hundreds of MB. A model "
    "whose mapped weights do not fit does not fail but reads them back from disk: look at the "
    "decode rate and the major faults at the edge before you call it fitting.",
    "A device whose own system needs part of its memory has less than its name says.",
)


def frontier_part(costs: Costs) -> Part:
    """A table a suite and context: variants down, limits across."""
    tables = []
    for block in costs.of("oom_frontier"):
        found: dict[int, dict[int, dict[System, Edge]]] = {}
        for edge in edges(block.runs.values()):
            by_limit = found.setdefault(edge.at_context, {}).setdefault(edge.limit_bytes, {})
            by_limit[System.of(edge.run)] = edge
        if not found:  # every search failed: the table says how
            found = {0: {}}
        tables += [_table(block, context, mine) for context, mine in sorted(found.items())]
    return Part("frontier", "Does it fit?", LEAD if tables else (), (), tuple(tables))


def _table(block: Block, context: int, found: dict[int, dict[System, Edge]]) -> Table:
    limits = sorted(found)
    rows = []
    for line in block.lines:
        cells: list[Entry] = [_cell(found[limit].get(line.system)) for limit in limits]
        record = block.runs[line.system].record
        if all(cell is None for cell in cells) and record.reason:
            cells = [Words(record.status.value, "bad", (record.reason,)), *cells[1:]]
        rows.append(named(line, block, cells))
    heads = tuple(
        Head(
            f"Fits on {show(limit, 'bytes')}?",
            f"whether {context} tokens of context are answered below this limit",
        )
        for limit in limits
    ) or (Head("Search", "how it ended"),)
    title = f"With {context} tokens of context" if context else "Searches that ended early"
    return Table(f"frontier-{block.suite}-{context}", title, "", "Variant", heads, tuple(rows))


def _cell(edge: Edge | None) -> Entry:
    if edge is None:
        return None
    word, tone = _ANSWER[edge.fits]
    below: list[str] = []
    if edge.max_context is not None:
        whole = ", the whole window" if edge.whole_window else ""
        below.append(f"up to {edge.max_context} tokens{whole}")
    elif edge.reason:
        below.append(edge.reason)
    if edge.max_batch is not None:
        below.append(f"{edge.max_batch} at a time")
    if edge.decode_rate is not None:
        faults = "" if not edge.major_faults else f", {edge.major_faults:,.0f} major faults"
        below.append(f"{edge.decode_rate:.3g} tok/s at the edge{faults}")
    if edge.peak is not None:
        below.append(f"peak {show(edge.peak, 'bytes')}")
    told = f"{edge.endings}; enforced by {edge.enforced_by or 'nothing: implied by another limit'}"
    below.append(edge.enforced_by)
    return Words(word, tone, tuple(line for line in below if line), told)
