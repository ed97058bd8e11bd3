"""``slmbench show``: numbers as rows."""

from __future__ import annotations

import argparse
from pathlib import Path

from slmbench.analysis import load_results
from slmbench.cli.frames import emit_frame
from slmbench.errors import UnknownNameError

COLUMNS = [
    "variant", "backend", "suite", "task", "point", "metric", "value", "ci_low", "ci_high", "n",
    "unit", "provenance", "status", "flags",
]  # fmt: skip


def execute(arguments: argparse.Namespace) -> int:
    """The metrics frame, or the part of it that belongs to one run, cell or variant."""
    metrics = load_results(Path(arguments.results)).metrics()
    if wanted := arguments.run:
        mine = (
            (metrics["variant"] == wanted)
            | (metrics["run_id"] == wanted)
            | metrics["digest"].str.startswith(wanted)
        )
        if not mine.any():
            known = {*metrics["variant"].unique(), *metrics["run_id"].unique()}
            raise UnknownNameError("run, digest or variant", wanted, known)
        metrics = metrics[mine]
    columns = COLUMNS if arguments.format in ("table", "md") else list(metrics.columns)
    emit_frame(metrics[columns], arguments.format)
    return 0
