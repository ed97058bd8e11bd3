"""Data frames on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slmbench.cli.output import Value, emit

if TYPE_CHECKING:
    import pandas as pd


def emit_frame(frame: pd.DataFrame, form: str) -> None:
    """Print a frame; NA becomes null, numbers in tables have four significant digits."""
    rows: list[list[Value]] = json.loads(frame.to_json(orient="values", double_precision=15))
    if form in ("table", "md"):
        rows = [[f"{v:.4g}" if isinstance(v, float) else v for v in row] for row in rows]
    emit([str(c) for c in frame.columns], rows, form)
