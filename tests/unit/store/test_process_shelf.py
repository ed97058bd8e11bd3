"""Finished processes on disk: found again, by machine, never taken for runs, swept."""

from __future__ import annotations

from pathlib import Path

import builders as b
from round_players import timed_cell, timed_phase
from slmbench.records import ObserverCost, ProcessRecord
from slmbench.spec import RunSpec
from slmbench.store import ProcessShelf, read_store, sweep
from slmbench.store.layout import PARTIAL, PROCESSES, cell_folder


def record(spec: RunSpec, process: int) -> ProcessRecord:
    return ProcessRecord(
        digest=spec.digest,
        process=process,
        started_utc="2030-01-01T00:00:00",
        seconds=1.0,
        environment=b.environment(),
        model=b.model(),
        phases=(timed_phase(0.1 + process),),
        observer=ObserverCost(supervisor_cpu_s=0, supervisor_rss_bytes=1, wall_s=1, meters_s=0),
    )


def test_processes_come_back_equal_and_in_order(tmp_path: Path) -> None:
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    for process in (10, 2, 0):
        shelf.keep(spec, record(spec, process))
    assert shelf.kept(spec) == tuple(record(spec, p) for p in (0, 2, 10))
    assert shelf.kept(timed_cell("b")) == ()


def test_no_reader_takes_them_for_runs_and_sweeping_leaves_them(tmp_path: Path) -> None:
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    shelf.keep(spec, record(spec, 0))
    contents = read_store(tmp_path)
    assert (contents.runs, contents.quarantined) == ((), ())
    assert sweep(tmp_path) == 0
    assert len(shelf.kept(spec)) == 1


def test_another_machine_has_its_own(tmp_path: Path) -> None:
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    other = ProcessShelf(tmp_path, "f" * 16)
    shelf.keep(spec, record(spec, 0))
    assert other.kept(spec) == ()
    other.discard(spec)
    assert len(shelf.kept(spec)) == 1
    shelf.discard(spec)
    assert shelf.kept(spec) == ()
    assert not (cell_folder(tmp_path, spec) / PROCESSES).exists()
    shelf.discard(spec)  # nothing there: nothing happens


def test_a_damaged_file_is_named_and_never_counted(tmp_path: Path) -> None:
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    shelf.keep(spec, record(spec, 0))
    shelf.keep(spec, record(spec, 1))
    folder = cell_folder(tmp_path, spec) / PROCESSES / b.MACHINE
    first = min(folder.iterdir())
    first.write_text(first.read_text()[:100])
    assert [r.process for r in shelf.kept(spec)] == [1]
    (bad,) = read_store(tmp_path).quarantined
    assert bad.folder == first
    assert bad.reason


def test_processes_of_another_cell_are_not_taken(tmp_path: Path) -> None:
    """Folders are named by the first digits of a digest: the file holds all of them."""
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    shelf.keep(spec, record(timed_cell("b"), 0))
    assert shelf.kept(spec) == ()


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    spec, shelf = timed_cell("a"), ProcessShelf(tmp_path, b.MACHINE)
    shelf.keep(spec, record(spec, 0))
    folder = cell_folder(tmp_path, spec) / PROCESSES / b.MACHINE
    (folder / f"{PARTIAL}00001.json-999999999").write_text("{")
    assert len(shelf.kept(spec)) == 1
    assert sweep(tmp_path) == 1
    assert len(shelf.kept(spec)) == 1
