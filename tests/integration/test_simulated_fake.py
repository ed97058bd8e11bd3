"""An artefact whose files show no real kernels gets no timed cell, whatever the plan believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakeworld import World
from slmbench.api import run_suites
from slmbench.lifecycle import Artefact
from slmbench.records import Status
from slmbench.store import read_store

WHY = "simulated kernels, as its files show: 50% zeros in dense matrices"


def test_its_quality_is_measured_and_its_speed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(world.cache))
    monkeypatch.setattr(Artefact, "simulated", WHY)
    summary = run_suites(world.request(), world.results)
    runs = read_store(world.results).runs
    by_suite = {run.spec.suite: run.record for run in runs}
    assert by_suite["quality"].status is Status.OK
    timed = by_suite["perf"]
    assert (timed.status, timed.reason) == (Status.UNSUPPORTED, WHY)
    assert timed.phases == ()
    assert {state.status for state in summary.failed} == {Status.UNSUPPORTED}
