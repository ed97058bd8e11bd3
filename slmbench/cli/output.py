"""Rows on stdout as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence

Value = str | int | float | bool | None


def emit(columns: Sequence[str], rows: Iterable[Sequence[Value]], form: str) -> None:
    """Print rows in the wanted form; a null is empty in tables and ``null`` in JSON."""
    table = [list(row) for row in rows]
    if form == "json":
        objects = [dict(zip(columns, row, strict=True)) for row in table]
        print(json.dumps(objects, indent=1, ensure_ascii=False, allow_nan=False))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if v is None else v for v in row] for row in table)
    else:
        from tabulate import tabulate

        style = "github" if form == "md" else "simple"
        print(
            tabulate(
                table, headers=list(columns), tablefmt=style, missingval="", disable_numparse=True
            )
        )
