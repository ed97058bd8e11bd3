"""The process that measures: one engine, one model, the cells of one job. ``python -m`` only.

It reads a :class:`WorkerJob` from stdin (a line; another at each look) and writes messages as
JSON lines to the descriptor that is its last argument. It imports slmbench and one engine,
nothing that prepares or judges.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from slmbench.backends import BACKENDS, Backend, LoadJob
from slmbench.backends.protocol import BackendError
from slmbench.cores import bind
from slmbench.errors import SlmbenchError
from slmbench.meters.cuda import limit_cuda_memory
from slmbench.process import enter_child, limit_memory
from slmbench.records import Environment, ModelInfo, PhaseRecord, Status
from slmbench.requests import ItemSet
from slmbench.runner.answering import (
    Acceptance,
    answers,
    batching_observation,
    cache_file,
    sharing_observation,
)
from slmbench.runner.environment import LIBRARIES, fingerprint, pinned
from slmbench.runner.phases import Watch, meters_seconds
from slmbench.runner.protocol import (
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
from slmbench.runner.timing import cached_share, load_measurement
from slmbench.runner.workloads import Bench, meters_for, run_workload, steps_of
from slmbench.runner.workloads.memory import RUNTIME_FIRST, runtime_phase
from slmbench.spec import Target, TaskSpec, WorkloadSpec
from slmbench.tasks.workloads import SERVED

OOM_HINT = "raise the target's memory_limit_bytes, shorten its context or take a smaller variant"
BUG_HINT = "run `slmbench doctor`; the record keeps the last lines of stderr"

Send = Callable[[Message], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can answer."""

    backend: Backend
    info: ModelInfo
    phases: tuple[PhaseRecord, ...]


def main() -> None:
    """Entry point of ``python -m slmbench.runner.worker``."""
    with enter_child(sys.argv) as channel:
        job = WorkerJob.model_validate_json(sys.stdin.readline())

        def send(message: Message) -> None:
            channel.write(message.model_dump_json() + "\n")

        _work(job, send)


def _work(job: WorkerJob, send: Send) -> None:
    first = job.cells[0]
    target = first.runs_on
    send(Started(environment=_settled(fingerprint(LIBRARIES), first)))
    if target.memory_limit_bytes is not None and not job.group and _on_cpu(target):
        limit_memory(target.memory_limit_bytes)
    failed, model = _ending_of(partial(_load, job, target))
    if model is None:
        send(LoadFailed(status=failed.status, reason=failed.reason, hint=failed.hint))
        return
    send(Loaded(model=model.info, phases=model.phases))
    for cell in job.cells:
        done, _ = _ending_of(partial(_run_cell, cell, model, send))
        send(done.model_copy(update={"meters_s": meters_seconds()}))
    model.backend.close()


def _settled(environment: Environment, cell: CellJob) -> Environment:
    """Bind a timed process to as many processors as it has threads, before an engine starts any.

    One that loads a server needs processors of its own beside the server's, and on a GPU the
    driver's threads do: these are left where the kernel puts them.
    """
    work, target = cell.spec.work, cell.runs_on
    if not isinstance(work, WorkloadSpec) or not work.timed or work.workload in SERVED:
        return environment
    if not _on_cpu(target):
        return environment
    return pinned(environment, bind(target.threads or 1))


def _on_cpu(target: Target) -> bool:
    """CUDA reserves address space by the gigabyte: there the limit is PyTorch's allocator's."""
    return not target.device.startswith("cuda")


def _load(job: WorkerJob, target: Target) -> LoadedModel:
    """Import the engine, then load under the meters that the work asks for."""
    backend = BACKENDS.load(target.backend)()
    if target.memory_limit_bytes is not None and not _on_cpu(target):
        limit_cuda_memory(target.device, target.memory_limit_bytes)
    work = job.cells[0].spec.work
    use = work.workload if isinstance(work, WorkloadSpec) else "task"
    watch = Watch.of(meters_for(use, target.device), target.device)
    phases = [runtime_phase(watch)] if use in RUNTIME_FIRST else []
    if isinstance(work, WorkloadSpec) and work.workload == "energy":
        from slmbench.runner.workloads.energy import before_load  # milliseconds of every start

        phases += before_load(work, target.device)
    draft = None if job.draft is None else Path(job.draft)
    request = LoadJob(Path(job.artefact), job.artefact_sha256, target, work.seed, draft)
    with watch.phase("load") as phase:
        begin = time.perf_counter_ns()
        info = backend.load(request)
        seconds = (time.perf_counter_ns() - begin) * 1e-9
        if isinstance(work, WorkloadSpec) and work.timed:  # quality: nobody asked to time it
            cell = job.cells[0]
            phase.add(load_measurement(seconds, cell.page_cache, cold=cell.cold))
            if cell.cached_share is not None:
                phase.add(cached_share(cell.cached_share, cell.page_cache))
    return LoadedModel(backend, info, (*phases, phase.finished()))


