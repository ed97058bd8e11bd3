"""A table's cell with what stands below it."""

from __future__ import annotations

from dataclasses import dataclass

from slmbench.report.cells import Cell


@dataclass(frozen=True, slots=True)
class Number:
    """A cell and the lines below its n."""

    cell: Cell
    extra: tuple[str, ...] = ()
