"""What stands in the tables of the cost pages: numbers with their steadiness, ratios, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from slmbench.analysis import Delta, Flag, MetricRow
from slmbench.report.cells import Cell, arrow, cell_of
from slmbench.report.figures import Figure
from slmbench.report.format import show_p

Tone = Literal["", "good", "bad", "warn"]
_TONES: dict[str, Tone] = {
    "steady": "good",
    "noisy": "warn",
    "drifting": "warn",
    "disturbed": "bad",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A number with what it rests on and how steady the machine was meanwhile."""

    shape: ClassVar[str] = "reading"
    cell: Cell
    extra: tuple[str, ...] = ()
    word: str = ""
    """Steadiness in a word; empty where nothing is said about it."""
    reason: str = ""

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What makes the number shaky."""
        return self.cell.flags

    @property
    def tone(self) -> Tone:
        """Colour of the word."""
        return _TONES.get(self.word, "")


@dataclass(frozen=True, slots=True)
class Change:
    """A cost over its parent's: the ratio, and whether it is told from 1."""

    shape: ClassVar[str] = "change"
    text: str
    range: str
    basis: str
    """``5 rounds``, ``3 processes``, ``one process each``."""
    verdict: str
    why: str
    """That the change is inside the noise floor."""
    flags: tuple[Flag, ...]
    tooltip: str

    @property
    def inside_floor(self) -> bool:
        """Whether the machine shows as much where there is nothing to see."""
        return "inside noise floor" in self.flags


@dataclass(frozen=True, slots=True)
class Words:
    """A verdict or a fact in words."""

    shape: ClassVar[str] = "words"
    text: str
    tone: Tone = ""
    below: tuple[str, ...] = ()
    tooltip: str = ""
    pill: bool = True
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Tint:
    """A number whose cell is tinted by its size."""

    shape: ClassVar[str] = "tint"
    cell: Cell
    heat: int
    """0 to 100."""
    extra: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What makes the number shaky."""
        return self.cell.flags


Entry = Reading | Change | Words | Tint | None
"""None: nothing stands there, and nothing is missing."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column."""

    title: str
    meaning: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; without cells: a heading for the rows below it."""

    name: str
    below: tuple[str, ...] = ()
    cells: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table, in sight or to be opened."""

    anchor: str
    title: str
    note: str
    first: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A section of a page."""

    anchor: str
    title: str
    lead: tuple[str, ...]
    """Paragraphs before anything else."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.figures and not self.tables and not self.notes


def reading(row: MetricRow, title: str, *extra: str) -> Reading:
    """The entry of a row of the metrics table."""
    counted = f"{row.processes} processes" if row.processes > 1 else ""
    steady = row.steadiness
    return Reading(
        cell_of(row, title),
        tuple(line for line in (counted, *extra) if line),
        (steady.word or "") if steady else "",
        steady.reason if steady else "",
    )


def change(d: Delta | None) -> Change | None:
    """The ratio of a cost to the parent's; None where there is nothing to compare."""
    if d is None or d.difference.change is None:
        return None
    diff = d.difference
    basis = "one process each"
    if diff.rounds is not None:
        basis = f"{diff.rounds} rounds"
    elif diff.processes is not None:
        basis = f"{diff.processes} processes"
    ends = (diff.change_low, diff.change_high)
    shown = "" if None in ends else "–".join(_times(end) for end in ends if end is not None)
    sign = "" if diff.sign_p is None else f"sign test p {show_p(diff.sign_p)}"
    told = (f"against {d.parent}; derived", diff.p_method, sign)
    return Change(
        f"× {_times(diff.change or 0.0)}",
        shown,
        basis,
        d.verdict if shown else "no interval",
        d.why,
        d.flags,
        "; ".join(text for text in told if text),
    )


def titled(title: str, metric: str) -> str:
    """A column's title with the arrow of the metric's direction."""
    return f"{title} {arrow(metric)}".strip()


def _times(change: float) -> str:
    return f"{1 + change:.3g}" if abs(change) > 9 else f"{1 + change:.2f}"
