"""What a page has beside its tables of tasks: figures and tables of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slmbench.report.constructs.entries import Number
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.figures import Figure
from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class SideRow:
    """One row of a special table."""

    name: str
    below: tuple[str, ...] = ()
    """Lines below the name."""
    cells: tuple[Number | None, ...] = ()
    """One per head; none at all: a heading for the rows below it."""


@dataclass(frozen=True, slots=True)
class SideTable:
    """A table with a title of its own."""

    anchor: str
    title: str
    note: str
    first: str
    """Head of the first column."""
    heads: tuple[tuple[str, str], ...]
    """Title and meaning of each column."""
    rows: tuple[SideRow, ...]
    folded: bool = False
    """Opened by a click."""


@dataclass(frozen=True, slots=True)
class Special:
    """All of it; empty where there is nothing."""

    figures: tuple[Figure, ...] = ()
    tables: tuple[SideTable, ...] = ()
    notes: tuple[str, ...] = ()
    """What is missing, and why."""
    runs: tuple[StoredRun, ...] = ()
    """Those that only these parts come from."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.figures and not self.tables


Build = Callable[[Material, Sequence[TaskRuns]], Special]
"""Makes the special parts of one construct's page."""
