"""Bias flips as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from slmbench.analysis.columns import BIAS_FLIP_COLUMNS
from slmbench.analysis.constructs.bias_flips import BiasFlips, Moves
from slmbench.analysis.run_frames import run_frame
from slmbench.analysis.stability import joined
from slmbench.analysis.statistics import Estimate

_PARTS: Mapping[str, Callable[[Moves], Estimate]] = {
    "parent_rate": lambda m: m.parent_rate,
    "rate": lambda m: m.rate,
    "net": lambda m: m.net,
    "flips": lambda m: m.flips,
    "to_stereotype": lambda m: m.to_stereotype,
    "from_stereotype": lambda m: m.from_stereotype,
    "anti_to_stereotype": lambda m: m.anti_to_stereotype,
    "stereotype_to_anti": lambda m: m.stereotype_to_anti,
    "to_neither": lambda m: m.to_neither,
    "from_neither": lambda m: m.from_neither,
    "neither_delta": lambda m: m.neither_delta,
}


def flip_frame(flips: Sequence[BiasFlips]) -> pd.DataFrame:
    """One row a comparison (``columns.BIAS_FLIP_COLUMNS``)."""
    values: dict[str, Callable[[BiasFlips], object]] = {
        "parent_run_id": lambda r: r.parent_run.record.run_id if r.parent_run else None,
        "parent_target": lambda r: r.parent_run.spec.target.name if r.parent_run else None,
        "group": lambda r: r.group,
        "n": lambda r: r.n,
        "clusters": lambda r: r.clusters,
        **{name: _value(part) for name, part in _PARTS.items()},
        **_ends("net", "net"),
        **_ends("flips", "flips"),
        **_ends("neither_delta", "neither"),
        "floor": lambda r: r.floor,
        "within_floor": lambda r: r.within_floor,
        "reason": lambda r: r.reason,
        "flags": lambda r: joined(r.flags),
    }
    return run_frame(BIAS_FLIP_COLUMNS, flips, lambda row: row.run, values)


def _value(part: Callable[[Moves], Estimate]) -> Callable[[BiasFlips], object]:
    return lambda row: part(row.moves).value if row.moves else None


def _ends(part: str, column: str) -> dict[str, Callable[[BiasFlips], object]]:
    of = _PARTS[part]
    return {
        f"{column}_low": lambda row: of(row.moves).low if row.moves else None,
        f"{column}_high": lambda row: of(row.moves).high if row.moves else None,
    }
