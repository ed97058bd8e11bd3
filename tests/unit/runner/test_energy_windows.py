"""Energy windows on sources of known joules: counts, totals, net of idle, what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.backends import LoadJob
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import BackendError
from slmbench.meters.carbon import Grid
from slmbench.meters.grades import grade
from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.runner.workloads import Bench, run_workload, steps_of
from slmbench.runner.workloads import energy as energy_workload
from slmbench.runner.workloads.bench import meters_for
from slmbench.runner.workloads.energy_rows import Work, estimates, gross, idle_power, net
from slmbench.spec import Target, WorkloadPoint, WorkloadSpec

PREFILL = WorkloadPoint(prompt_tokens=16, output_tokens=1)
DECODE = WorkloadPoint(prompt_tokens=1, output_tokens=4)
MIXED = WorkloadPoint(prompt_tokens=16, output_tokens=4, batch=2)
GRID = Grid("X", "2024", 360.0, "made up")  # 0.1 g per kJ
CPU, GPU = "cpu package 0", "gpu0 board"


def record(seconds: float, *measurements: Measurement) -> PhaseRecord:
    """A phase of that length."""
    return b.phase("window", *measurements).model_copy(update={"duration_ns": int(seconds * 1e9)})


def joules(scope: str, *values: float) -> Measurement:
    """A counter's reading."""
    return b.measurement("energy_gross", *values, scope=scope)


def by_name(found: object) -> dict[str, Measurement]:
    """Measurements by metric; each is there once."""
    listed = list(found)  # type: ignore[call-overload]
    assert len({m.metric for m in listed}) == len(listed)
    return {m.metric: m for m in listed}


def test_a_window_by_hand() -> None:
    """40 s, 600 J, 20 calls of 2 sequences: 15 J and 2 s a request."""
    work = Work(MIXED, iterations=20, prompt_tokens=640, output_tokens=160, seconds=40.0)
    window = record(40.0, joules(CPU, 400.0), joules(GPU, 200.0))
    found = by_name(gross(window, work, GRID))
    values = {name: m.samples[0] for name, m in found.items()}
    assert values == pytest.approx(
        {
            "energy_total": 600.0,
            "mean_power": 15.0,
            "energy_per_token": 3.75,
            "energy_per_request": 15.0,
            "energy_per_1000_requests": 15_000 / 3600,
            "edp": 30.0,
            "co2e_per_1000_requests": 1.5,
        }
    )
    for name, m in found.items():
        assert (m.scope, m.point) == (f"{CPU} + {GPU}", "pp16+tg4×b2")
        assert grade(m.method, m.scope) == "B"
        expected = Provenance.ESTIMATED if name.startswith("co2e") else Provenance.DERIVED
        assert m.provenance is expected
    assert "X 2024, made up" in found["co2e_per_1000_requests"].reason


def test_prefill_windows_count_prompt_tokens() -> None:
    work = Work(PREFILL, iterations=5, prompt_tokens=80, output_tokens=5, seconds=10.0)
    found = by_name(gross(record(10.0, joules(CPU, 40.0)), work, GRID))
    assert found["energy_per_prompt_token"].samples == (0.5,)
    assert "energy_per_token" not in found


def test_net_takes_off_the_idle_around_it() -> None:
    """Idle 2 W before and 4 W after: 3 W x 10 s of the 70 J are not the work's."""
    work = Work(DECODE, iterations=5, prompt_tokens=5, output_tokens=20, seconds=10.0)
    window = record(10.0, joules(CPU, 60.0), joules(GPU, 10.0))
    idle = [
        record(20.0, joules(CPU, 30.0), joules(GPU, 10.0)),
        record(20.0, joules(CPU, 60.0), joules(GPU, 20.0)),
    ]
    found = by_name(net(window, work, idle))
    values = {name: m.samples[0] for name, m in found.items()}
    assert values == pytest.approx(
        {"energy_net": 40.0, "energy_net_per_token": 2.0, "energy_net_per_request": 8.0}
    )
    assert [m.samples[0] for one in idle for m in idle_power(one)] == [2.0, 4.0]


def test_net_needs_the_same_parts_when_idle() -> None:
    work = Work(DECODE, iterations=5, prompt_tokens=5, output_tokens=20, seconds=10.0)
    window = record(10.0, joules(CPU, 60.0), joules(GPU, 10.0))
    found = by_name(net(window, work, [record(20.0, joules(CPU, 30.0), joules(GPU))]))
    for m in found.values():
        assert m.provenance is Provenance.UNAVAILABLE
        assert "no idle power" in m.reason


def test_without_a_source_there_is_one_reason_and_no_number() -> None:
    work = Work(DECODE, iterations=5, prompt_tokens=5, output_tokens=20, seconds=10.0)
    blind = record(10.0, joules(CPU), b.measurement("energy_gross", reason="no wall meter"))
    (only,) = gross(blind, work, GRID)
    assert (only.metric, only.provenance) == ("energy_per_token", Provenance.UNAVAILABLE)
    assert only.reason == "no such counter here; no wall meter"
    assert list(net(blind, work, [blind])) == []
    assert idle_power(blind) == ()


