"""``slmbench plan``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from slmbench.api import cell_states, plan_suites
from slmbench.cli.output import Value, emit
from slmbench.cli.selection import request_of
from slmbench.estimates import estimates
from slmbench.records import SkipRecord

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
            state.told,
            spec.suite, spec.work_name, spec.variant.name, spec.target.name,
            round(guess.seconds, 1), memory, guess.basis, spec.key, state.reason,
        ))  # fmt: skip
    rows += _skipped(planned.plan.skips, each=arguments.format not in ("table", "md"))
    emit(COLUMNS, rows, arguments.format)
    open_seconds = sum(
        guess.seconds * state.left for state, guess in zip(states, guesses, strict=True)
    )
    print(
        f"{len(states)} cells, {sum(s.status is not None for s in states)} done before, "
        f"about {open_seconds / 60:.1f} min to go (estimate), {len(planned.plan.skips)} left out",
        file=sys.stderr,
    )
    return 0


def _skipped(skips: Sequence[SkipRecord], *, each: bool) -> list[tuple[Value, ...]]:
    """One row a skip, or, for people, one for all that a variant and target miss for a reason."""
    groups: dict[tuple[str, ...], list[SkipRecord]] = {}
    for skip in skips:
        of_its_own = (skip.suite, skip.work) if each else ()
        groups.setdefault((skip.variant, skip.target, skip.reason, *of_its_own), []).append(skip)
    return [
        ("skip", *_what(mine), mine[0].variant, mine[0].target, None, None, None, None,
         mine[0].reason)
        for mine in groups.values()
    ]  # fmt: skip


def _what(skips: Sequence[SkipRecord]) -> tuple[str, str]:
    """Suite and work, or how many there are."""
    suites = list(dict.fromkeys(skip.suite for skip in skips))
    suite = suites[0] if len(suites) == 1 else f"{len(suites)} suites"
    return suite, skips[0].work if len(skips) == 1 else f"{len(skips)} cells"
