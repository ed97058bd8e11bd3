"""``slmbench doctor --gates``: may numbers of these variants be published?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from slmbench.cli.output import Value, emit
from slmbench.errors import GateError
from slmbench.gates.run import GateRun
from slmbench.spec.load import load_models
from slmbench.store.gates import GateNumber, GateRecord

COLUMNS = ("gate", "variant", "backend", "number", "value", "tolerance", "verdict", "about")


def execute(arguments: argparse.Namespace) -> int:
    """Run the gates, print a row per number; exit 4 when one failed."""
    models = load_models(arguments.models)
    run = GateRun(models, Path(arguments.results), say=_tell)
    records = list(run.records(tuple(arguments.variant)))
    emit(COLUMNS, [row for record in records for row in rows_of(record)], arguments.format)
    for record in records:
        if record.verdict == "failed":
            for line in record.details:
                _tell(f"{record.gate} {record.variant}: {line}")
    return _verdict(records)


def rows_of(record: GateRecord) -> list[tuple[Value, ...]]:
    """One row per number; a gate without numbers has one row with its reason."""
    about = record.reason
    head = (record.gate, record.variant, record.backend)
    if not record.numbers:
        return [(*head, None, None, None, record.verdict, about)]
    rows: list[tuple[Value, ...]] = []
    for index, number in enumerate(record.numbers):
        verdict = record.verdict if index == 0 else ("" if number.holds else "broken")
        shown = None if number.value is None else f"{number.value:.4g}"
        said = about if index == 0 else ""
        rows.append((*head, _name(number), shown, tolerance(number), verdict, said))
    return rows


def tolerance(number: GateNumber) -> str:
    """``≤ 0.01``, ``≥ 1000`` or ``reported``."""
    if number.at_most is not None:
        return f"≤ {number.at_most:g}"
    return f"≥ {number.at_least:g}" if number.at_least is not None else "reported"


def _name(number: GateNumber) -> str:
    return f"{number.name} [{number.unit}]" if number.unit else number.name


def _verdict(records: list[GateRecord]) -> int:
    bad = [r for r in records if r.verdict == "failed"]
    counts = {v: sum(r.verdict == v for r in records) for v in ("passed", "failed")}
    skipped = len(records) - sum(counts.values())
    _tell(f"{counts['passed']} passed, {counts['failed']} failed, {skipped} not applicable")
    if not bad:
        return 0
    which = ", ".join(f"{r.gate} {r.variant} ({r.backend})" for r in bad)
    error = GateError(
        f"gates failed: {which}",
        hint="numbers of these variants are not publishable until the cause is found",
    )
    print(f"slmbench: {error}", file=sys.stderr)
    return error.exit_code


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
