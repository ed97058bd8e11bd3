"""``slmbench experiment``: make the variants, run the suites, say what came of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench import api
from slmbench.analysis import load_results
from slmbench.analysis.experiments import Told, tell
from slmbench.analysis.experiments.findings import Conclusion, Grid
from slmbench.api import cell_states
from slmbench.campaign import Policy, Summary
from slmbench.cli.output import Value, emit
from slmbench.cli.run import conclude, run_with_progress
from slmbench.estimates import estimates
from slmbench.experiments import Experimental, kept, make_variants, resolve
from slmbench.report.experiments import plain, spoken

NOT_MADE = 3
_CONCLUSION = ("verdict", "conclusion", "value", "low", "high", "unit", "n", "method")
"""``value`` and what follows: the first number of the sentence."""
_WIDEST = 44
"""Characters of a cell in the terminal; the page has the rest."""
_PLAN = ("suite", "size", "cells", "done", "left_out", "minutes")


def execute(arguments: argparse.Namespace) -> int:
    """Run it to its end; 3 when a variant could not be made or a cell failed."""
    wanted = resolve(arguments.name, tuple(arguments.overrides))
    results = Path(arguments.results)
    if arguments.dry_run:
        return _foresee(wanted, results, arguments.format)
    failed = make_variants(wanted, results, lambda text: print(text, file=sys.stderr))
    for one in failed:
        hint = f" ({one.hint})" if one.hint else ""
        print(f"not made    {one.variant}: {one.reason}{hint}", file=sys.stderr)
    policy = Policy(retry_failed=arguments.retry_failed)
    command = " ".join(["slmbench", *sys.argv[1:]])
    code = NOT_MADE if failed else 0
    for request in wanted.requests:
        summary: Summary = run_with_progress(request, results, policy, command)
        code = max(code, conclude(summary))
    found = load_results(results)
    told = tell(found, kept(wanted))
    page = api.report(results, Path(arguments.out), title=arguments.title)
    _show(told, arguments.format)
    mine = page.parent / f"experiment-{wanted.experiment.name}.html"
    print(f"page: {mine if mine.exists() else page}", file=sys.stderr)
    return code


def _foresee(wanted: Experimental, results: Path, form: str) -> int:
    """What would be run; nothing is made."""
    rows: list[tuple[Value, ...]] = []
    total = 0.0
    for request, planned in zip(wanted.requests, wanted.planned, strict=True):
        states = cell_states(planned, results)
        guesses = estimates(results, planned.plan.cells)
        minutes = sum(
            g.seconds * s.left for s, g in zip(states, guesses, strict=True)
        ) / 60  # fmt: skip
        total += minutes
        rows.append((
            Path(request.suites[0]).stem, request.selection.size, len(states),
            sum(s.status is not None for s in states), len(planned.plan.skips), round(minutes, 1),
        ))  # fmt: skip
    emit(_PLAN, rows, form)
    budget = wanted.experiment.budget
    derived = sum(v.recipe is not None for v in wanted.models.variants)
    print(
        f"{len(wanted.models.variants)} variants, {derived} of them derived; suites take about "
        f"{total:.1f} min (estimate). Budget of the experiment, making included: "
        f"{budget.minutes:g} min, {budget.memory_mb} MB. `slmbench derive --dry-run` estimates the "
        "making.",
        file=sys.stderr,
    )
    return 0


def _show(told: Told, form: str) -> None:
    """Conclusions, then the tables; on stdout in the form that was asked for."""
    e = told.kept.experiment
    if form in ("json", "csv"):
        emit(_CONCLUSION, [_row(c) for c in told.findings.conclusions], form)
        return
    print(f"{e.title}\n{e.question}\n")
    for c in told.findings.conclusions:
        print(f"- {c.verdict}: {spoken(c)}")
    if not told.findings.conclusions:
        print("Nothing can be concluded: no results.")
    for chapter in told.findings.chapters[:2]:
        for grid in chapter.grids:
            _print_grid(grid, form)
    for text in e.limitations:
        print(f"limit: {text}")


def _row(c: Conclusion) -> tuple[Value, ...]:
    if not c.numbers:
        return (c.verdict, spoken(c), *[None] * 6)
    n = c.numbers[0]
    return (c.verdict, spoken(c), n.value, n.low, n.high, n.unit, n.n or None, n.method)


def _print_grid(grid: Grid, form: str) -> None:
    if not grid.lines:
        return
    print(f"\n{grid.title}")
    columns = [grid.first, *(c.title for c in grid.columns)]
    rows: list[list[Value]] = []
    for line in grid.lines:
        cells = [_short(plain(c)) if form == "table" else plain(c) for c in line.cells]
        rows.append([line.name, *cells, *[""] * (len(grid.columns) - len(cells))])
    emit(columns, rows, form)
    print()


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
