"""The whole path with the fake backend: plan, worker processes, statuses, resume, report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakeworld import FAULTS, TASKS, World
from slmbench.api import Request, run_suites
from slmbench.campaign import Policy
from slmbench.errors import InterruptedRunError, UnknownNameError, UsageError
from slmbench.plan import Selection
from slmbench.records import Status
from slmbench.runner.events import Silent
from slmbench.spec import RunSpec
from slmbench.store import read_store


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def test_every_cell_is_sealed_with_scores_and_phases(world: World) -> None:
    summary = run_suites(world.request(), world.results)
    assert summary.failed == ()
    assert summary.ran == len(summary.states) == 4  # two variants x (one task + one workload)
    runs = read_store(world.results).runs
    assert {(r.spec.variant.name, r.spec.work_name) for r in runs} == {
        (v, w) for v in ("base", "small") for w in (TASKS[0], "latency")
    }
    for run in runs:
        assert run.record.model is not None
        assert run.record.phases[0].phase == "load"
    toy = next(r for r in runs if r.spec.work_name == TASKS[0])
    assert {row.metric for row in toy.scores()} >= {"acc", "acc_norm", "acc_bytes"}
    assert toy.record.items_total == len(list(toy.outputs())) == 6
    latency = next(r for r in runs if r.spec.work_name == "latency")
    samples = {
        m.metric: len(m.samples)
        for phase in latency.record.phases
        if phase.phase == "timed"
        for m in phase.measurements
    }
    assert samples["ttft"] == samples["tpot"] == 3
    assert samples["itl"] == 3 * 3


def test_tasks_share_a_worker_and_a_workload_has_its_own(world: World) -> None:
    run_suites(world.request(), world.results)
    starts = [
        (r.spec.work_name, r.record.phases[0].started_utc)
        for r in read_store(world.results).runs
        if r.spec.variant.name == "base"
    ]
    assert len({start for _, start in starts}) == 2


def test_a_second_run_runs_nothing(world: World) -> None:
    run_suites(world.request(), world.results)
    again = run_suites(world.request(), world.results)
    assert again.ran == 0
    assert again.failed == ()
    forced = run_suites(world.request(), world.results, policy=Policy(force=True))
    assert forced.ran == 4
    assert len(read_store(world.results).runs) == 8


def test_a_changed_knob_is_another_cell(world: World) -> None:
    run_suites(world.request(), world.results)
    more = run_suites(world.request("perf.sizes.demo.repeats=4"), world.results)
    assert more.ran == 2


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"nan"}))
def test_each_death_is_a_typed_status_and_the_others_go_on(world: World, fault: str) -> None:
    wanted = FAULTS[fault]
    request = world.request(models=world.faulty(fault), suites=("quality",))
    summary = run_suites(request, world.results)
    runs = {r.spec.target.name: r.record for r in read_store(world.results).runs}
    assert runs["healthy"].status is Status.OK
    broken = runs["broken"]
    assert broken.status is wanted.status
    assert broken.signal == wanted.signal
    assert wanted.words in broken.reason
    assert broken.hint
    assert len(summary.failed) == 1


def test_failed_cells_are_kept_until_retry_is_asked_for(world: World) -> None:
    request = world.request(models=world.faulty("sigill"), suites=("quality",))
    run_suites(request, world.results)
    assert run_suites(request, world.results).ran == 0
    assert run_suites(request, world.results, policy=Policy(retry_failed=True)).ran == 1


def test_a_death_in_one_task_leaves_the_next_its_worker(world: World) -> None:
    """The fault strikes in the first task only once the model is loaded: a new worker goes on."""
    request = world.request(
        models=world.faulty("sigsegv", at="loglikelihood"), suites=("both_tasks",)
    )
    run_suites(request, world.results)
    broken = [r for r in read_store(world.results).runs if r.spec.target.name == "broken"]
    assert [r.record.status for r in broken] == [Status.CRASHED, Status.CRASHED]
    assert all(r.record.model is not None for r in broken)


def test_a_target_whose_python_is_missing_loses_only_its_own_cells(world: World) -> None:
    request = world.request(models=world.without_python(), suites=("quality",))
    run_suites(request, world.results)
    runs = {r.spec.target.name: r.record for r in read_store(world.results).runs}
    assert runs["healthy"].status is Status.OK
    assert runs["broken"].status is Status.INVALID
    assert "/no/such/python" in runs["broken"].reason


def test_nan_answers_end_invalid_and_are_counted(world: World) -> None:
    request = world.request(models=world.faulty("nan", at="loglikelihood"), suites=("quality",))
    run_suites(request, world.results)
    broken = next(r for r in read_store(world.results).runs if r.spec.target.name == "broken")
    assert broken.record.status is Status.INVALID
    assert broken.record.items_failed == broken.record.items_total == 6
    assert all(row.value is None and row.failure for row in broken.scores())


class _StopAfter(Silent):
    """Presses Ctrl-C after so many cells."""

    def __init__(self, cells: int) -> None:
        self.left = cells

    def cell_finished(self, spec: RunSpec, status: Status, reason: str, seconds: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def _ctrl_c_arrives() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored; here it must arrive."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_arrives")
def test_ctrl_c_keeps_what_is_done(world: World) -> None:
    with pytest.raises(InterruptedRunError) as caught:
        run_suites(world.request(), world.results, listener=_StopAfter(2))
    assert caught.value.exit_code == 130
    assert len(read_store(world.results).runs) == 2
    assert run_suites(world.request(), world.results).ran == 2


def test_kill_9_of_the_runner_loses_no_finished_cell(world: World) -> None:
    """Killed at any moment: the next run does the rest, nothing twice, no worker is left."""
    request = world.request(models=world.slow())
    command = [sys.executable, "-m", "slmbench.cli.main", "run", *request.suites]
    command += ["--models", request.models, "--results", str(world.results)]
    runner = subprocess.Popen(
        command, env=os.environ, start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not read_store(world.results).runs and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    before = {r.record.run_id for r in read_store(world.results).runs}
    assert 0 < len(before) < 4
    time.sleep(1.0)
    mine = [p for p in _workers() if _cache_of(p) == str(world.cache)]
    assert mine == []
    summary = run_suites(request, world.results)
    after = read_store(world.results)
    assert summary.ran == 4 - len(before)
    assert len({r.spec.digest for r in after.runs}) == len(after.runs) == 4
    assert before <= {r.record.run_id for r in after.runs}


def _workers() -> list[str]:
    """Process ids of all workers on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"slmbench.runner.worker" in command:
            found.append(folder.name)
    return found


