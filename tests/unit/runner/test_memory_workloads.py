"""Memory workloads on the fake backend: phases, slots, what is taken from what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slmbench.backends import LoadJob
from slmbench.backends.fake import FakeBackend
from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.runner.phases import Watch
from slmbench.runner.workloads import Bench, meters_for, run_workload, slots_of, steps_of
from slmbench.runner.workloads.memory import runtime_phase, total_phase
from slmbench.spec import RunSpec, Target, VariantRef, WorkloadSpec
from slmbench.spec.points import parse_point

REF = VariantRef(
    name="v", digest="0" * 64, format="fake", stage="base", technique="none", parent=None,
    parent_digest=None, licence="MIT",
)  # fmt: skip


def cell(workload: str, *points: str) -> RunSpec:
    work = WorkloadSpec(
        workload=workload, points=tuple(map(parse_point, points)), repeats=1, warmup=0, window_s=0,
        idle_s=0, seed=1,
    )  # fmt: skip
    on = Target(name="t", backend="fake", threads=1)
    return RunSpec(suite="memory", size="demo", variant=REF, target=on, work=work, timeout_s=9)


def run(spec: RunSpec, process: int = 0) -> tuple[list[PhaseRecord], int]:
    assert isinstance(spec.work, WorkloadSpec)
    slots = slots_of(spec)
    backend = FakeBackend()
    info = backend.load(LoadJob(Path("none"), "0" * 64, slots[process % len(slots)]))
    done: list[None] = []
    bench = Bench(backend, spec.work, "cpu", lambda: done.append(None), process=process, model=info)
    return list(run_workload(bench, ())), len(done)


def test_each_context_has_a_process_that_holds_just_it() -> None:
    spec = cell("memory_context", "pp240+tg16", "pp496+tg16", "pp112+tg16xb4")
    assert [target.context for target in slots_of(spec)] == [256, 512, 512]
    assert {target.name for target in slots_of(spec)} == {"t"}


@pytest.mark.parametrize("process", [0, 1, 2, 5])
def test_a_process_measures_its_own_point(process: int) -> None:
    spec = cell("memory_context", "pp240+tg16", "pp496+tg16", "pp112+tg16xb4")
    assert isinstance(spec.work, WorkloadSpec)
    phases, steps = run(spec, process)
    assert [p.phase for p in phases] == ["cache", "prefill", "decode"]
    assert steps == steps_of(spec.work) == 2
    label = spec.work.points[process % 3].label
    assert {m.point for p in phases for m in p.measurements} == {label}
    assert {m.metric for m in phases[0].measurements} >= {"peak_rss", "pss_anon", "pss_file"}


def test_a_try_of_the_frontier_is_one_phase() -> None:
    (phase,), steps = run(cell("oom_frontier", "pp60+tg4"))
    assert (phase.phase, steps) == ("probe", 1)
    found = {m.metric: m for m in phase.measurements}
    assert {"peak_rss", "major_faults", "ttft", "decode_rate"} <= set(found)
    assert found["major_faults"].samples[0] >= 0


def test_the_runtime_is_read_by_the_counter_of_the_peak() -> None:
    phase = runtime_phase(Watch.of(("memory",), "cpu"))
    found = {m.metric: m for m in phase.measurements}
    assert found["runtime_overhead"].samples == found["peak_rss"].samples
    assert "VmHWM" in found["runtime_overhead"].scope


def test_the_models_memory_is_the_peak_without_the_runtime() -> None:
    total = total_phase(
        [
            phase("runtime", peak_rss=[60.0], runtime_overhead=[60.0], gpu_memory=[5.0, 5.0]),
            phase("load", peak_rss=[300.0], gpu_memory=[5.0, 40.0]),
            phase("decode", peak_rss=[200.0], gpu_memory=[40.0, 30.0]),
        ]
    )
    found = {m.metric: m for m in total.measurements}
    assert found["peak_memory"].samples == (300.0,)
    assert found["model_memory"].samples == (240.0,)
    assert found["model_memory"].provenance is Provenance.DERIVED
    assert found["gpu_memory_delta"].samples == (35.0,)


def test_the_size_on_disk_stands_beside() -> None:
    phases, _ = run(cell("memory", "pp8+tg2"))
    (size,) = (m for m in phases[-1].measurements if m.metric == "artefact_size")
    assert size.samples[0] > 0


def test_without_a_counter_the_peak_is_unavailable() -> None:
    (only,) = total_phase([phase("load")]).measurements
    assert (only.metric, only.provenance) == ("peak_memory", Provenance.UNAVAILABLE)


def test_a_group_is_read_wherever_memory_is() -> None:
    for use in ("memory", "memory_context", "oom_frontier"):
        assert {"memory", "cgroup"} <= set(meters_for(use, "cpu"))


def phase(name: str, **readings: Sequence[float]) -> PhaseRecord:
    return PhaseRecord(
        phase=name, started_utc="", duration_ns=1,
        measurements=tuple(
            Measurement(
                metric=metric, samples=tuple(samples), provenance=Provenance.MEASURED,
                method="counter",
            )
            for metric, samples in readings.items()
        ),
    )  # fmt: skip
