"""Write to a temporary folder, rename once: a folder with the final name is complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from slmbench.errors import DiskSpaceError
from slmbench.records import Environment, RunRecord, ScoreRow, SkipRecord
from slmbench.requests import ItemOutput, ItemSet
from slmbench.spec import RunSpec, Suite, digest_of
from slmbench.store import layout

_SKIPS = TypeAdapter(tuple[SkipRecord, ...])


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """Everything about one cell that is to be sealed."""

    spec: RunSpec
    environment: Environment
    record: RunRecord
    outputs: tuple[ItemOutput, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    scorer: str = ""


def seal(root: Path, run: FinishedRun) -> Path:
    """Write one run and give it its final name; returns that folder.

    Raises DiskSpaceError (nothing half-written stays behind) and FileExistsError when the
    run id is taken.
    """
    parent = layout.cell_folder(root, run.spec)
    final = parent / run.record.run_id
    if final.exists():
        raise FileExistsError(final)
    partial = parent / f"{layout.PARTIAL}{run.record.run_id}-{os.getpid()}"
    with _room_for(partial):
        partial.mkdir(parents=True)
        _write_model(partial / layout.SPEC, run.spec)
        _write_model(partial / layout.ENVIRONMENT, run.environment)
        if run.outputs:
            _write_lines(partial / layout.SAMPLES, run.outputs)
        if run.scores:
            (partial / layout.SCORES).mkdir()
            _write_lines(partial / layout.SCORES / f"{run.scorer}.jsonl", run.scores)
        _write_model(partial / layout.RECORD, run.record)
        _sync_folder(partial)
        partial.rename(final)
        _sync_folder(parent)
    return final


def save_items(root: Path, items: ItemSet) -> str:
    """Keep an item set under its digest (returned); writes nothing when it is there."""
    digest = digest_of(items)
    path = layout.items_file(root, digest)
    if not path.exists():
        replace_file(path, items.model_dump_json())
    return digest


def save_skips(root: Path, suite: str, skips: tuple[SkipRecord, ...]) -> None:
    """Replace what is known of the suite's left-out cells."""
    replace_file(layout.skips_file(root, suite), _SKIPS.dump_json(skips).decode())


def save_suite(root: Path, suite: Suite) -> None:
    """Replace what is known of the suite's declaration: margins and wording enter no digest."""
    replace_file(layout.suite_file(root, suite.name), suite.model_dump_json(indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Atomically give ``path`` this UTF-8 text."""
    partial = path.with_name(f"{layout.PARTIAL}{path.name}-{os.getpid()}")
    with _room_for(partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_text(partial, text)
        partial.replace(path)


def sweep(root: Path) -> int:
    """Remove half-written leftovers of a runner that was killed; returns how many."""
    found = [p for p in root.glob(f"*/*/{layout.PARTIAL}*") if not _writer_lives(p)]
    for place in (".*", f"*/*/*/{layout.SCORES}", f"*/*/{layout.PROCESSES}/*"):
        found += [p for p in root.glob(f"{place}/{layout.PARTIAL}*") if not _writer_lives(p)]
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(found)


def _writer_lives(path: Path) -> bool:
    pid = path.name.rpartition("-")[2]
    return pid.isdigit() and Path(f"/proc/{pid}").exists() and int(pid) != os.getpid()


@contextmanager
def _room_for(partial: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskSpaceError(
                f"no space left to write {partial.parent}",
                hint="free some space and run the same command again: finished cells are kept",
            ) from error
        raise


def _write_model(path: Path, model: BaseModel) -> None:
    _write_text(path, model.model_dump_json(indent=1) + "\n")


def as_lines(rows: Iterable[BaseModel]) -> str:
    """JSON lines, as samples and scores are kept."""
    return "".join(row.model_dump_json() + "\n" for row in rows)


def _write_lines(path: Path, rows: Iterable[BaseModel]) -> None:
    _write_text(path, as_lines(rows))


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
