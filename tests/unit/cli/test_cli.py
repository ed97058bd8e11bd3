"""The command line: exit codes, stdout for data and stderr for talk, and light imports."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakeworld import World
from slmbench.cli import listing
from slmbench.cli.main import build_parser, main
from slmbench.records import Status
from slmbench.store import read_store

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def run(world: World, *extra: str, models: Path | None = None) -> int:
    request = world.request(models=models)
    return main(
        [
            "run",
            *request.suites,
            "--models",
            request.models,
            "--results",
            str(world.results),
            *extra,
        ]
    )


def test_a_wall_meter_that_cannot_be_read_is_said_before_the_run(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLMBENCH_WALL_METER", f"csv:{world.cache}/no.csv")
    assert run(world) == 0
    told = capsys.readouterr().err
    assert "warning: SLMBENCH_WALL_METER is set, and the meter cannot be read" in told
    assert "no.csv" in told
    monkeypatch.delenv("SLMBENCH_WALL_METER")
    assert run(world, "--force") == 0
    assert "warning" not in capsys.readouterr().err


def test_a_run_ends_0_and_a_second_says_that_all_is_done(world: World, capsys: Capture) -> None:
    assert run(world) == 0
    assert "4 cells: 0 done before, 4 to run" in capsys.readouterr().err
    assert run(world) == 0
    told = capsys.readouterr()
    assert "4 cells: 4 done before, 0 to run" in told.err
    assert told.out == ""


def test_failed_cells_exit_3_and_are_named(world: World, capsys: Capture) -> None:
    assert run(world, models=world.faulty("sigill")) == 3
    told = capsys.readouterr().err
    assert "SIGILL" in told
    assert "--retry-failed" in told
    assert [r.record.status for r in read_store(world.results).runs].count(Status.OK) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "acuracy"], 2, "did you mean accuracy"),
        (["run", "accuracy", "--models", "dmo"], 2, "did you mean demo"),
        (["run", "accuracy", "--variant", "smollm2-q8"], 2, "did you mean smollm2-q8_0"),
        (["run", "accuracy", "--set", "sizes.demo.itms=3"], 2, "items"),
        (["run", "accuracy", "--set", "sizes.demo.items"], 2, "="),
        (["run", "nowhere/suite.yaml"], 2, "no such file"),
        (["report", "--results", "no/such/folder"], 2, "no results folder"),
        (["show", "--results", "no/such/folder"], 2, "no results folder"),
        (["compare", "--results", "no/such/folder"], 2, "no results folder"),
        (["data", "where", "hellaswagg"], 2, "did you mean hellaswag"),
    ],
)
def test_bad_input_names_cause_and_fix(
    arguments: list[str], code: int, words: str, capsys: Capture
) -> None:
    assert main(arguments) == code
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_wrong_flag_exits_2() -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["run", "accuracy", "--nope"])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.EACCES, 2, "slmbench: there/x: Permission denied"),
        (errno.EROFS, 2, "give another path"),
        (errno.ENOSPC, 5, "free some space"),
    ],
)
def test_a_path_that_is_closed_is_no_internal_error(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, number: int, code: int, words: str
) -> None:
    def refuse(_: object) -> int:
        raise OSError(number, os.strerror(number), "there/x")

    monkeypatch.setattr(listing, "execute", refuse)
    assert main(["list", "suites"]) == code
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


@pytest.mark.parametrize("error", [OSError(errno.EIO, "bad", "there/x"), RuntimeError("a bug")])
def test_what_nobody_foresaw_is_shown_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, error: Exception
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(listing, "execute", fail)
    assert main(["list", "suites"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "internal error" in told


def test_plan_shows_cells_states_and_skips(world: World, capsys: Capture) -> None:
    run(world)
    capsys.readouterr()
    request = world.request(models=world.with_gguf())
    where = ["--models", request.models, "--results", str(world.results)]
    assert main(["plan", *request.suites, *where, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["state"] for r in rows].count("ok") == 4
    skips = [r for r in rows if r["state"] == "skip"]
    assert {r["variant"] for r in skips} == {"file"}
    assert all("gguf" in r["reason"] for r in skips)
    assert all(r["seconds"] is not None for r in rows if r["state"] == "ok")
    assert {r["basis"] for r in rows if r["state"] == "ok"} == {"same cell"}
    assert main(["plan", *request.suites, *where]) == 0
    table = capsys.readouterr().out.splitlines()
    lines = [line for line in table if line.startswith("skip")]
    assert len(lines) == len({(r["target"], r["reason"]) for r in skips})  # one for all cells
    assert len(lines) < len(skips)


@pytest.mark.parametrize("what", ["suites", "models", "backends", "metrics", "meters", "tasks"])
def test_everything_can_be_listed_in_every_form(what: str, capsys: Capture) -> None:
    assert main(["list", what, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert main(["list", what, "--format", "csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [r[next(iter(r))] for r in table] == [str(r[next(iter(r))]) for r in rows]
    assert main(["list", what, "--format", "md"]) == 0
    assert capsys.readouterr().out.startswith("|")


def test_a_list_can_be_filtered(capsys: Capture) -> None:
    assert main(["list", "metrics", "pss", "--format", "json"]) == 0
    assert {r["metric"] for r in json.loads(capsys.readouterr().out)} == {"pss_anon", "pss_file"}


def test_show_gives_numbers_with_provenance(world: World, capsys: Capture) -> None:
    run(world)
    capsys.readouterr()
    assert main(["show", "base", "--results", str(world.results), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["variant"] for r in rows} == {"base"}
    assert all(r["provenance"] for r in rows)
    assert any(r["metric"] == "ttft" and r["unit"] == "s" for r in rows)
    assert main(["show", "bse", "--results", str(world.results)]) == 2
    assert "did you mean base" in capsys.readouterr().err


def test_compare_pairs_each_variant_with_its_parent(world: World, capsys: Capture) -> None:
    run(world)
    capsys.readouterr()
    assert main(["compare", "--results", str(world.results), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["differences"]
    assert {(r["variant"], r["parent"]) for r in rows} == {("small", "base")}
    assert all(r["verdict"] for r in rows)
    declared = [s.name for s in read_store(world.results).suites]
    assert declared == ["perf", "quality"], "margins are read from the suites as they were run"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from slmbench.cli.main import build_parser; build_parser().format_help();"
        "print([m for m in ('pydantic','pandas','torch','yaml','plotly') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_reading_and_listing_import_no_engine(world: World) -> None:
    run(world)
    script = (
        "import sys; from slmbench.cli.main import main;"
        "codes = [main(a) for a in (['list', 'tasks'], ['list', 'backends'], ['list', 'models'],"
        f" ['report', '--results', {str(world.results)!r}, '--out', {str(world.results)!r}])];"
        "heavy = ('torch', 'transformers', 'lm_eval', 'llama_cpp', 'datasets', 'torchao');"
        "print(codes, [m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stderr.strip().splitlines()[-1] == "[0, 0, 0, 0] []"
