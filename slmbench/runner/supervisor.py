"""Start a worker, read what it says, and give every cell an ending."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from slmbench.process import Child, Ending
from slmbench.records import (
    AdaptiveStop,
    Environment,
    MachinePeaks,
    ModelInfo,
    ObserverCost,
    PhaseRecord,
    Status,
)
from slmbench.requests import ItemOutput
from slmbench.runner.endings import verdict
from slmbench.runner.events import Listener
from slmbench.runner.phases import utc_label
from slmbench.runner.protocol import (
    MESSAGE,
    AtLook,
    CellDone,
    CellJob,
    CellStarted,
    GoOn,
    Loaded,
    LoadFailed,
    Message,
    PhaseDone,
    Started,
    StepDone,
    WorkerJob,
)
from slmbench.runner.timing import load_measurement
from slmbench.runner.watch import Watcher
from slmbench.spec import RunSpec, WorkloadSpec

_MODULE = "slmbench.runner.worker"
_EXIT_S = 60.0
"""A worker without cells left may take this long to close its model."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one cell ended, with everything that was read until then."""

    spec: RunSpec
    environment: Environment | None
    """None when the worker died before it could tell."""
    started_utc: str
    seconds: float
    status: Status
    reason: str = ""
    hint: str = ""
    signal: str | None = None
    stderr_tail: tuple[str, ...] = ()
    model: ModelInfo | None = None
    phases: tuple[PhaseRecord, ...] = ()
    outputs: tuple[ItemOutput, ...] = ()
    adaptive: AdaptiveStop | None = None
    peaks: MachinePeaks | None = None
    observer: ObserverCost | None = None
    meters_s: float = 0.0
    """What the worker's meters took [s]."""


@dataclass(slots=True)
class _Attempt:
    """What one worker process has said so far."""

    environment: Environment | None = None
    model: ModelInfo | None = None
    load: tuple[PhaseRecord, ...] = ()
    failed_load: LoadFailed | None = None
    begun: float = field(default_factory=time.monotonic)
    started_utc: str = field(default_factory=utc_label)
    phases: list[PhaseRecord] = field(default_factory=list)
    outputs: list[ItemOutput] = field(default_factory=list)
    meters_s: float = 0.0

    def begin(self) -> None:
        """A cell starts: its clock and its deadline start with it."""
        self.begun, self.started_utc = time.monotonic(), utc_label()
        self.phases, self.outputs = [], []


def run_job(
    job: WorkerJob, listener: Listener, watchers: Mapping[str, Watcher] | None = None
) -> Iterator[Outcome]:
    """Run all cells of a job; one outcome per cell, in order, whatever happens.

    ``watchers`` (by cell digest) decide when cells with ``look_every`` have been asked enough.

    A worker that dies in a cell takes only that cell: the rest go on in a new worker. One that
    dies before its model is loaded would die again, so its ending is that of every cell left.
    """
    pending = list(job.cells)
    while pending:
        attempt = _Attempt()
        spec = _held(pending[0])
        try:
            child = Child(
                _MODULE,
                python=spec.target.python,
                env=worker_env(spec),
                group=Path(job.group) if job.group else None,
            )
        except OSError as error:
            why = f"no worker can be started with {spec.target.python}: {error.strerror}"
            hint = "check `python` of the target"
            yield from [_outcome(attempt, c.spec, Status.INVALID, why, hint) for c in pending]
            return
        with child:
            child.tell(job.model_copy(update={"cells": tuple(pending)}).model_dump_json())
            yield from _listen(child, attempt, pending, listener, watchers or {})
            ending = child.finish()
        lost = pending[:1] if attempt.model is not None else pending[:]
        del pending[: len(lost)]
        yield from [_lost(attempt, cell, ending) for cell in lost]


def _held(cell: CellJob) -> RunSpec:
    """The cell with the target that holds for this process: what a worker is started with."""
    return cell.spec.model_copy(update={"target": cell.runs_on})


