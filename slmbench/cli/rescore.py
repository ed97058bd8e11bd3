"""``slmbench rescore``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench import api
from slmbench.cli.output import emit
from slmbench.cli.run import SOME_FAILED
from slmbench.errors import GateError

COLUMNS = ("run", "run_id", "scorer", "outcome", "details")


def execute(arguments: argparse.Namespace) -> int:
    """Judge kept answers again; with ``--check`` only say what would differ."""
    summary = api.rescore(Path(arguments.results), check=arguments.check)
    shown = summary.runs
    if arguments.format in ("table", "md"):
        shown = (*summary.of("changed"), *summary.of("failed"))
    if shown or arguments.format not in ("table", "md"):
        emit(
            COLUMNS,
            [(r.label, r.run_id, r.scorer, r.outcome, "\n".join(r.details)) for r in shown],
            arguments.format,
        )
    same, changed, skipped, failed = (
        len(summary.of(outcome)) for outcome in ("same", "changed", "skipped", "failed")
    )
    what = "differ" if arguments.check else "judged anew"
    print(
        f"{same} runs scored as before, {changed} {what}, {failed} could not be scored, "
        f"{skipped} without answers to score",
        file=sys.stderr,
    )
    if changed and arguments.check:
        return GateError.exit_code
    return SOME_FAILED if failed else 0
