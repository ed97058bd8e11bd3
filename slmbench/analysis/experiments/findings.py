"""What a section finds: conclusions that are computed, tables, curves. No text of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance

Verdict = Literal[
    "better", "worse", "non-inferior", "not resolved", "cannot be said", "unequal",
    "in order", "not in order", "collapses", "no collapse", "differ",
    "gap smaller", "gap wider", "stiff", "not stiff", "falls", "does not fall",
    "grows", "does not grow", "ship", "ruled out",
]  # fmt: skip
"""What a conclusion comes to, in a word."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a table or a sentence, or the reason why there is none."""

    value: float | None
    unit: str = ""
    """As in the metrics table."""
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: str = ""
    """How the interval was made."""
    provenance: Provenance = Provenance.DERIVED
    reason: str = ""
    signed: bool = False
    """A difference: shown with its sign, shares in points."""
    verdict: str = ""
    """``better``, ``worse``, ``not resolved``; empty where nothing is judged."""
    said: tuple[str, ...] = ()
    """Further lines below it."""
    p: float | None = None
    """Two-sided, of a difference; not adjusted."""

    @property
    def holds_zero(self) -> bool:
        """Whether the interval holds 0; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One sentence with its numbers: ``text`` names them ``{0}``, ``{1}`` …"""

    verdict: Verdict
    text: str
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    meaning: str
    metric: str = ""
    """For the arrow that says which way is better; empty: none."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table; without cells a heading for the rows below it."""

    name: str
    below: tuple[str, ...] = ()
    cells: tuple[Number | str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    name: str
    title: str
    first: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a curve."""

    x: float
    y: Number
    told: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """A curve of one name."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over a number."""

    name: str
    title: str
    caption: str
    x: str
    y: str
    traces: tuple[Trace, ...]
    from_zero: bool = False
    logarithmic: bool = False
    """Whether y is; what is not above 0 is left out then."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the section."""

    name: str
    title: str
    lead: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that a section has to say."""

    conclusions: tuple[Conclusion, ...]
    chapters: tuple[Chapter, ...]


def number_of(
    estimate: Estimate, unit: str, provenance: Provenance = Provenance.DERIVED, reason: str = ""
) -> Number:
    """An estimate as a number."""
    e = estimate
    why = reason or ("" if e.value is not None else e.method)
    return Number(e.value, unit, e.low, e.high, e.n, e.method, provenance, why)


def nothing(unit: str, reason: str) -> Number:
    """No number, and why."""
    return Number(None, unit, provenance=Provenance.UNAVAILABLE, reason=reason)


def quoted(text: str) -> str:
    """A name as it may stand in a conclusion's text."""
    return text.replace("{", "{{").replace("}", "}}")


def named(name: str) -> str:
    """The name of an arm, a phrase in quotation marks, as it may stand in a conclusion's text."""
    return f"“{quoted(name)}”"
