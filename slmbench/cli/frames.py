"""Data frames on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmbench.cli.output import Value, emit

if TYPE_CHECKING:
    import pandas as pd


def emit_frame(frame: pd.DataFrame, form: str) -> None:
    """Print a frame; NA becomes null, numbers in tables have four significant digits."""
    short = form in ("table", "md")
    rows = [[_plain(v, short=short) for v in row] for row in frame.itertuples(index=False)]
    emit([str(c) for c in frame.columns], rows, form)


def _plain(value: object, *, short: bool) -> Value:
    if value is None or value != value or str(value) == "<NA>":
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}" if short else value
    if hasattr(value, "item"):
        return _plain(value.item(), short=short)
    return str(value)