def _cache_of(pid: str) -> str:
    try:
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    except OSError:
        return ""
    return dict(p.partition("=")[::2] for p in pairs).get("SLMBENCH_CACHE", "")


def test_unknown_names_are_told_with_a_suggestion(world: World) -> None:
    with pytest.raises(UnknownNameError, match="did you mean base"):
        run_suites(
            Request(world.request().suites, str(world.models), Selection(variants=("bsae",))),
            world.results,
        )
    with pytest.raises(UnknownNameError, match="did you mean accuracy"):
        run_suites(Request(("acuracy",), str(world.models)), world.results)


def test_combinations_that_cannot_run_are_skipped_with_a_reason(world: World) -> None:
    request = world.request(models=world.with_gguf())
    run_suites(request, world.results)
    skips = read_store(world.results).skips
    assert {s.variant for s in skips} == {"file"}
    assert all("does not load the format 'gguf'" in s.reason for s in skips)
    with pytest.raises(UsageError, match="nothing to run"):
        run_suites(
            Request(request.suites, request.models, Selection(variants=("file",))), world.results
        )


def test_the_page_shows_every_failure(world: World) -> None:
    run_suites(world.request(models=world.faulty("sigill"), suites=("quality",)), world.results)
    command = [sys.executable, "-m", "slmbench.cli.main"]
    where = ["--results", str(world.results)]
    out = subprocess.run(
        [*command, "report", *where, "--out", str(world.results / "page")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    page = Path(out.stdout.strip()).read_text("utf-8")
    assert "SIGILL" in page
    shown = subprocess.run(
        [*command, "show", "--format", "json", *where], capture_output=True, text=True, check=True
    )
    rows = json.loads(shown.stdout)
    failed = [r for r in rows if r["status"] == "crashed"]
    assert failed
    assert all(r["value"] is None for r in failed)
