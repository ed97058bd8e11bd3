"""What a machine shows between a variant and itself: raw ratios, per machine and target.

Kept in the cache, because it is a fact about the machine, and copied to ``<results>/.noise``, so
that a results folder tells it wherever it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.locations import cache_dir
from slmbench.spec import Target
from slmbench.spec.base import Frozen
from slmbench.store.write import replace_file

NOISE = ".noise"
"""Folder below the results folder."""


class NoiseRatios(Frozen):
    """One metric at one point, the same variant twice under two names."""

    metric: str
    point: str
    logs: tuple[float, ...]
    """log(second / first) of the process medians of each round."""


class NoiseRecord(Frozen):
    """An A/A experiment: one variant against itself in rounds of fresh processes."""

    schema_version: Literal[1] = 1
    machine: str
    target: str
    """Name, for people."""
    backend: str
    device: str
    threads: int
    variant: str
    repeats: int
    """Timed repetitions in each process."""
    ratios: tuple[NoiseRatios, ...]
    processes: int
    """Processes that were run."""
    disturbed: int
    """Those of them in which a meter saw other work."""
    libraries: tuple[str, ...] = ()
    slmbench_version: str = ""
    measured_utc: str = ""

    def of(self, target: Target, machine: str) -> bool:
        """Whether it speaks about this target on this machine."""
        mine = (self.machine, self.backend, self.device, self.threads)
        return mine == (machine, target.backend, target.device, target.threads)


def save_noise(folder: Path, record: NoiseRecord) -> Path:
    """Write the record in place of the last one of its machine and kind of target, atomically."""
    device = record.device.replace(":", "")
    path = folder / f"{record.machine}-{record.backend}-{device}-t{record.threads}.json"
    replace_file(path, record.model_dump_json(indent=1) + "\n")
    return path


def read_noise(results: Path) -> tuple[NoiseRecord, ...]:
    """All records of a results folder; damaged ones are left out: no floor is claimed by them."""
    return _read(results / NOISE)


def adopt_noise(results: Path, machine: str) -> tuple[NoiseRecord, ...]:
    """Copy what the cache knows of this machine into a results folder, and return it."""
    found = tuple(r for r in _read(cache_dir("noise")) if r.machine == machine)
    for record in found:
        save_noise(results / NOISE, record)
    return found


def keep_noise(record: NoiseRecord, results: Path | None = None) -> None:
    """Keep a new record in the cache, and in a results folder if one is given."""
    save_noise(cache_dir("noise"), record)
    if results is not None:
        save_noise(results / NOISE, record)


def _read(folder: Path) -> tuple[NoiseRecord, ...]:
    found = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            found.append(NoiseRecord.model_validate_json(path.read_text("utf-8")))
        except (OSError, ValidationError, ValueError):
            continue
    return tuple(found)