def test_estimates_stay_estimates() -> None:
    work = Work(MIXED, iterations=5, prompt_tokens=160, output_tokens=40, seconds=10.0)
    modelled = b.measurement(
        "energy_estimate", 80.0, provenance=Provenance.ESTIMATED, method="modelled", reason="model"
    )
    found = by_name(estimates(record(10.0, modelled), work))
    assert found["energy_estimate_per_token"].samples == (2.0,)
    assert found["energy_estimate_per_request"].samples == (8.0,)
    assert {m.provenance for m in found.values()} == {Provenance.ESTIMATED}


def spec(**changes: object) -> WorkloadSpec:
    """A short energy workload."""
    usual: dict[str, object] = {
        "workload": "energy", "points": (PREFILL, DECODE), "repeats": 2, "warmup": 1,
        "window_s": 0.05, "idle_s": 0.05, "seed": 1,
    }  # fmt: skip
    return WorkloadSpec.model_validate(usual | changes)


def run(chosen: WorkloadSpec, monkeypatch: pytest.MonkeyPatch) -> tuple[list[PhaseRecord], int]:
    """The phases with a meter that reads 1 J in its first window, 2 J in its second …"""
    monkeypatch.setattr(energy_workload, "meters_for", lambda use, device: ("fake",))
    backend = FakeBackend()
    options: dict[str, object] = {"itl_s": 0.001}
    target = Target.model_validate({"name": "t", "backend": "fake", "threads": 1,
                                    "options": options})  # fmt: skip
    backend.load(LoadJob(Path("none"), "0" * 64, target))
    done: list[None] = []
    bench = Bench(backend, chosen, "cpu", lambda: done.append(None))
    return list(run_workload(bench, ())), len(done)


def test_windows_are_counted_and_idle_is_shared_between_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, steps = run(spec(), monkeypatch)
    assert steps == steps_of(spec()) == 4
    assert [p.phase for p in found] == [
        "idle_before", "window", "window", "idle_after", "window", "window", "idle_after",
    ]  # fmt: skip
    idle = [m.samples[0] for p in found if "idle" in p.phase for m in p.measurements
            if m.metric == "energy_gross"]  # fmt: skip
    assert idle == [1.0, 2.0, 3.0]
    first, last = by_name(found[1].measurements), by_name(found[5].measurements)
    requests = first["window_requests"].samples[0]
    assert requests >= 1
    assert first["window_prompt_tokens"].samples[0] == 16 * requests
    assert first["window_output_tokens"].samples[0] == requests
    assert last["window_output_tokens"].samples[0] == 4 * last["window_requests"].samples[0]
    assert first["energy_total"].samples == (1.0,)
    assert last["energy_total"].samples == (4.0,)
    watts = (1.0 + 2.0) / ((found[0].duration_ns + found[3].duration_ns) * 1e-9)
    expected = 1.0 - watts * found[1].duration_ns * 1e-9
    assert first["energy_net"].samples[0] == pytest.approx(expected)
    assert {o.kind for o in found[1].observations} == {"short_window"}


def test_without_idle_there_is_no_net(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = run(spec(idle_s=0, points=(DECODE,)), monkeypatch)
    assert [p.phase for p in found] == ["window", "window"]
    assert not any(m.metric.startswith("energy_net") for p in found for m in p.measurements)


def test_depth_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = WorkloadPoint(prompt_tokens=8, output_tokens=4, depth=32)
    with pytest.raises(BackendError, match="depth"):
        run(spec(points=(deep,)), monkeypatch)


def test_idle_before_loading_only_where_something_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(energy_workload, "meters_for", lambda use, device: ("fake",))
    assert energy_workload.before_load(spec(), "cpu") == ()
    monkeypatch.setattr(energy_workload, "_SOURCES", ("fake",))
    (idle,) = energy_workload.before_load(spec(), "cpu")
    assert idle.phase == "idle_unloaded"
    assert by_name(idle.measurements)["idle_power"].samples[0] <= 1.0 / 0.05


def test_a_sleep_is_an_idle_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gate G9: the idle of a window that only sleeps is all of it, so nothing is net."""
    asleep = record(30.0, joules(CPU, 150.0))
    work = Work(DECODE, iterations=1, prompt_tokens=1, output_tokens=4, seconds=30.0)
    found = by_name(net(asleep, work, [record(10.0, joules(CPU, 50.0))]))
    assert found["energy_net"].samples[0] == pytest.approx(0.0, abs=1e-9)


def test_a_wall_meter_joins_when_it_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLMBENCH_WALL_METER", raising=False)
    assert "wall" not in meters_for("window", "cpu")
    monkeypatch.setenv("SLMBENCH_WALL_METER", "csv:watts.csv")
    for use in ("window", "idle"):
        assert meters_for(use, "cpu")[0] == "wall"  # first to start, last to stop
        assert "codecarbon" not in meters_for("idle", "cpu")
