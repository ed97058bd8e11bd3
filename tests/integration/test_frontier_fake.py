"""The OOM frontier with real processes under a real limit, the fake backend inside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmbench.memory_group import NoGroup, memory_group
from slmbench.records import Status
from slmbench.runner.events import Silent
from slmbench.runner.frontier import run_frontier
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome
from slmbench.spec import RunSpec, Target, VariantRef, WorkloadSpec
from slmbench.spec.points import parse_point

MB = 10**6


def search(*limits: int, **target: object) -> Outcome:
    ref = VariantRef(
        name="v", digest="0" * 64, format="fake", stage="base", technique="none", parent=None,
        parent_digest=None, licence="MIT",
    )  # fmt: skip
    work = WorkloadSpec(
        workload="oom_frontier", points=(parse_point("pp60+tg4"),), repeats=1, warmup=0,
        window_s=0, idle_s=0, seed=1, memory_limits=limits,
    )  # fmt: skip
    on = Target.model_validate({"name": "t", "backend": "fake", "threads": 1} | target)
    spec = RunSpec(suite="memory", size="demo", variant=ref, target=on, work=work, timeout_s=120)
    job = WorkerJob(artefact="", artefact_sha256="0" * 64, cells=(CellJob(spec=spec, items=None),))
    return run_frontier(job, Silent())


@pytest.fixture
def groups() -> None:
    with memory_group(None) as group:
        if isinstance(group, NoGroup):
            pytest.skip(group.reason)


@pytest.mark.usefixtures("groups")
def test_a_worker_that_does_not_fit_is_killed_in_its_group_and_named_oom() -> None:
    outcome = search(8 * MB)
    assert outcome.status is Status.OK  # the search came to its end
    probes = [p.probe for p in outcome.phases if p.probe]
    assert [p.status for p in probes[:1]] == [Status.OOM]
    assert "out-of-memory" in probes[0].reason
    assert probes[0].enforced_by.startswith("cgroup v")
    (peak,) = (m for m in outcome.phases[0].measurements if m.metric == "cgroup_peak")
    assert 4 * MB < peak.samples[0] <= 8.5 * MB
    missing = outcome.phases[-1].measurements[0]
    assert missing.samples == ()
    assert missing.reason.startswith("nothing fits")


@pytest.mark.usefixtures("groups")
def test_a_worker_that_fits_answers_and_tells_its_peak() -> None:
    outcome = search(600 * MB)
    assert outcome.status is Status.OK
    assert outcome.model is not None
    first = outcome.phases[0]
    assert first.probe is not None
    assert (first.probe.context, first.probe.status) == (64, Status.OK)
    found = {m.metric: m for m in first.measurements}
    assert 10 * MB < found["cgroup_peak"].samples[0] < 600 * MB
    assert {"peak_rss", "major_faults", "decode_rate"} <= set(found)
    assert all(m.point == "ctx64 600 MB" for m in found.values())
    (largest, batch) = outcome.phases[-1].measurements
    assert (largest.metric, largest.samples) == ("max_context", (64.0,))
    assert "cgroup" in largest.scope
    assert (batch.metric, batch.samples) == ("max_batch", (64.0,))


def test_without_a_group_the_address_space_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmbench.runner.frontier.memory_group", _refused)
    outcome = search(500 * MB, options={"fault": "oom", "fault_at": "load"})
    assert outcome.status is Status.OK
    probe = outcome.phases[0].probe
    assert probe is not None
    assert (probe.status, probe.enforced_by) == (Status.OOM, "address space")
    assert "address space" in outcome.phases[-1].measurements[0].scope


class _refused:  # noqa: N801 - stands for a function
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __enter__(self) -> NoGroup:
        return NoGroup("refused")

    def __exit__(self, *error: object) -> None:
        pass


def test_nothing_is_left_behind() -> None:
    assert not list(Path("/sys/fs/cgroup").glob(f"**/slmbench-{os.getpid()}-*"))
