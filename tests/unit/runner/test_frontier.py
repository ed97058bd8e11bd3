"""The search for the OOM frontier, on a machine of known size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slmbench.memory_group import NoGroup
from slmbench.records import Environment, Measurement, ModelInfo, PhaseRecord, Provenance, Status
from slmbench.runner import frontier
from slmbench.runner.environment import fingerprint
from slmbench.runner.events import Listener, Silent
from slmbench.runner.frontier import largest, run_frontier
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome
from slmbench.spec import RunSpec, Target, VariantRef, WorkloadSpec
from slmbench.spec.points import parse_point

MB = 10**6
TRAINED = 8192
FIXED, PER_TOKEN = 100 * MB, 50_000
"""Bytes of the simulated model, and of each filled cell."""


@pytest.mark.parametrize("edge", [0, 63, 64, 255, 256, 300, 512, 5000, 8191, 8192, 10**6])
def test_the_largest_that_fits_is_found_to_within_a_step(edge: int) -> None:
    tried: list[int] = []

    def fits(n: int) -> bool:
        tried.append(n)
        return n <= edge

    found = largest(fits, 256, lambda: TRAINED, 64)
    assert found <= edge
    assert found == TRAINED or edge - found < 64
    assert max(tried) <= TRAINED
    assert len(tried) == len(set(tried)) <= 12


def model() -> ModelInfo:
    return ModelInfo(
        artefact_sha256="0" * 64, artefact_bytes=1, weight_bytes=1, parameters=1,
        bits_per_weight=8, layers=1, hidden_size=1, vocab_size=300, context_train=TRAINED,
        kv_bytes_per_token=1, adds_bos=False,
    )  # fmt: skip


def inside(limit: int) -> Environment:
    """What a worker sees whose group is limited: to its fingerprint, another machine."""
    seen = {"machine": "f" * 16, "cgroup_memory_bytes": limit}
    return fingerprint(()).model_copy(update=seen)


class Machine:
    """Stands for run_job: whoever needs more than the limit dies, and every try is noted."""

    def __init__(self, broken: Status | None = None) -> None:
        self.tried: list[tuple[int, int, int]] = []
        self.broken = broken
        self.slow_from: int | None = None

    def run(self, job: WorkerJob, listener: Listener) -> Iterator[Outcome]:
        (cell,) = job.cells
        work, limit = cell.spec.work, cell.spec.target.memory_limit_bytes
        assert isinstance(work, WorkloadSpec)
        assert limit is not None
        (point,) = work.points
        assert cell.spec.target.context == point.tokens * point.batch
        self.tried.append((point.tokens, point.batch, limit))
        assert point.tokens <= TRAINED
        needed = FIXED + PER_TOKEN * point.tokens * point.batch
        status = Status.OOM if needed > limit else Status.OK
        if point.batch > 16:
            status = Status.UNSUPPORTED
        if self.slow_from is not None and point.tokens * point.batch >= self.slow_from:
            status = Status.TIMEOUT
        status = self.broken or status
        phases = (PhaseRecord(phase="probe", started_utc="", duration_ns=1, measurements=(
            Measurement(metric="decode_rate", samples=(5.0,), provenance=Provenance.MEASURED,
                        method="derived", point=point.label),)),)  # fmt: skip
        yield Outcome(
            spec=cell.spec, environment=inside(limit), started_utc="", seconds=0.1, status=status,
            reason="" if status is Status.OK else "why",
            phases=phases if status is Status.OK else (),
            model=model(),
        )  # fmt: skip


def job(*limits: int, timeout_s: float = 60.0) -> WorkerJob:
    ref = VariantRef(
        name="v", digest="0" * 64, format="fake", stage="base", technique="none", parent=None,
        parent_digest=None, licence="MIT",
    )  # fmt: skip
    work = WorkloadSpec(
        workload="oom_frontier", points=(parse_point("pp240+tg16"),), repeats=1, warmup=0,
        window_s=0, idle_s=0, seed=1, memory_limits=limits,
    )  # fmt: skip
    spec = RunSpec(
        suite="memory", size="demo", variant=ref, target=Target(name="t", backend="fake"),
        work=work, timeout_s=timeout_s,
    )  # fmt: skip
    return WorkerJob(artefact="", artefact_sha256="0" * 64, cells=(CellJob(spec=spec, items=None),))


def test_a_limit_does_not_make_another_machine_of_this_one(machine: Machine) -> None:
    (outcome,) = [run_frontier(job(600 * MB), Silent())]
    assert machine.tried
    assert outcome.environment == fingerprint(())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(frontier, "run_job", made.run)
    monkeypatch.setattr(frontier, "memory_group", _no_group)
    return made


class _no_group:  # noqa: N801 - stands for a function
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __enter__(self) -> NoGroup:
        return NoGroup("simulated")

    def __exit__(self, *error: object) -> None:
        pass


def found(outcome: Outcome) -> dict[tuple[str, str], Measurement]:
    return {(m.metric, m.point): m for m in outcome.phases[-1].measurements}


def test_context_and_batch_below_each_limit(machine: Machine) -> None:
    outcome = run_frontier(job(300 * MB, 200 * MB), Silent())
    assert outcome.status is Status.OK
    values = {key: m.samples for key, m in found(outcome).items()}
    assert values[("max_context", "200 MB")] == (1920.0,)  # 2000 to within 128
    assert values[("max_context", "300 MB")] == (3968.0,)  # 4000
    assert values[("max_batch", "256 tokens, 200 MB")] == (7.0,)
    assert values[("max_batch", "256 tokens, 300 MB")] == (15.0,)


def test_every_try_is_kept_with_its_ending(machine: Machine) -> None:
    outcome = run_frontier(job(200 * MB), Silent())
    probes = [p.probe for p in outcome.phases if p.probe]
    assert [(p.context, p.batch, p.limit_bytes) for p in probes] == machine.tried
    assert {p.status for p in probes} == {Status.OK, Status.OOM}
    assert {p.enforced_by for p in probes} == {"address space"}
    assert all(p.reason for p in probes if p.status is not Status.OK)


def test_nothing_is_tried_twice_or_when_another_try_tells(machine: Machine) -> None:
    outcome = run_frontier(job(200 * MB, 4000 * MB, 8000 * MB), Silent())
    assert len(machine.tried) == len(set(machine.tried))
    assert not [t for t in machine.tried if t[2] == 8000 * MB]
    whole = found(outcome)[("max_context", "8000 MB")]
    assert whole.samples == (float(TRAINED),)
    assert whole.provenance is Provenance.DERIVED
    assert "smaller limit" in whole.reason
    assert found(outcome)[("max_context", "4000 MB")].provenance is Provenance.MEASURED


def test_an_engines_own_bound_on_the_batch_ends_the_search(machine: Machine) -> None:
    outcome = run_frontier(job(8000 * MB), Silent())
    assert found(outcome)[("max_batch", "256 tokens, 8000 MB")].samples == (16.0,)


def test_what_does_not_fit_is_no_zero(machine: Machine) -> None:
    outcome = run_frontier(job(50 * MB), Silent())
    assert outcome.status is Status.OK
    nothing = found(outcome)[("max_context", "50 MB")]
    assert nothing.provenance is Provenance.UNAVAILABLE
    assert nothing.reason.startswith("nothing fits: 128 tokens × 1 ended as oom")


@pytest.mark.parametrize("status", [Status.INVALID, Status.CRASHED, Status.UNSUPPORTED])
def test_a_first_try_with_another_fault_ends_the_cell(machine: Machine, status: Status) -> None:
    machine.broken = status
    outcome = run_frontier(job(200 * MB, 300 * MB), Silent())
    assert (outcome.status, outcome.reason) == (status, "why")
    assert len(machine.tried) == 1


def test_a_try_that_is_too_slow_bounds_the_search_and_is_told(machine: Machine) -> None:
    machine.slow_from = 1500
    outcome = run_frontier(job(600 * MB), Silent())
    largest_one = found(outcome)[("max_context", "600 MB")]
    assert largest_one.samples == (1408.0,)
    assert largest_one.reason == "1536 tokens ran out of time, not of memory: more may fit"


def test_time_that_is_up_is_no_verdict(machine: Machine) -> None:
    outcome = run_frontier(job(200 * MB, timeout_s=0.0), Silent())
    unknown = found(outcome)[("max_context", "200 MB")]
    assert unknown.provenance is Provenance.UNAVAILABLE
    assert "no answer within" in unknown.reason
