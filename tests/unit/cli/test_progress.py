"""Progress without a terminal: a line per cell, with counts, ETA and the reason of a failure."""

from __future__ import annotations

import io

import pytest

from round_players import timed_cell
from samples import cell
from slmbench.cli.progress import Progress
from slmbench.records import Status


def test_plain_lines_tell_count_left_and_reason() -> None:
    out = io.StringIO()
    first, second = cell("piqa"), cell("hellaswag")
    with Progress({first.digest: 10.0, second.digest: 30.0}, out) as progress:
        progress.stage("deriving something")
        for spec, status, reason in (
            (first, Status.OK, ""),
            (second, Status.CRASHED, "died of SIGILL"),
        ):
            progress.cell_started(spec, 2)
            progress.step()
            progress.step()
            progress.cell_finished(spec, status, reason, 1.5)
    lines = out.getvalue().splitlines()
    assert lines[0] == "deriving something"
    assert lines[1].startswith("[1/2] accuracy/piqa · base · fake-cpu  1.5 s, about ")
    assert "CRASHED" not in lines[1]
    assert lines[2].startswith("[2/2] accuracy/hellaswag")
    assert lines[2].endswith("CRASHED: died of SIGILL")
    assert "\r" not in out.getvalue()


def test_more_steps_than_announced_do_no_harm() -> None:
    out = io.StringIO()
    spec = cell("piqa")
    with Progress({spec.digest: 1.0}, out) as progress:
        progress.cell_started(spec, 1)
        for _ in range(5):
            progress.step()
        progress.cell_finished(spec, Status.OK, "", 1.0)
    assert out.getvalue().count("\n") == 1


def test_a_cell_that_stopped_early_says_after_how_many() -> None:
    out = io.StringIO()
    spec = cell("piqa")
    with Progress({spec.digest: 1.0}, out) as progress:
        progress.cell_started(spec, 400)
        progress.cell_finished(spec, Status.OK, "stopped after 150 of 400: ±1.9 pt", 1.0)
    assert out.getvalue().rstrip().endswith("s, about 0:00 left  stopped after 150 of 400: ±1.9 pt")


def test_processes_of_a_cell_share_its_estimate_however_they_mix() -> None:
    out = io.StringIO()
    a, b = (timed_cell(name, processes=2) for name in "ab")
    with Progress({a.digest: 10.0, b.digest: 10.0}, out) as progress:
        for number, spec in enumerate((b, a, a, b)):
            progress.cell_started(spec, 5)
            for _ in range(5):
                progress.step()
            progress.process_finished(spec, 1 + number // 2, 2)
            behind = sum(progress._done.values())
            assert behind == pytest.approx(5.0 * (number + 1))
        progress.cell_finished(a, Status.OK, "", 1.0)
        progress.cell_finished(b, Status.OK, "", 1.0)
    assert out.getvalue().splitlines()[-1].startswith("[2/2] latency/latency · b")
