"""Workers that measure nothing: what they answer is written down beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import builders as b
from slmbench.records import Environment, PhaseRecord, ProcessRecord, Status
from slmbench.runner.events import Listener
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome
from slmbench.spec import RunSpec, WorkloadSpec

POINT = "pp128+tg32"


def timed_cell(name: str, *, suite: str = "latency", **changes: object) -> RunSpec:
    """A latency cell of a fake variant of that name."""
    usual = b.workload("latency").model_dump() | {"repeats": 2, "warmup": 0, "window_s": 0.0}
    return b.cell(b.variant(name), WorkloadSpec.model_validate(usual | changes), suite=suite)


def timed_phase(*ttft: float, point: str = POINT) -> PhaseRecord:
    """A phase with samples of ttft."""
    return b.phase("timed", b.measurement("ttft", *ttft, point=point))


@dataclass
class Shelf:
    """Keeps processes in memory."""

    there: dict[tuple[str, int], ProcessRecord] = field(default_factory=dict)

    def kept(self, spec: RunSpec) -> tuple[ProcessRecord, ...]:
        return tuple(r for (d, _), r in sorted(self.there.items()) if d == spec.digest)

    def keep(self, spec: RunSpec, record: ProcessRecord) -> None:
        self.there[spec.digest, record.process] = record

    def discard(self, spec: RunSpec) -> None:
        self.there = {key: r for key, r in self.there.items() if key[0] != spec.digest}


@dataclass
class Players:
    """Stands in for ``run_job``; every call is one process."""

    answers: Callable[[CellJob], tuple[PhaseRecord, ...]]
    ending: Callable[[CellJob], Status] = lambda job: Status.OK
    stop_after: int | None = None
    """Ctrl-C arrives in the process after so many."""
    environment: Environment = field(default_factory=b.environment)
    jobs: list[CellJob] = field(default_factory=list)

    def __call__(self, job: WorkerJob, listener: Listener) -> Iterator[Outcome]:
        (cell,) = job.cells
        if self.stop_after is not None and len(self.jobs) >= self.stop_after:
            raise KeyboardInterrupt
        self.jobs.append(cell)
        status = self.ending(cell)
        outcome = Outcome(
            spec=cell.spec,
            environment=self.environment,
            started_utc=f"2030-01-01T00:00:{len(self.jobs):02d}",
            seconds=1.0,
            status=status,
            reason="" if status is Status.OK else "as the test wants it",
            model=b.model(),
            phases=self.answers(cell),
            meters_s=0.25,
        )
        yield replace(outcome, signal=None if status is Status.OK else "SIGSEGV")

    @property
    def order(self) -> list[tuple[str, int]]:
        """Variant and process of every call."""
        return [(job.spec.variant.name, job.process) for job in self.jobs]
