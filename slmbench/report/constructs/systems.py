"""The systems of a construct page in the order of their lineage, with names and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.statistics import Estimate
from slmbench.report.cells import Cell
from slmbench.report.format import show
from slmbench.report.leaderboard import LeaderboardRow, System
from slmbench.report.trust import system_names


@dataclass(frozen=True, slots=True)
class Line:
    """One variant on one target, as the head of a table's row."""

    system: System
    label: str
    short: str
    """For figures and narrow heads."""
    parent: str
    """Empty for a root."""
    bits: float | None
    """Effective bits per weight; None where no run loaded the model."""
    accuracy: Estimate | None = None
    """Mean over the accuracy tasks, as the leaderboard has it; None where there is none."""

    @property
    def bits_text(self) -> str:
        """Bits per weight in words; empty where they are not known."""
        return "" if self.bits is None else f"{show(self.bits, 'bits')}/weight"

    @property
    def made_from(self) -> str:
        """Where it stands in its lineage."""
        return f"from {self.parent}" if self.parent else "root of its lineage"


def lines_of(rows: Sequence[LeaderboardRow]) -> tuple[Line, ...]:
    """Parents before their children, and children of one parent by falling bits per weight."""
    names = system_names(rows)
    lines = [
        Line(
            row.system,
            row.label,
            names[row.system],
            row.ref.parent or "",
            cell.value if (cell := row.cell("bits_per_weight")) is not None else None,
            _accuracy(row.accuracy),
        )
        for row in rows
    ]
    order = _depth_first(lines)
    return tuple(
        sorted(lines, key=lambda line: (order[line.system.variant], _falling(line), line.label))
    )


def _accuracy(cell: Cell) -> Estimate | None:
    if cell.value is None or cell.suspect:
        return None
    return Estimate(cell.value, cell.n, cell.low, cell.high, None, cell.detail)


def _falling(line: Line) -> tuple[float, str]:
    return -(line.bits or 0.0), line.system.target


def _depth_first(lines: Sequence[Line]) -> Mapping[str, int]:
    """Place of every variant name; a parent that was not run is passed over."""
    parents = {line.system.variant: line.parent for line in lines}
    size = {line.system.variant: _falling(line) for line in lines}
    children: dict[str, list[str]] = {}
    for name, parent in parents.items():
        children.setdefault(parent if parent in parents else "", []).append(name)
    places: dict[str, int] = {}

    def visit(name: str) -> None:
        if name in places:
            return
        places[name] = len(places)
        for child in sorted(children.get(name, ()), key=lambda n: (size[n], n)):
            visit(child)

    for root in sorted(children.get("", ()), key=lambda n: (size[n], n)):
        visit(root)
    for name in sorted(parents):  # those of a lineage that closes on itself
        visit(name)
    return places


def by_bits(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines whose bits are known, the most compressed first."""
    known = [line for line in lines if line.bits is not None]
    return tuple(sorted(known, key=lambda line: (line.bits or 0.0, line.label)))
