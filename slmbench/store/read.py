"""Read a results folder: whole runs as they are, damaged ones named and set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from slmbench.records import Environment, RunRecord, ScoreRow, SkipRecord, Status
from slmbench.requests import ItemOutput, ItemSet
from slmbench.spec import RunSpec, Suite
from slmbench.store import layout
from slmbench.store.migrations import upgraded
from slmbench.store.processes import damaged_processes
from slmbench.store.variants import VariantRecord, read_variants

_SKIPS = TypeAdapter(tuple[SkipRecord, ...])


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One sealed run."""

    folder: Path
    spec: RunSpec
    environment: Environment
    record: RunRecord

    def scores(self) -> Iterator[ScoreRow]:
        """Judged facts per item; empty for workloads and failed cells."""
        for path in sorted((self.folder / layout.SCORES).glob("*.jsonl")):
            with path.open(encoding="utf-8") as lines:
                yield from map(ScoreRow.model_validate_json, lines)

    def straddles(self) -> int | None:
        """Answers in which a token crossed from context to continuation; None without answers.

        Counted in the text: a quotation mark inside a generated answer is escaped, so nothing
        else can look like the flag.
        """
        path = self.folder / layout.SAMPLES
        return path.read_bytes().count(b'"straddle":true') if path.exists() else None

    def outputs(self) -> Iterator[ItemOutput]:
        """What the model answered per item."""
        path = self.folder / layout.SAMPLES
        if path.exists():
            with path.open(encoding="utf-8") as lines:
                yield from map(ItemOutput.model_validate_json, lines)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A folder that could not be read, and why. It is reported and never counted."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True)
class StoreContents:
    """All that a results folder holds."""

    runs: tuple[StoredRun, ...]
    """Sorted by suite, digest and run id (which begins with the time)."""
    quarantined: tuple[Quarantined, ...]
    skips: tuple[SkipRecord, ...]
    suites: tuple[Suite, ...] = ()
    """As they were when they were last run into this folder."""
    variants: tuple[VariantRecord, ...] = ()
    """How the variants of the runs, and their ancestors, were made."""


def read_store(root: Path) -> StoreContents:
    """Everything under ``root``; a missing folder is an empty store."""
    runs: list[StoredRun] = []
    bad: list[Quarantined] = []
    for folder in sorted(root.glob("[!.]*/*/[!.]*")):
        if not folder.is_dir():
            continue
        found = _read_run(folder)
        if isinstance(found, StoredRun):
            runs.append(found)
        else:
            bad.append(found)
    bad += [Quarantined(path, why) for path, why in damaged_processes(root)]
    skips = tuple(s for path in sorted((root / layout.SKIPS).glob("*.json")) for s in _skips(path))
    return StoreContents(tuple(runs), tuple(bad), skips, read_suites(root), read_variants(root))


def read_cell(root: Path, spec: RunSpec) -> tuple[StoredRun, ...]:
    """The readable runs of one cell, oldest first."""
    folders = sorted(layout.cell_folder(root, spec).glob("[!.]*"))
    found = (_read_run(folder) for folder in folders)
    return tuple(run for run in found if isinstance(run, StoredRun))


def finished(root: Path, spec: RunSpec, machine: str) -> StoredRun | None:
    """The newest run of this cell on this machine that ended ok, else its newest run, else None."""
    runs = [r for r in read_cell(root, spec) if r.record.machine == machine]
    ok = [r for r in runs if r.record.status is Status.OK]
    newest = ok or runs
    return newest[-1] if newest else None


def read_items(root: Path, digest: str) -> ItemSet:
    """The item set with that digest (FileNotFoundError if it is gone)."""
    return ItemSet.model_validate_json(layout.items_file(root, digest).read_text("utf-8"))


def read_suites(root: Path) -> tuple[Suite, ...]:
    """The suites that were run into this folder, by name; those of another version are left out."""
    found = (_suite(path) for path in sorted((root / layout.SUITES).glob("*.json")))
    return tuple(suite for suite in found if suite is not None)


def _read_run(folder: Path) -> StoredRun | Quarantined:
    try:
        spec = RunSpec.model_validate_json(_text(folder / layout.SPEC))
        environment = Environment.model_validate_json(_text(folder / layout.ENVIRONMENT))
        record = RunRecord.model_validate_json(_text(folder / layout.RECORD))
    except FileNotFoundError as error:
        return Quarantined(folder, f"{Path(error.filename).name} is missing")
    except (ValidationError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()
        return Quarantined(folder, "; ".join(line.strip() for line in first[:3]))
    if record.digest != spec.digest:
        return Quarantined(folder, f"{layout.RECORD} belongs to another spec (digest differs)")
    return StoredRun(folder, spec, environment, record)


def _text(path: Path) -> str:
    return upgraded(path.read_text("utf-8"))


def _suite(path: Path) -> Suite | None:
    try:
        return Suite.model_validate_json(path.read_text("utf-8"))
    except ValueError:
        return None


def _skips(path: Path) -> tuple[SkipRecord, ...]:
    try:
        return _SKIPS.validate_json(path.read_text("utf-8"))
    except ValueError:
        return ()
