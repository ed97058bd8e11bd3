"""``slmbench plan``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench.api import cell_states, plan_suites
from slmbench.cli.output import Value, emit
from slmbench.cli.selection import request_of
from slmbench.estimates import estimates

COLUMNS = (
    "state", "suite", "work", "variant", "target", "seconds", "memory_mb", "basis", "digest",
    "reason",
)  # fmt: skip


def execute(arguments: argparse.Namespace) -> int:
    """Cells and skips as rows on stdout, totals on stderr."""
    planned = plan_suites(request_of(arguments))
    results = Path(arguments.results)
    rows: list[tuple[Value, ...]] = []
    states = cell_states(planned, results)
    guesses = estimates(results, planned.plan.cells)
    for state, guess in zip(states, guesses, strict=True):
        spec = state.cell.spec
        memory = None if guess.memory_bytes is None else round(guess.memory_bytes / 1e6)
        rows.append((
            state.status.value if state.status else "to run",
            spec.suite, spec.work_name, spec.variant.name, spec.target.name,
            round(guess.seconds, 1), memory, guess.basis, spec.key, state.reason,
        ))  # fmt: skip
    rows += [
        ("skip", s.suite, s.work, s.variant, s.target, None, None, None, None, s.reason)
        for s in planned.plan.skips
    ]
    emit(COLUMNS, rows, arguments.format)
    open_seconds = sum(g.seconds for s, g in zip(states, guesses, strict=True) if s.status is None)
    print(
        f"{len(states)} cells, {sum(s.status is not None for s in states)} done before, "
        f"about {open_seconds / 60:.1f} min to go (estimate), {len(planned.plan.skips)} left out",
        file=sys.stderr,
    )
    return 0
