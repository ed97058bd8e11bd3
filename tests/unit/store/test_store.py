"""Sealing and reading: whole runs only, damaged ones set aside, nothing lost."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from samples import cell, environment, finished_run, item_set, record
from slmbench.errors import DiskSpaceError, UsageError
from slmbench.records import SkipRecord, Status
from slmbench.requests import ItemOutput, LoglikelihoodOutput
from slmbench.store import (
    finished,
    only_campaign,
    read_cell,
    read_items,
    read_store,
    save_items,
    save_skips,
    seal,
    sweep,
)
from slmbench.store.layout import PARTIAL, cell_folder


def test_a_sealed_run_reads_back_equal(tmp_path: Path) -> None:
    run = finished_run(cell("hellaswag"))
    folder = seal(tmp_path, run)
    (stored,) = read_store(tmp_path).runs
    assert folder == cell_folder(tmp_path, run.spec) / run.record.run_id
    assert (stored.spec, stored.record, stored.environment) == (
        run.spec,
        run.record,
        run.environment,
    )
    assert tuple(stored.outputs()) == run.outputs
    assert tuple(stored.scores()) == run.scores
    assert not list(folder.parent.glob(f"{PARTIAL}*"))


def test_the_layout_is_suite_digest_run(tmp_path: Path) -> None:
    run = finished_run(cell("hellaswag"))
    folder = seal(tmp_path, run)
    assert folder.relative_to(tmp_path).parts == (
        "accuracy",
        run.spec.digest[:16],
        run.record.run_id,
    )
    assert {p.name for p in folder.iterdir()} == {
        "spec.json", "environment.json", "record.json", "samples.jsonl", "scores",
    }  # fmt: skip


def test_a_run_id_is_sealed_once(tmp_path: Path) -> None:
    run = finished_run(cell("hellaswag"))
    seal(tmp_path, run)
    with pytest.raises(FileExistsError):
        seal(tmp_path, run)


@pytest.mark.parametrize("name", ["spec.json", "environment.json", "record.json"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "gone", "newer", "list"])
def test_damage_is_quarantined_and_the_others_load(tmp_path: Path, name: str, damage: str) -> None:
    good = seal(tmp_path, finished_run(cell("piqa")))
    bad = seal(tmp_path, finished_run(cell("hellaswag")))
    path = bad / name
    text = path.read_text()
    if damage == "gone":
        path.unlink()
    elif damage == "newer":
        path.write_text(json.dumps({"schema_version": 99}))
    else:
        path.write_text(
            {"truncated": text[: len(text) // 2], "garbage": "\x00?", "list": "[]"}[damage]
        )
    contents = read_store(tmp_path)
    assert [r.folder for r in contents.runs] == [good]
    (quarantined,) = contents.quarantined
    assert quarantined.folder == bad
    assert quarantined.reason


def test_a_record_of_another_spec_is_quarantined(tmp_path: Path) -> None:
    left = seal(tmp_path, finished_run(cell("hellaswag")))
    right = seal(tmp_path, finished_run(cell("piqa")))
    (left / "record.json").write_text((right / "record.json").read_text())
    (quarantined,) = read_store(tmp_path).quarantined
    assert "another spec" in quarantined.reason


def test_finished_prefers_the_newest_ok_run_of_this_machine(tmp_path: Path) -> None:
    spec = cell("hellaswag")
    for run_id, status, machine in [
        ("1-m", Status.OK, "m"),
        ("2-m", Status.OK, "m"),
        ("3-m", Status.TIMEOUT, "m"),
        ("4-n", Status.OK, "n"),
    ]:
        seal(
            tmp_path,
            finished_run(spec, record(spec, run_id=run_id, status=status, machine=machine)),
        )
    assert len(read_cell(tmp_path, spec)) == 4
    found = finished(tmp_path, spec, "m")
    assert found is not None
    assert found.record.run_id == "2-m"
    assert finished(tmp_path, spec, "elsewhere") is None
    assert finished(tmp_path, cell("piqa"), "m") is None


def test_finished_gives_the_newest_failure_when_nothing_is_ok(tmp_path: Path) -> None:
    spec = cell("hellaswag")
    for run_id, status in [("1-m", Status.CRASHED), ("2-m", Status.TIMEOUT)]:
        seal(tmp_path, finished_run(spec, record(spec, run_id=run_id, status=status)))
    found = finished(tmp_path, spec, "m")
    assert found is not None
    assert found.record.status is Status.TIMEOUT


def test_sweep_removes_leftovers_of_dead_writers_only(tmp_path: Path) -> None:
    seal(tmp_path, finished_run(cell("hellaswag")))
    cell_dir = cell_folder(tmp_path, cell("hellaswag"))
    dead = cell_dir / f"{PARTIAL}x-999999999"
    alive = cell_dir / f"{PARTIAL}x-1"
    dead.mkdir()
    alive.mkdir()
    assert sweep(tmp_path) == 1
    assert not dead.exists()
    assert alive.exists()
    assert len(read_store(tmp_path).runs) == 1


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = seal(tmp_path, finished_run(cell("piqa")))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskSpaceError, match="no space left"):
        seal(tmp_path, finished_run(cell("hellaswag")))
    assert [r.folder for r in read_store(tmp_path).runs] == [kept]
    assert not list(tmp_path.glob(f"*/*/{PARTIAL}*"))


def test_other_trouble_with_the_disk_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        save_items(tmp_path, item_set())


def test_item_sets_are_shared_by_digest(tmp_path: Path) -> None:
    first = save_items(tmp_path, item_set())
    assert save_items(tmp_path, item_set()) == first
    assert read_items(tmp_path, first) == item_set()


def test_skips_are_replaced_and_a_damaged_file_is_no_skip(tmp_path: Path) -> None:
    one = SkipRecord(suite="bias", variant="v", target="t", work="w", reason="why")
    save_skips(tmp_path, "bias", (one,))
    save_skips(tmp_path, "bias", (one.model_copy(update={"variant": "other"}),))
    assert [s.variant for s in read_store(tmp_path).skips] == ["other"]
    (tmp_path / ".skips" / "bias.json").write_text("nonsense")
    assert read_store(tmp_path).skips == ()


def test_an_empty_folder_is_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "accuracy" / "digest").mkdir(parents=True)
    (tmp_path / "accuracy" / "digest" / "notes.txt").write_text("mine")
    contents = read_store(tmp_path)
    assert (contents.runs, contents.quarantined, contents.skips) == ((), (), ())


def test_outputs_of_a_failed_cell_are_kept(tmp_path: Path) -> None:
    spec = cell("hellaswag")
    output = ItemOutput(
        item_id="a",
        outputs=(LoglikelihoodOutput(logprob=-1.5, tokens=2, context_tokens=3),),
    )
    failed = record(spec, status=Status.CRASHED)
    seal(tmp_path, finished_run(spec, failed, outputs=(output,), scores=()))
    (stored,) = read_store(tmp_path).runs
    assert tuple(stored.outputs()) == (output,)
    assert tuple(stored.scores()) == ()
    assert stored.environment == environment()


def test_only_one_campaign_writes_into_a_folder(tmp_path: Path) -> None:
    with only_campaign(tmp_path / "r"):
        with (
            pytest.raises(UsageError, match=f"process {os.getpid()}"),
            only_campaign(tmp_path / "r"),
        ):
            pytest.fail("the second got in")
        with only_campaign(tmp_path / "other"):
            assert (tmp_path / "other").is_dir()
    with only_campaign(tmp_path / "r"):
        assert read_store(tmp_path / "r").runs == ()


def test_a_results_folder_that_is_a_file_is_a_wrong_argument(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="not a folder"), only_campaign(root):
            pytest.fail("it got in")


GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("version", sorted(p.name for p in GOLDEN.iterdir()))
def test_records_of_every_format_version_stay_readable(version: str) -> None:
    contents = read_store(GOLDEN / version / "results")
    assert contents.quarantined == ()
    (run,) = contents.runs
    assert run.record.status is Status.OK
    assert [row.value for row in run.scores()] == [1.0]
    assert [o.item_id for o in run.outputs()] == ["a"]


def test_the_digest_of_a_spec_is_pinned() -> None:
    """It is the key of every result there is: a change of form orphans them all."""
    (folder,) = (GOLDEN / "v1" / "results" / "accuracy").iterdir()
    assert folder.name == cell("hellaswag").key
