"""``slmbench doctor --noise``: what this machine shows where there is nothing to find."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from slmbench.analysis.noise import NoiseRow, noise_rows
from slmbench.cli.output import Value, emit
from slmbench.errors import UsageError
from slmbench.noise import Effort, Subject, measure_noise
from slmbench.spec.load import load_models
from slmbench.store.noise import NoiseRecord

COLUMNS = ("metric", "point", "target", "variant", "rounds", "round to round", "floor, 1 process",
           "floor, 5 rounds", "floor, 15 rounds", "p of no bias")  # fmt: skip
_BIASED = 0.01
_MANY = 0.2


def execute(arguments: argparse.Namespace) -> int:
    """Run the A/A experiment and print the floor of each metric; exit 0."""
    if len(arguments.variant) > 1:
        raise UsageError("--noise takes one variant", hint="it is compared with itself")
    if arguments.minutes <= 0:
        raise UsageError("--minutes must be positive", hint="six rounds are run in any case")
    subject = Subject(
        load_models(arguments.models),
        arguments.variant[0] if arguments.variant else None,
        arguments.target,
    )
    results = Path(arguments.results)
    record = measure_noise(
        subject,
        results if results.is_dir() else None,
        effort=Effort(minutes=arguments.minutes),
        say=_tell,
    )
    rows = noise_rows([record])
    emit(COLUMNS, [_row(row) for row in rows], arguments.format)
    for line in remarks(record, rows):
        _tell(line)
    return 0


def _row(row: NoiseRow) -> tuple[Value, ...]:
    record = row.record
    floors = [_per_cent(row.floor(rounds)) for rounds in (1, 5, 15)]
    p = None if row.bias_p is None else f"{row.bias_p:.2g}"
    return (row.ratios.metric, row.ratios.point, record.target, record.variant,
            len(row.ratios.logs), _per_cent(row.spread), *floors, p)  # fmt: skip


def remarks(record: NoiseRecord, rows: tuple[NoiseRow, ...]) -> list[str]:
    """What to know about the experiment before its floor is believed."""
    told = ["a difference inside the floor is not resolved on this machine with this target"]
    if record.disturbed > _MANY * record.processes:
        told.append(
            f"other work was seen in {record.disturbed} of {record.processes} processes: this is "
            "the floor of a busy machine; run again when it is idle"
        )
    for row in rows:
        if row.bias_p is not None and row.bias_p < _BIASED:
            told.append(
                f"{row.ratios.metric}: the second of two equal names differs in one direction "
                f"(p {row.bias_p:.1g}); the floor counts that, yet find the cause"
            )
    return told


def _per_cent(log_ratio: float) -> str:
    return f"{100 * math.expm1(log_ratio):.2f} %"


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
