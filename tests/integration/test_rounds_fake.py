"""Rounds with real worker processes of the fake backend: records, going on after a stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakeworld import World
from slmbench.api import cell_states, plan_suites, run_suites
from slmbench.campaign import Policy
from slmbench.cores import usable_cpus
from slmbench.errors import InterruptedRunError
from slmbench.records import Status
from slmbench.runner.events import Silent
from slmbench.spec import RunSpec
from slmbench.store import StoredRun, read_store
from slmbench.store.layout import PROCESSES


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def kept_files(world: World) -> list[Path]:
    return sorted(world.results.glob(f"*/*/{PROCESSES}/*/*.json"))


def processes(run: StoredRun) -> list[int]:
    return [p.process for p in run.record.phases if p.phase == "timed"]


def test_a_record_holds_all_processes_and_what_watching_cost(world: World) -> None:
    request = world.request("perf.sizes.demo.processes=2", suites=("perf",))
    summary = run_suites(request, world.results)
    assert (summary.ran, summary.failed) == (2, ())
    runs = read_store(world.results).runs
    for run in runs:
        assert processes(run) == [0, 1]
        by_phase = {}
        for phase in run.record.phases:
            by_phase.setdefault(phase.phase, []).append(phase)
        assert [len(by_phase[name]) for name in ("load", "warm_up", "timed")] == [2, 2, 2]
        for load in by_phase["load"]:
            seconds = {m.metric: m.samples[0] for m in load.measurements}
            assert 0 < seconds["load_time"] < seconds["start_time"]
        assert run.record.observer is not None
        assert run.record.observer.wall_s > 2 * min(p.duration_ns for p in by_phase["load"]) * 1e-9
        assert 0 < run.record.observer.meters_s < run.record.observer.wall_s
        assert f"cpus={usable_cpus()[0]}" in run.environment.thread_settings  # one thread
        assert run.record.peaks is None  # the fake's speed has none
    rounds = [{p.round for p in run.record.phases} for run in runs]
    assert rounds[0] == rounds[1]
    assert len(rounds[0]) == 2
    assert kept_files(world) == []


def test_prompts_differ_between_processes(world: World) -> None:
    """Checked in tests of tasks.workloads for the draw; here that the number arrives."""
    from slmbench.tasks.workloads import repetitions

    request = world.request("perf.sizes.demo.processes=2", suites=("perf",))
    (cell, _) = plan_suites(request).plan.cells
    first, second = (
        {r.prompts for r in repetitions(cell.spec.work, 256, process)} for process in (0, 1)
    )
    assert not first & second


class _StopAfter(Silent):
    """Presses Ctrl-C after so many processes."""

    def __init__(self, processes: int) -> None:
        self.left = processes

    def process_finished(self, spec: RunSpec, finished: int, planned: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_keeps_finished_processes_and_the_same_command_goes_on(world: World) -> None:
    request = world.request("perf.sizes.demo.processes=3", suites=("perf",))
    with pytest.raises(InterruptedRunError, match="finished processes"):
        run_suites(request, world.results, listener=_StopAfter(3))
    assert read_store(world.results).runs == ()
    assert len(kept_files(world)) == 3
    before = cell_states(plan_suites(request), world.results)
    assert sum(state.kept for state in before) == 3
    assert {state.told for state in before} == {"2 of 3 processes", "1 of 3 processes"}
    assert sum(state.left for state in before) == pytest.approx(1.0)
    summary = run_suites(request, world.results)
    assert (summary.ran, summary.failed) == (2, ())
    for run in read_store(world.results).runs:
        assert processes(run) == [0, 1, 2]
        assert len({p.round.partition("-")[0] for p in run.record.phases}) == 2  # two sessions
    assert kept_files(world) == []


def test_force_begins_from_nothing(world: World) -> None:
    request = world.request("perf.sizes.demo.processes=2", suites=("perf",))
    with pytest.raises(InterruptedRunError):
        run_suites(request, world.results, listener=_StopAfter(2))
    run_suites(request, world.results, policy=Policy(force=True))
    for run in read_store(world.results).runs:
        assert len({p.round.partition("-")[0] for p in run.record.phases}) == 1


def test_a_crash_ends_its_cell_only(world: World) -> None:
    models = world.faulty("sigsegv", at="generate")
    request = world.request("perf.sizes.demo.processes=2", models=models, suites=("perf",))
    summary = run_suites(request, world.results)
    runs = {r.spec.target.name: r for r in read_store(world.results).runs}
    assert runs["broken"].record.status is Status.CRASHED
    assert runs["broken"].record.signal == "SIGSEGV"
    assert {p.process for p in runs["broken"].record.phases} == {0}
    assert processes(runs["healthy"]) == [0, 1]
    assert len(summary.failed) == 1
    assert kept_files(world) == []


def test_kill_9_of_the_runner_loses_no_finished_process(world: World) -> None:
    override = "perf.sizes.demo.processes=3"
    request = world.request(override, models=world.slow(), suites=("perf",))
    command = [sys.executable, "-m", "slmbench.cli.main", "run", *request.suites]
    command += ["--models", request.models, "--results", str(world.results), "--set", override]
    runner = subprocess.Popen(
        command, env=os.environ, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(kept_files(world)) < 2 and time.monotonic() < deadline and runner.poll() is None:
        time.sleep(0.02)
    os.kill(runner.pid, signal.SIGKILL)
    _, told = runner.communicate()
    before = {path: path.read_bytes() for path in kept_files(world)}
    assert before, told
    starts = {run.record.run_id for run in read_store(world.results).runs}
    assert starts == set()
    summary = run_suites(request, world.results)
    assert summary.ran == 2
    runs = read_store(world.results).runs
    kept = sum(len({p.process for p in r.record.phases if _before(p.round, r)}) for r in runs)
    assert kept == len(before)
    assert all(processes(run) == [0, 1, 2] for run in runs)


def _before(label: str, run: StoredRun) -> bool:
    """Whether a round belongs to the session that was killed."""
    return label.partition("-")[0] == min(p.round for p in run.record.phases).partition("-")[0]
