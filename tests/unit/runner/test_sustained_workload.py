"""Sustained work: slices, series and rates by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.backends import LoadJob
from slmbench.backends.fake import FakeBackend
from slmbench.records import Measurement, PhaseRecord
from slmbench.runner.workloads import Bench, run_workload, steps_of
from slmbench.runner.workloads import sustained as module
from slmbench.runner.workloads.sustained import rates_of
from slmbench.spec import Target, WorkloadPoint, WorkloadSpec

POINT = WorkloadPoint(prompt_tokens=8, output_tokens=4)


def test_rates_of_a_machine_that_slows_to_half() -> None:
    """20 requests of 100 tokens in 10 s each, then 20 in 20 s each: burst 10, steady 5 tok/s."""
    ends, now = [], 0.0
    for seconds in [10.0] * 20 + [20.0] * 20:
        now += seconds
        ends.append(now)
    assert rates_of(ends, [100] * 40) == (10.0, 5.0)


def test_rates_of_few_slow_requests() -> None:
    assert rates_of([50.0], [100]) == (2.0, 2.0)
    burst, steady = rates_of([50.0, 150.0], [100, 100])
    assert (burst, steady) == (2.0, 1.0)


def test_the_burst_of_a_long_run_is_a_minute() -> None:
    ends = [float(t) for t in range(10, 1210, 10)]
    tokens = [200] * 6 + [100] * 114
    assert rates_of(ends, tokens) == (20.0, 10.0)


def _run(spec: WorkloadSpec) -> tuple[list[PhaseRecord], int]:
    backend = FakeBackend()
    target = Target(name="t", backend="fake", threads=1, options={"itl_s": 0.002})
    backend.load(LoadJob(Path("none"), "0" * 64, target))
    done: list[None] = []
    bench = Bench(backend, spec, "cpu", lambda: done.append(None))
    return list(run_workload(bench, ())), len(done)


def _of(found: list[PhaseRecord], metric: str) -> list[Measurement]:
    return [m for p in found for m in p.measurements if m.metric == metric]


def test_slices_hold_every_request_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.1)
    spec = WorkloadSpec(
        workload="sustained", points=(POINT,), repeats=1, warmup=1, window_s=0.3, idle_s=0, seed=1
    )
    found, steps = _run(spec)
    assert [p.phase for p in found] == ["sustained"] * 3 + ["summary"]
    assert steps == steps_of(spec) == 3
    ends = [s for m in _of(found, "request_end_series") for s in m.samples]
    rates = [s for m in _of(found, "request_rate_series") for s in m.samples]
    assert len(ends) == len(rates) > 3
    assert ends == sorted(ends)
    assert ends[-1] >= 0.3
    (burst,) = _of(found, "burst_rate")
    (steady,) = _of(found, "sustained_rate")
    (share,) = _of(found, "sustained_share")
    assert (burst.samples[0], steady.samples[0]) == rates_of(ends, [4] * len(ends))
    assert share.samples[0] == steady.samples[0] / burst.samples[0]
    assert "short_window" in {o.kind for o in found[-1].observations}


def test_a_slow_request_ends_no_slice_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.001)
    spec = WorkloadSpec(
        workload="sustained", points=(POINT,), repeats=1, warmup=0, window_s=0.003, idle_s=0, seed=1
    )
    found, _ = _run(spec)
    assert [len(m.samples) for m in _of(found, "request_end_series")] == [1, 1, 1]
