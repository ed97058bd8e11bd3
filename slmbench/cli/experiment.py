"""``slmbench experiment``: make the variants, run the suites, say what came of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from slmbench import api
from slmbench.analysis import load_results
from slmbench.analysis.experiments import Told, tell
from slmbench.analysis.experiments.findings import Conclusion, Grid
from slmbench.api import cell_states
from slmbench.campaign import Policy, Summary
from slmbench.cli.output import Value, emit
from slmbench.cli.run import conclude, run_with_progress, terminable
from slmbench.derivations import Derived
from slmbench.errors import InterruptedRunError
from slmbench.estimates import estimates
from slmbench.experiments import Experimental, NotMade, kept, make_variants, resolve, to_make
from slmbench.report.experiments import plain, spoken

NOT_MADE = 3
_CONCLUSION = ("verdict", "conclusion", "value", "low", "high", "unit", "n", "method")
"""``value`` and what follows: the first number of the sentence."""
_WIDEST = 44
"""Characters of a cell in the terminal; the page has the rest."""
_PLAN = ("what", "name", "how", "state", "minutes", "memory_mb")


def execute(arguments: argparse.Namespace) -> int:
    """Run it to its end; 3 when a variant could not be made or a cell failed."""
    wanted = resolve(arguments.name, tuple(arguments.overrides))
    results = Path(arguments.results)
    if arguments.dry_run:
        return _foresee(wanted, results, arguments.format)
    command = shlex.join(["slmbench", *sys.argv[1:]])
    failed = _make(wanted, results, command)
    policy = Policy(retry_failed=arguments.retry_failed)
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


def _make(wanted: Experimental, results: Path, command: str) -> tuple[NotMade, ...]:
    """Make the variants; Ctrl-C and SIGTERM leave whole ones and checkpoints behind."""
    try:
        with terminable():
            failed = make_variants(wanted, results, lambda text: print(text, file=sys.stderr))
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped: variants that are whole are kept, and so are checkpoints of a training",
            hint=f"to go on: {command}",
        ) from None
    for one in failed:
        hint = f" ({one.hint})" if one.hint else ""
        print(f"not made    {one.variant}: {one.reason}{hint}", file=sys.stderr)
    return failed


def _foresee(wanted: Experimental, results: Path, form: str) -> int:
    """What would be made and run, with estimates; nothing is done."""
    rows = [_made_row(row) for row in to_make(wanted)]
    for request, planned in zip(wanted.requests, wanted.planned, strict=True):
        states = cell_states(planned, results)
        guesses = estimates(results, planned.plan.cells)
        seconds = sum(g.seconds * s.left for s, g in zip(states, guesses, strict=True))
        done = sum(s.status is not None for s in states)
        rows.append((
            "run", Path(request.suites[0]).stem, request.selection.size,
            f"{done} of {len(states)} cells done", round(seconds / 60, 1), None,
        ))  # fmt: skip
    emit(_PLAN, rows, form)
    total = sum(minutes for *_, minutes, _ in rows if isinstance(minutes, float))
    budget = wanted.experiment.budget
    print(
        f"about {total:.0f} min to go (estimated); the experiment is meant to fit into "
        f"{budget.minutes:g} min and {budget.memory_mb} MB",
        file=sys.stderr,
    )
    return 0


def _made_row(row: Derived) -> tuple[Value, ...]:
    cost = row.expected
    minutes = 0.0 if cost is None else round(cost.seconds / 60, 1)
    memory = None if cost is None or cost.memory_bytes is None else cost.memory_bytes // 10**6
    return "make", row.variant.name, row.variant.technique, row.state, minutes, memory


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
