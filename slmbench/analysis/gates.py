"""What the gates found, as a table and as one word a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from slmbench.store.gates import (
    FLOOR_FLIPS,
    FLOOR_MAX,
    FLOOR_MEAN,
    TASKS,
    GateNumber,
    GateRecord,
    read_gates,
)

COLUMNS = (
    "gate", "title", "variant", "variant_digest", "backend", "verdict", "reason", "number",
    "value", "unit", "at_most", "at_least", "holds", "artefact_sha256", "machine", "measured_utc",
)  # fmt: skip
"""``number`` … ``holds`` are null for a gate that has no number (not applicable)."""
_MARKS = {"passed": "✓", "failed": "✗", "not applicable": "–"}


def gate_frame(root: Path) -> pd.DataFrame:
    """One row per gate and number; an empty table where no gate was run."""
    rows = [
        _row(record, number)
        for record in read_gates(root)
        for number in (record.numbers or (None,))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(record: GateRecord, number: GateNumber | None) -> tuple[object, ...]:
    numbers: tuple[object, ...] = (None,) * 6
    if number is not None:
        numbers = (
            number.name, number.value, number.unit, number.at_most, number.at_least, number.holds,
        )  # fmt: skip
    return (
        record.gate, record.title, record.variant, record.subject, record.backend, record.verdict,
        record.reason, *numbers, record.artefact_sha256, record.machine, record.measured_utc,
    )  # fmt: skip


def gates_passed(records: Sequence[GateRecord], digest: str, backend: str) -> str:
    """``G1 ✓ G2 – G3 ✗``: the gates of a variant on a backend, those of the tasks last.

    Empty when none was run for it: nothing was checked, nothing is claimed. A dash is a gate
    that does not apply.
    """
    mine = [r for r in records if r.subject == digest and r.backend == backend]
    if not mine:
        return ""
    tasks = [r for r in records if r.subject == TASKS]
    found = sorted((*mine, *tasks), key=lambda record: record.gate)
    return " ".join(f"{record.gate} {_MARKS[record.verdict]}" for record in found)


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """How much one variant on one backend differs from itself (G3)."""

    max_delta: float
    """Largest |Δ| of a choice's summed log-likelihood [nats]."""
    mean_delta: float
    """Mean |Δ| [nats]."""
    flip_rate: float
    """Share of items that were answered differently."""
    items: int
    """How many items that share is of."""


def noise_floor(records: Sequence[GateRecord], digest: str, backend: str) -> NoiseFloor | None:
    """The A/A floor of a variant on a backend; None where it was not measured."""
    for record in records:
        if (record.gate, record.subject, record.backend) == ("G3", digest, backend):
            largest, mean = record.number(FLOOR_MAX), record.number(FLOOR_MEAN)
            flips, items = record.number(FLOOR_FLIPS), record.number("items")
            if largest is None or mean is None or flips is None or not items:
                return None
            return NoiseFloor(largest, mean, flips, int(items))
    return None
