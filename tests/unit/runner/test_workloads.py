"""Workloads on the fake backend: prompts, phases, bounds, labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmbench.backends import LoadJob
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import BackendError
from slmbench.records import PhaseRecord, Provenance, Status
from slmbench.requests import GenerateOutput
from slmbench.runner.workloads import Bench, meters_for, run_workload, steps_of
from slmbench.runner.workloads.latency import cold_prefill
from slmbench.spec import Target, WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts, repetitions

POINT = WorkloadPoint(prompt_tokens=16, output_tokens=4)


def spec(workload: str, **changes: object) -> WorkloadSpec:
    usual: dict[str, object] = {
        "workload": workload,
        "points": (POINT,),
        "repeats": 3,
        "warmup": 1,
        "window_s": 0.0,
        "idle_s": 0.0,
        "seed": 1,
    }
    return WorkloadSpec.model_validate(usual | changes)


def phases(chosen: WorkloadSpec, **options: float) -> tuple[list[PhaseRecord], int]:
    backend = FakeBackend()
    target = Target(name="t", backend="fake", threads=1, options=options)
    backend.load(LoadJob(Path("none"), "0" * 64, target))
    done: list[None] = []
    bench = Bench(backend, chosen, "cpu", lambda: done.append(None))
    return list(run_workload(bench, ())), len(done)


def test_prompts_are_the_same_for_all_and_new_each_time() -> None:
    first = random_prompts(POINT, 1000, 1, 0)
    assert first == random_prompts(POINT, 1000, 1, 0)
    others = {random_prompts(POINT, 1000, 1, i)[0] for i in range(20)}
    assert len(others) == 20
    assert len({prompt[0] for prompt in others}) > 10  # no shared first token to cache
    assert all(3 <= t < 1000 for prompt in others for t in prompt)
    batch = random_prompts(WorkloadPoint(prompt_tokens=4, output_tokens=1, batch=3), 99, 1, 0)
    assert [len(p) for p in batch] == [4, 4, 4]


def test_warm_up_comes_first_and_is_left_out() -> None:
    timed = [r.timed for r in repetitions(spec("latency"), 100)]
    assert timed == [False, True, True, True]
    found, steps = phases(spec("latency"))
    assert [p.phase for p in found] == ["warm_up", "timed"]
    assert steps == steps_of(spec("latency")) == 4
    assert found[0].measurements == ()
    ttft = next(m for m in found[1].measurements if m.metric == "ttft")
    assert len(ttft.samples) == 3
    assert ttft.point == "pp16+tg4"


def test_a_budget_ends_a_point_with_fewer_samples() -> None:
    found, _ = phases(spec("latency", repeats=50, budget_s=0.2), ttft_s=0.06)
    ttft = next(m for m in found[1].measurements if m.metric == "ttft")
    assert 1 <= len(ttft.samples) < 10


def test_a_point_that_does_not_fit_leaves_the_others() -> None:
    far = WorkloadPoint(prompt_tokens=5000, output_tokens=4)
    found, _ = phases(spec("latency", points=(far, POINT), warmup=0))
    unable, able = found
    assert {m.point for m in unable.measurements} == {far.label}
    assert {m.metric for m in unable.measurements} == {"ttft", "tpot", "e2e", "decode_rate"}
    for m in unable.measurements:
        assert m.provenance is Provenance.UNAVAILABLE
        assert "5004" in m.reason
    assert {m.point for m in able.measurements} == {POINT.label}


def test_a_cell_of_which_no_point_fits_is_unsupported() -> None:
    far = WorkloadPoint(prompt_tokens=5000, output_tokens=1)
    with pytest.raises(BackendError) as caught:
        phases(spec("latency", points=(far, far)))
    assert caught.value.status is Status.UNSUPPORTED


def test_cached_prompt_tokens_are_observed() -> None:
    def output(evaluated: int) -> GenerateOutput:
        return GenerateOutput(
            text="", token_ids=(1,), prompt_tokens=16, evaluated_tokens=evaluated, start_ns=0,
            token_ns=(1,), finish="length",
        )  # fmt: skip

    assert cold_prefill([output(16)]) == ()
    (seen,) = cold_prefill([output(16), output(4)])
    assert (seen.kind, seen.value) == ("prefix_cache", 12.0)


def test_memory_has_a_peak_over_all_phases() -> None:
    found, steps = phases(spec("memory", repeats=1))
    assert [p.phase for p in found] == ["warm_up", "prefill", "decode", "total"]
    assert steps == 3
    peaks = [m.samples[0] for p in found for m in p.measurements if m.metric == "peak_rss"]
    (peak,) = (m for m in found[-1].measurements if m.metric == "peak_memory")
    assert peak.samples == (max(peaks),)
    assert peak.provenance is Provenance.MEASURED


def test_energy_without_a_counter_is_unavailable_with_a_reason() -> None:
    found, _ = phases(spec("energy", repeats=1, window_s=0.2, idle_s=0.1), itl_s=0.001)
    assert [p.phase for p in found] == ["idle_before", "window", "idle_after"]
    window = found[1]
    assert window.duration_ns >= 0.2e9
    assert [o.kind for o in window.observations if o.kind == "short_window"] == ["short_window"]
    gross = [m for m in window.measurements if m.metric == "energy_gross"]
    for m in gross:
        assert m.provenance is not Provenance.ESTIMATED
        assert m.samples or m.reason
    estimates = {m.metric: m for m in window.measurements if m.metric.startswith("energy_estimate")}
    if estimates["energy_estimate"].samples:  # codecarbon is installed
        per_token = estimates["energy_estimate_per_token"]
        assert per_token.provenance is Provenance.ESTIMATED
        assert per_token.reason
        assert 0 < per_token.samples[0] < estimates["energy_estimate"].samples[0]
    totals = [m for m in window.measurements if m.metric == "energy_per_token"]
    assert len(totals) == 1
    assert totals[0].samples or totals[0].reason


def test_gpu_meters_are_asked_on_gpus_only() -> None:
    assert "nvml" in meters_for("memory", "cuda:0")
    assert not {"nvml", "cuda"} & set(meters_for("memory", "cpu"))
    assert meters_for("task", "cpu") == ("interference",)
