"""``slmbench show RUN``: numbers as rows, or the ids of the items that were asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from slmbench.analysis import load_results
from slmbench.analysis.results import Results
from slmbench.cli.frames import emit_frame
from slmbench.cli.output import emit
from slmbench.errors import SlmbenchError, UnknownNameError
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun

COLUMNS = [
    "variant", "backend", "suite", "task", "point", "metric", "value", "ci_low", "ci_high", "n",
    "unit", "provenance", "status", "flags",
]  # fmt: skip


def execute(arguments: argparse.Namespace) -> int:
    """The metrics frame, or the part of it that belongs to one run, cell or variant."""
    results = load_results(Path(arguments.results))
    chosen = _chosen(results, next(iter(arguments.names), None))
    if arguments.ids:
        _emit_ids(chosen, arguments.format)
        return 0
    metrics = results.metrics()
    metrics = metrics[metrics["run_id"].isin([run.record.run_id for run in chosen])]
    columns = COLUMNS if arguments.format in ("table", "md") else list(metrics.columns)
    emit_frame(metrics[columns], arguments.format)
    return 0


def _chosen(results: Results, wanted: str | None) -> tuple[StoredRun, ...]:
    if not wanted:
        return results.stored
    mine = tuple(
        run
        for run in results.stored
        if wanted in (run.spec.variant.name, run.record.run_id)
        or run.record.digest.startswith(wanted)
    )
    if not mine:
        known = {n for r in results.stored for n in (r.spec.variant.name, r.record.run_id)}
        raise UnknownNameError("run, digest or variant", wanted, known)
    return mine


def _emit_ids(runs: tuple[StoredRun, ...], form: str) -> None:
    """Each list of items once, in the order of asking; as YAML for a suite, or as rows."""
    asked: dict[tuple[str, str, str, tuple[str, ...]], None] = {}
    for run in runs:
        if isinstance(run.spec.work, TaskSpec):
            try:
                ids = tuple(output.item_id for output in run.outputs())
            except ValueError:
                why = f"{run.spec.label}: the answers in {run.folder} are damaged"
                raise SlmbenchError(why, hint="run the cell again with --force") from None
            asked[run.spec.suite, run.spec.size, run.spec.work_name, ids] = None
    if form not in ("table", "md"):
        rows = [(*where, item) for *where, ids in asked for item in ids]
        emit(("suite", "size", "task", "item_id"), rows, form)
        return
    for suite, size, task, ids in asked:
        print(f"# {suite}/{task} ({size}): {len(ids)} items")
        print(f"items: {json.dumps(list(ids), ensure_ascii=False)}")
