"""A short leaderboard for the terminal: the page has the rest."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from slmbench.analysis import load_results
from slmbench.analysis.signatures import badge, found_in
from slmbench.cli.output import emit
from slmbench.report import leaderboard_rows

_COSTS = ("decode_rate", "ttft", "peak_memory", "artefact_size")
"""Costs that fit beside the accuracy on a line of 120 characters."""


def print_leaderboard(results: Path, only: Set[str]) -> None:
    """One row per variant and backend: headline numbers with intervals, signatures if any."""
    read = load_results(results, only=only)
    rows = leaderboard_rows(read)
    chosen = [
        (row, [row.accuracy, *(c for name in _COSTS for c in row.costs if c.metric == name)])
        for row in rows
    ]
    titles = [c.title for c in chosen[0][1]] if chosen else []
    seen = [", ".join(badge(f) for f in found_in(read.findings, row.system)) for row in rows]
    shown = any(seen)
    emit(
        ["variant", "backend", *titles, *(["signatures"] if shown else [])],
        [
            [row.variant, row.backend, *(c.text for c in cells), *([signs] if shown else [])]
            for (row, cells), signs in zip(chosen, seen, strict=True)
        ],
        "table",
    )
