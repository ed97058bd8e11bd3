"""A short leaderboard for the terminal."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from slmbench.analysis import load_results
from slmbench.cli.output import emit
from slmbench.report import leaderboard_rows


def print_leaderboard(results: Path, only: Set[str]) -> None:
    """One row per variant and backend: the headline numbers with their intervals."""
    rows = leaderboard_rows(load_results(results, only=only))
    columns = [c.title for c in rows[0].cells] if rows else []
    emit(
        ["variant", "backend", *columns],
        [[r.variant, r.backend, *(c.text for c in r.cells)] for r in rows],
        "table",
    )
