"""Finished processes of cells that need more of them: a file each, gone when the cell is sealed.

They lie below the cell's folder, hidden, so that no reader takes them for runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slmbench.records import ProcessRecord
from slmbench.spec import RunSpec
from slmbench.store import layout
from slmbench.store.write import replace_file


@dataclass(frozen=True, slots=True)
class ProcessShelf:
    """What one machine has finished of the cells of a results folder."""

    root: Path
    machine: str

    def kept(self, spec: RunSpec) -> tuple[ProcessRecord, ...]:
        """Readable processes of one cell, by number; a damaged file is as good as none."""
        found = (_read(path) for path in sorted(self._folder(spec).glob("[!.]*.json")))
        return tuple(r for r in found if isinstance(r, ProcessRecord) and r.digest == spec.digest)

    def keep(self, spec: RunSpec, record: ProcessRecord) -> None:
        """Write one atomically, in place of another of the same number; DiskSpaceError if full."""
        path = self._folder(spec) / f"{record.process:05d}.json"
        replace_file(path, record.model_dump_json() + "\n")

    def discard(self, spec: RunSpec) -> None:
        """Remove all of one cell; nothing happens where there is none."""
        shutil.rmtree(self._folder(spec), ignore_errors=True)
        with suppress(OSError):  # another machine's lie there too, or nothing does
            layout.processes_folder(self.root, spec).rmdir()

    def _folder(self, spec: RunSpec) -> Path:
        return layout.processes_folder(self.root, spec) / self.machine


def damaged_processes(root: Path) -> Iterator[tuple[Path, str]]:
    """Files of kept processes that cannot be read, and why; they will be run again."""
    for path in sorted(root.glob(f"[!.]*/*/{layout.PROCESSES}/*/[!.]*.json")):
        found = _read(path)
        if isinstance(found, str):
            yield path, found


def _read(path: Path) -> ProcessRecord | str:
    """The record, or why there is none."""
    try:
        return ProcessRecord.model_validate_json(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        return "; ".join(line.strip() for line in str(error).strip().splitlines()[:3])
