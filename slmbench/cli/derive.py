"""``slmbench derive``: make variants by recipes, or say what that would take."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence

from slmbench.cli.listing import recipe_rows
from slmbench.cli.output import Value, emit
from slmbench.cli.run import terminable
from slmbench.derivations import (
    Derived,
    Goal,
    derive,
    expectations,
    goal_of,
    memory_of,
    over_budget,
    seconds_of,
    whole,
)
from slmbench.errors import InterruptedRunError, UsageError
from slmbench.lifecycle.memory_room import available
from slmbench.made import MadeRecord
from slmbench.records import Provenance

COLUMNS = (
    "variant", "technique", "state", "seconds", "peak_memory_mb", "energy_j", "energy", "size_mb",
    "bits_per_weight", "kernel", "tokens", "validation_before", "validation_after", "path",
)  # fmt: skip
FORESEEN = (
    "variant", "technique", "state", "parameters", "seconds", "memory_mb", "basis",
)  # fmt: skip
_WORDS = {"minutes": "min", "memory_mb": "MB of memory"}


def execute(arguments: argparse.Namespace) -> int:
    """Derive, or estimate; the exit code is that of the first failure."""
    if arguments.list:
        emit(*recipe_rows(), arguments.format)
        return 0
    if not arguments.names and not arguments.models:
        raise UsageError(
            "name a recipe, a variant, a recipe file, or --models FILE for all of its variants",
            hint="`slmbench derive --list` names the recipes",
        )
    goals = [goal_of(name, arguments.models) for name in arguments.names]
    goals = goals or [whole(arguments.models)]
    if arguments.dry_run:
        return _foresee(goals, arguments)
    return _derive(goals, arguments)


def _derive(goals: Sequence[Goal], arguments: argparse.Namespace) -> int:
    found: list[tuple[Goal, tuple[Derived, ...]]] = []
    try:
        with terminable():
            for goal in goals:
                found.append((goal, derive(goal, _tell, force=arguments.force)))
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "stopped: variants that are whole are kept, and so are checkpoints of a training",
            hint=f"to go on: {shlex.join(['slmbench', *sys.argv[1:]])}",
        ) from None
    rows = _once(row for _, rows in found for row in rows)
    _show(rows, arguments.format)
    for goal, mine in found:
        _tell_budget(goal, mine, "took")
    return _failures(rows)


def _foresee(goals: Sequence[Goal], arguments: argparse.Namespace) -> int:
    found = [(goal, expectations(goal, force=arguments.force)) for goal in goals]
    rows = _once(row for _, rows in found for row in rows)
    table: list[tuple[Value, ...]] = []
    for row in rows:
        cost = row.expected
        table.append((
            row.variant.name, row.variant.technique, row.state,
            None if cost is None or cost.shape is None else cost.shape.parameters,
            None if cost is None else round(cost.seconds, 1),
            None if cost is None else _mega(cost.memory_bytes),
            None if cost is None else f"estimated: {cost.basis}",
        ))  # fmt: skip
    emit(FORESEEN, table, arguments.format)
    seconds = sum(row.expected.seconds for row in rows if row.expected is not None)
    have = available()
    room = "unknown" if have is None else f"{have / 1e9:.1f} GB"
    _tell(f"about {seconds / 60:.1f} min to go (estimated); {room} of memory available")
    for goal, mine in found:
        _tell_budget(goal, mine, "is estimated to take")
    return _failures(rows)


def _once(rows: Iterable[Derived]) -> list[Derived]:
    """Each variant once: goals share parents."""
    found: dict[str, Derived] = {}
    for row in rows:
        if row.variant.name not in found or found[row.variant.name].state == "cached":
            found[row.variant.name] = row
    return list(found.values())


def _show(rows: Sequence[Derived], form: str) -> None:
    table = [_row(row) for row in rows]
    if form in ("table", "md"):  # a path does not fit into a table
        emit(COLUMNS[:-1], [row[:-1] for row in table], form)
        for row in rows:
            if row.artefact is not None and row.artefact.made is not None:
                print(f"{row.variant.name}: {row.artefact.path}")
        return
    emit(COLUMNS, table, form)


def _row(row: Derived) -> tuple[Value, ...]:
    artefact = row.artefact
    made = None if artefact is None else artefact.made
    seconds = seconds_of(row)
    return (
        row.variant.name, row.variant.technique, row.state,
        None if seconds is None else round(seconds, 1), _mega(memory_of(row)),
        *_energy(made),
        None if artefact is None or not artefact.bytes else round(artefact.bytes / 1e6, 1),
        *_measured(made), *_learnt(made),
        None if artefact is None else str(artefact.path),
    )  # fmt: skip


def _energy(made: MadeRecord | None) -> tuple[Value, Value]:
    if made is None or made.energy is None:
        return None, None
    energy = made.energy
    if energy.provenance is Provenance.UNAVAILABLE:
        return None, energy.provenance.value
    return None if energy.joules is None else round(energy.joules, 1), energy.provenance.value


def _measured(made: MadeRecord | None) -> tuple[Value, Value]:
    if made is None or made.measured is None:
        return None, None
    return round(made.measured.bits_per_weight, 2), made.measured.kernel


def _learnt(made: MadeRecord | None) -> tuple[Value, Value, Value]:
    training = None if made is None else made.training
    if training is None:
        return None, None, None
    return training.tokens, _loss(training.validation_before), _loss(training.validation_after)


def _loss(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _failures(rows: Sequence[Derived]) -> int:
    """Say what failed; the exit code of the first."""
    failed = [row.error for row in rows if row.error is not None]
    for error in failed:
        print(f"slmbench: {error}", file=sys.stderr)
    return failed[0].exit_code if failed else 0


def _tell_budget(goal: Goal, rows: tuple[Derived, ...], verb: str) -> None:
    for over in over_budget(goal, rows):
        unit = _WORDS[over.what]
        _tell(
            f"over budget: {over.recipe} {verb} {over.taken:.4g} {unit}; "
            f"its recipe states {over.stated:.4g} {unit}"
        )


def _mega(size: int | None) -> int | None:
    return None if size is None else round(size / 1e6)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
