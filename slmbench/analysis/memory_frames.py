"""The tables of memory against context, and of what fits below a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from slmbench.analysis.columns import IDENTITY, Column, Dtype
from slmbench.analysis.frontier import Edge
from slmbench.analysis.memory_fit import Line
from slmbench.analysis.run_frames import run_frame

Getter = Callable[[Any], object]


def _column(name: str, dtype: Dtype, description: str, unit: str = "") -> Column:
    return Column(name, "=memory", dtype, description, unit)


def _estimate(name: str, description: str, unit: str) -> tuple[Column, ...]:
    return (
        _column(name, "Float64", description, unit),
        _column(f"{name}_low", "Float64", "lower end of the 95 % interval", unit),
        _column(f"{name}_high", "Float64", "upper end of the 95 % interval", unit),
    )


FIT_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _column("phase", "string", "cache (loaded, nothing evaluated), prefill, decode or total"),
    _column("quantity", "string", "the counter that is fitted"),
    _column("n", "Int64", "processes", "count"),
    _column("contexts", "string", "filled contexts, all sequences together [tokens]"),
    *_estimate("fixed", "a of M(T) = a + bT", "bytes"),
    *_estimate("per_token", "b", "bytes/token"),
    _column("kv_bytes_per_token", "Int64", "keys and values by the formula", "bytes/token"),
    *_estimate("kv_ratio", "per_token over the formula", "ratio"),
    _column("worst", "Float64", "largest distance of a process from the line", "bytes"),
    _column("told", "string", "what b is made of"),
)
"""Of ``Results.memory_fit``."""

FRONTIER_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _column("limit", "Int64", "memory limit", "bytes"),
    _column("enforced_by", "string", "cgroup v1, cgroup v2, address space or CUDA fraction"),
    _column("at_context", "Int64", "context that the suite asks about", "tokens"),
    _column("fits", "boolean", "whether that context is answered below the limit"),
    _column("max_context", "Int64", "largest filled context of one sequence", "tokens"),
    _column("whole_window", "boolean", "whether that is all the model was trained for"),
    _column("max_batch", "Int64", "most sequences of at_context at a time", "count"),
    _column("decode_rate", "Float64", "at the largest context that was tried", "tok/s"),
    _column("major_faults", "Float64", "there: pages read back from disk", "count"),
    _column("peak", "Float64", "there: peak of the control group, else VmHWM", "bytes"),
    _column("endings", "string", "how the tries below this limit ended"),
    _column("reason", "string", "why there is no number, or why it was not tried"),
)
"""Of ``Results.frontier``."""


def _ends(name: str) -> dict[str, Getter]:
    """Value and both ends of an estimate of a line."""

    def get(part: str) -> Getter:
        return lambda line: getattr(getattr(line, name), part)

    return {name: get("value"), f"{name}_low": get("low"), f"{name}_high": get("high")}


_FIT: Mapping[str, Getter] = {
    "phase": lambda line: line.phase,
    "quantity": lambda line: line.quantity,
    "n": lambda line: line.n,
    "contexts": lambda line: ", ".join(map(str, line.contexts)),
    **_ends("fixed"),
    **_ends("per_token"),
    "kv_bytes_per_token": lambda line: line.kv_bytes,
    **_ends("kv_ratio"),
    "worst": lambda line: line.worst,
    "told": lambda line: line.told,
}
_EDGE: Mapping[str, Getter] = {
    "limit": lambda edge: edge.limit_bytes,
    "enforced_by": lambda edge: edge.enforced_by or None,
    "at_context": lambda edge: edge.at_context,
    "fits": lambda edge: edge.fits,
    "max_context": lambda edge: edge.max_context,
    "whole_window": lambda edge: edge.whole_window,
    "max_batch": lambda edge: edge.max_batch,
    "decode_rate": lambda edge: edge.decode_rate,
    "major_faults": lambda edge: edge.major_faults,
    "peak": lambda edge: edge.peak,
    "endings": lambda edge: edge.endings,
    "reason": lambda edge: edge.reason or None,
}


def fit_frame(lines: Iterable[Line]) -> pd.DataFrame:
    """One row a line (``FIT_COLUMNS``)."""
    return run_frame(FIT_COLUMNS, lines, lambda line: line.run, _FIT)


def frontier_frame(edges: Iterable[Edge]) -> pd.DataFrame:
    """One row a limit (``FRONTIER_COLUMNS``)."""
    return run_frame(FRONTIER_COLUMNS, edges, lambda edge: edge.run, _EDGE)