def _listen(
    child: Child,
    attempt: _Attempt,
    pending: list[CellJob],
    listener: Listener,
    watchers: Mapping[str, Watcher],
) -> Iterator[Outcome]:
    """Follow one worker until it closes its pipe; takes each finished cell off ``pending``.

    The cell at the front of the queue sets the deadline; loading counts as part of the first.
    """

    def deadline() -> float:
        return attempt.begun + (pending[0].spec.timeout_s if pending else _EXIT_S)

    for line in child.lines(deadline):
        message = MESSAGE.validate_json(line)
        if isinstance(message, CellDone):
            spec = pending.pop(0).spec
            attempt.meters_s = message.meters_s
            outcome = _outcome(attempt, spec, message.status, message.reason, message.hint)
            watcher = watchers.get(spec.digest)
            if watcher is not None and outcome.status is Status.OK:
                outcome = replace(outcome, adaptive=watcher.record(outcome.outputs))
            yield outcome
            attempt.begin()
        elif isinstance(message, AtLook):
            more = watchers[pending[0].spec.digest].go_on(attempt.outputs)
            child.tell(GoOn(more=more).model_dump_json())
        else:
            _note(attempt, message, listener, pending)


def _note(attempt: _Attempt, message: Message, listener: Listener, pending: list[CellJob]) -> None:
    match message:
        case Started(environment=environment):
            attempt.environment = environment
        case Loaded(model=model, phases=phases):
            attempt.model, attempt.load = model, _with_start(attempt, phases, pending[0])
        case LoadFailed():
            attempt.failed_load = message
        case CellStarted(steps=steps):
            attempt.begin()
            listener.cell_started(pending[0].spec, steps)
        case StepDone(output=output):
            if output is not None:
                attempt.outputs.append(output)
            listener.step()
        case PhaseDone(phase=phase):
            attempt.phases.append(phase)


def _with_start(
    attempt: _Attempt, load: tuple[PhaseRecord, ...], cell: CellJob
) -> tuple[PhaseRecord, ...]:
    """How long the process took until its model could answer, beside the load time (timed only).

    By the supervisor's clock, from before the process was started; phases that a workload puts
    before loading (idle, runtime) are taken off.
    """
    seconds = time.monotonic() - attempt.begun
    if not (isinstance(cell.spec.work, WorkloadSpec) and cell.spec.work.timed and load):
        return load
    *before, last = load
    seconds -= sum(phase.duration_ns for phase in before) * 1e-9
    start = load_measurement(seconds, cell.page_cache, cold=cell.cold, started=True)
    measurements = (*last.measurements, start)
    return (*before, last.model_copy(update={"measurements": measurements}))


def _lost(attempt: _Attempt, cell: CellJob, ending: Ending) -> Outcome:
    """The worker ended before this cell did; what was answered until then is kept."""
    spec = cell.spec
    if (told := attempt.failed_load) is not None:
        outcome = _outcome(attempt, spec, told.status, told.reason, told.hint)
        return replace(outcome, stderr_tail=ending.stderr_tail)
    judged = verdict(ending, _held(cell))
    reason = judged.reason if attempt.model else f"while loading: {judged.reason}"
    outcome = _outcome(attempt, spec, judged.status, reason, judged.hint)
    return replace(outcome, signal=ending.signal, stderr_tail=ending.stderr_tail)


def _outcome(attempt: _Attempt, spec: RunSpec, status: Status, reason: str, hint: str) -> Outcome:
    return Outcome(
        spec=spec,
        environment=attempt.environment,
        started_utc=attempt.started_utc,
        seconds=time.monotonic() - attempt.begun,
        status=status,
        reason=reason,
        hint=hint,
        model=attempt.model,
        phases=(*attempt.load, *attempt.phases),
        outputs=tuple(attempt.outputs),
        meters_s=attempt.meters_s,
    )


def worker_env(spec: RunSpec) -> Mapping[str, str]:
    """Environment of a worker: thread counts fixed before any library reads them, offline.

    Quality does not depend on how threads wait, so there they sleep instead of spinning: on a
    machine that is also busy with something else, spinning barriers cost several times the
    time. Workloads are timed with the engine's own waiting.
    """
    threads = str(spec.target.threads or 1)
    timed = isinstance(spec.work, WorkloadSpec) and spec.work.timed
    waiting = {} if timed else {"OMP_WAIT_POLICY": "PASSIVE"}
    return {
        **waiting,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    }