def _read_text(cell: CellJob, model: LoadedModel, send: Send) -> None:
    from slmbench.runner.fidelity import Reading, run_fidelity  # numpy is not a worker's own

    assert cell.scratch is not None
    reading = Reading(model.backend, cell.spec, Path(cell.scratch), lambda: send(StepDone()))
    send(CellStarted(digest=cell.spec.digest, steps=reading.work.repeats))
    for record in run_fidelity(reading):
        send(PhaseDone(phase=record))


def _run_cell(cell: CellJob, model: LoadedModel, send: Send) -> None:
    work = cell.spec.work
    if isinstance(work, WorkloadSpec) and not work.timed:
        _read_text(cell, model, send)
        return
    if isinstance(work, WorkloadSpec):
        if model.info.kernel == "simulated":
            raise BackendError(
                Status.UNSUPPORTED,
                "this variant runs on simulated kernels: its speed and memory say nothing",
            )
        send(CellStarted(digest=cell.spec.digest, steps=steps_of(work)))
        bench = Bench(
            model.backend,
            work,
            cell.runs_on.device,
            lambda: send(StepDone()),
            process=cell.process,
            model=model.info,
        )
        for record in run_workload(bench, model.phases):
            send(PhaseDone(phase=record))
        return
    _answer_items(cell, work, model, send)


def _answer_items(cell: CellJob, work: TaskSpec, model: LoadedModel, send: Send) -> None:
    assert cell.items is not None
    items = ItemSet.model_validate_json(Path(cell.items).read_text("utf-8")).items
    backend, share = model.backend, work.shared_prefix
    if cell.cache is not None:
        backend.remember(cache_file(Path(cell.cache), model.info, cell.spec))
    send(CellStarted(digest=cell.spec.digest, steps=len(items)))
    acceptance = Acceptance()
    with Watch.of(("interference",), cell.spec.target.device).phase("items") as phase:
        for first in range(0, len(items), stride := cell.look_every or len(items)):
            if first and not _told_to_go_on(first, send):
                break
            for output in answers(backend, items[first : first + stride], share=share):
                acceptance.add(output)
                send(StepDone(output=output))
        if (accepted := acceptance.observation()) is not None:
            phase.observe(accepted)
        for told in (sharing_observation, batching_observation):
            if (seen := told(backend, items, share=share)) is not None:
                phase.observe(seen)
    if cell.cache is not None:
        backend.remember(None)
    send(PhaseDone(phase=phase.finished()))


def _told_to_go_on(asked: int, send: Send) -> bool:
    """Pause at a look until the supervisor has judged it; without a supervisor nothing goes on."""
    send(AtLook(asked=asked))
    line = sys.stdin.readline()
    return bool(line) and GoOn.model_validate_json(line).more


def _ending_of(work: Callable[[], T]) -> tuple[CellDone, T | None]:
    """Run ``work``; whatever it raises becomes an ending that the record can hold."""
    try:
        return CellDone(status=Status.OK), work()
    except BackendError as error:
        return CellDone(status=error.status, reason=error.reason, hint=error.hint), None
    except SlmbenchError as error:
        done = CellDone(status=Status.UNSUPPORTED, reason=error.message, hint=error.hint or "")
        return done, None
    except MemoryError as error:
        reason = f"allocation failed: {error}" if str(error) else "allocation failed"
        return CellDone(status=Status.OOM, reason=reason, hint=OOM_HINT), None
    except Exception as error:  # noqa: BLE001 - a bug in one cell must not lose the others
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return CellDone(status=Status.CRASHED, reason=reason, hint=BUG_HINT), None


if __name__ == "__main__":
    main()
