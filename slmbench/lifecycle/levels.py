"""How many different values the weights of a float matrix have: are they on a grid of few levels?

Rounded weights that are stored as floats look like any others to an engine. They give themselves
away in groups that shared a scale: there they are whole multiples of one step apart, or have few
different values. A sample of rows is looked at, each cut into groups of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_ROWS = 32
_COLUMNS = 4096
_MOST_LEVELS = 256
_FEW_VALUES = 16
_LARGER = (64, 128, 256)
_FITTING = 0.95
"""Share of the groups that must be on a grid."""
_SAME = 1.25
"""Chance shows a larger group so many more of the same levels."""
_DIVISORS = 8
"""The smallest gap between values may be so many steps."""
_TOLERANCE = 0.05
"""Of a step: what float32 and a scale's rounding leave."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What the weights of a matrix were rounded to."""

    count: int
    """Most levels of a group (all but a twentieth of the groups)."""
    group: int | None
    """Weights that share a grid, as far as was looked: 16 to 256; None: whole rows."""


def levels_of(matrix: Floats) -> Levels | None:
    """The grid that the rows of a matrix are on; None where they have too many values.

    ``matrix``: [rows, columns]. Up to 8 bits are recognised where weights are multiples of a
    step (exactly, in float32 or float16 scales), up to 16 values whatever their distances.
    """
    step = max(1, matrix.shape[0] // _ROWS)
    rows = np.ascontiguousarray(matrix[::step][:_ROWS, :_COLUMNS], dtype=np.float32)
    return _largest_group(rows, uneven=False) or _largest_group(rows, uneven=True)


def _largest_group(rows: Floats, *, uneven: bool) -> Levels | None:
    """The largest groups that are on a grid each, and have no more levels than smaller ones.

    Groups that are too large hold several grids: few uneven values are then more values.
    """
    found: Levels | None = None
    for group in (32, *_LARGER, None) if uneven else (16, 32, *_LARGER, None):
        count = _common_levels(rows, group, uneven=uneven)
        if count is None or (uneven and found and count > _SAME * found.count):
            break
        found = Levels(count, group)
    return found


def _common_levels(rows: Floats, group: int | None, *, uneven: bool) -> int | None:
    """Levels of all but a few groups of that size; None where too few are on a grid."""
    size = group or rows.shape[1]
    if size > rows.shape[1] or size < 3:
        return None
    used = rows.shape[1] // size * size
    groups = np.sort(rows[:, :used].reshape(-1, size).astype(np.float64), axis=1)
    gaps = np.diff(groups, axis=1)
    distinct = (gaps > 0).sum(axis=1) + 1
    telling = distinct > 2
    if telling.mean() < 0.5:
        return None
    if uneven:
        few = distinct[telling] <= min(_FEW_VALUES, size // 2)
        levels = np.where(few, distinct[telling], 0)
    else:
        levels = _uniform(groups[telling], gaps[telling])
    if (levels > 0).mean() < _FITTING:
        return None
    return int(np.quantile(levels[levels > 0], _FITTING, method="higher"))


def _uniform(
    groups: npt.NDArray[np.float64], gaps: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Levels of each sorted group that is on a uniform grid, 0 for those that are not."""
    smallest = np.where(gaps > 0, gaps, np.inf).min(axis=1, keepdims=True)
    levels = np.zeros(len(groups), dtype=np.int64)
    for divisor in range(1, _DIVISORS + 1):
        steps = (groups - groups[:, :1]) / (smallest / divisor)
        off = np.abs(steps - np.rint(steps)).max(axis=1)
        count = np.rint(steps[:, -1]).clip(max=_MOST_LEVELS + 1).astype(np.int64) + 1
        fits = (levels == 0) & (off < _TOLERANCE) & (count <= _MOST_LEVELS)
        levels = np.where(fits, count, levels)
    return levels
