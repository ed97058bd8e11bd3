"""Gate results on disk: ``<root>/.gates/<subject[:16]>/<gate>-<backend>.json``, the newest only.

A gate is about an artefact, not about a run: what it found holds for every number that the
variant's runs gave on that backend. The file says when, where and with which versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.spec.base import Frozen
from slmbench.store.write import replace_file

GATES = ".gates"
"""Folder below the results folder."""
TASKS = "tasks"
"""Subject of gates that are about tasks and their scorers, not about a variant."""

FLOOR_MAX, FLOOR_MEAN, FLOOR_FLIPS = "max |Δ|", "mean |Δ|", "flip rate"
"""Numbers of G3 that comparisons read as the noise floor [nats per choice, nats, share]."""

Verdict = Literal["passed", "failed", "not applicable"]


class GateNumber(Frozen):
    """One number that a gate looked at, and where it must lie."""

    name: str
    value: float | None
    """Null where it could not be had; the gate's reason says why."""
    unit: str = ""
    at_most: float | None = None
    """Tolerance; null with ``at_least``: reported only."""
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it lies within its tolerance; a number that is missing does not."""
        if self.at_most is None and self.at_least is None:
            return True
        if self.value is None:
            return False
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)


class GateRecord(Frozen):
    """What one gate found about one variant on one backend."""

    schema_version: Literal[1] = 1
    gate: str
    """``G1`` … ``G4``."""
    title: str
    subject: str
    """Digest of the variant, or ``tasks``."""
    variant: str
    """Name, for people."""
    backend: str
    verdict: Verdict
    reason: str = ""
    """Why it failed or does not apply; what it was compared with."""
    numbers: tuple[GateNumber, ...] = ()
    details: tuple[str, ...] = ()
    """The first differences, for people."""
    artefact_sha256: str = ""
    """Content digest of the file or folder that was judged."""
    machine: str = ""
    libraries: tuple[str, ...] = ()
    """``name==version`` of what can change a number."""
    slmbench_version: str = ""
    measured_utc: str = ""

    def number(self, name: str) -> float | None:
        """The value of that name, None where there is none."""
        return next((n.value for n in self.numbers if n.name == name), None)


def gate_file(root: Path, record: GateRecord) -> Path:
    """Where the record lies."""
    return root / GATES / record.subject[:16] / f"{record.gate}-{record.backend}.json"


def save_gate(root: Path, record: GateRecord) -> Path:
    """Write the record in place of the last one of its kind, atomically."""
    path = gate_file(root, record)
    replace_file(path, record.model_dump_json(indent=1) + "\n")
    return path


def read_gates(root: Path) -> tuple[GateRecord, ...]:
    """All records of a results folder, sorted by place; damaged and half-written ones are left out.

    A record that cannot be read counts as a gate that was not run: nothing is passed by it.
    """
    found = []
    for path in sorted((root / GATES).glob("*/[!.]*.json")):
        try:
            found.append(GateRecord.model_validate_json(path.read_text("utf-8")))
        except (OSError, ValidationError, ValueError):
            continue
    return tuple(found)


__all__ = [
    "FLOOR_FLIPS", "FLOOR_MAX", "FLOOR_MEAN", "GATES", "TASKS", "GateNumber", "GateRecord",
    "Verdict", "gate_file", "read_gates", "save_gate",
]  # fmt: skip
