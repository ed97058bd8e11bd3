"""Energy: windows of identical iterations, idle before and after, the model loaded throughout."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from slmbench.backends.protocol import BackendError
from slmbench.meters import METERS
from slmbench.meters.carbon import grid_here
from slmbench.records import Observation, PhaseRecord, Status
from slmbench.requests import GenerateOutput
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for, spent
from slmbench.runner.workloads.energy_rows import Work, estimates, gross, idle_power, net
from slmbench.runner.workloads.latency import cold_prefill
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts

SHORT_WINDOW_S = 30.0
POOL = 128
"""Different prompts of a window, made before it opens; then they come round again."""
_SOURCES = ("wall", "rapl", "nvml")


def steps(spec: WorkloadSpec) -> int:
    """One per window."""
    return len(spec.points) * spec.repeats


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Idle, then per point windows of identical iterations and idle again.

    A window counts as net of the idle phases next to its point's windows, so windows are handed
    out after the idle that follows them.
    """
    if any(point.depth for point in bench.spec.points):
        raise BackendError(
            Status.UNSUPPORTED,
            "an energy window cannot leave out what fills a depth",
            "use longer prompts instead of @d points",
        )
    watch = Watch.of(meters_for("window", bench.device), bench.device)
    idle = Watch.of(meters_for("idle", bench.device), bench.device)
    around: list[PhaseRecord] = []
    for number, point in enumerate(bench.spec.points):
        for prompts in _prompts(bench, point, bench.spec.warmup, "warm-up"):
            bench.backend.generate_ids(prompts, point.output_tokens)
        if number == 0:
            around = list(_idle(idle, "idle_before", bench.spec.idle_s, point.label))
            yield from around
        windows = []
        for index in range(bench.spec.repeats):
            windows.append(_window(bench, watch, point, index))
            bench.step()
        after = list(_idle(idle, "idle_after", bench.spec.idle_s, point.label))
        for window in windows:
            yield window.finished((*around, *after))
        yield from after
        around = after


def before_load(spec: WorkloadSpec, device: str) -> tuple[PhaseRecord, ...]:
    """Idle with the engine imported and no model, where a source of energy can be read at all."""
    names = meters_for("idle", device)
    if not any(METERS.load(n).availability().ok for n in names if n in _SOURCES):
        return ()
    return tuple(_idle(Watch.of(names, device), "idle_unloaded", spec.idle_s, ""))


def _idle(watch: Watch, name: str, seconds: float, point: str) -> Iterator[PhaseRecord]:
    """A phase of sleep with its mean power; none where no idle is asked for."""
    if seconds <= 0:
        return
    with watch.phase(name, point=point) as phase:
        time.sleep(seconds)
    record = phase.finished()
    power = idle_power(record, point)
    yield record.model_copy(update={"measurements": (*record.measurements, *power)})


def _prompts(
    bench: Bench, point: WorkloadPoint, count: int, what: str
) -> list[tuple[tuple[int, ...], ...]]:
    """``count`` batches of prompts that no other window or process has."""
    vocab, seed = bench.backend.vocab_size(), bench.spec.seed
    first = POOL * (bench.spec.repeats + 1) * bench.process
    first += 0 if what == "warm-up" else POOL * (int(what) + 1)
    return [random_prompts(point, vocab, seed, first + i) for i in range(count)]


@dataclass(frozen=True, slots=True)
class _Window:
    """A window that waits for the idle after it."""

    record: PhaseRecord
    work: Work
    notes: tuple[Observation, ...] = field(default=())

    def finished(self, idle: Sequence[PhaseRecord]) -> PhaseRecord:
        """The record with everything that follows from its energy."""
        record, work = self.record, self.work
        made = (*work.counts(), *gross(record, work, grid_here()), *estimates(record, work))
        beyond = net(record, work, idle) if idle else ()
        return record.model_copy(
            update={
                "measurements": (*record.measurements, *made, *beyond),
                "observations": (*record.observations, *self.notes),
            }
        )


def _window(bench: Bench, watch: Watch, point: WorkloadPoint, index: int) -> _Window:
    """One window of at least ``window_s`` of identical iterations."""
    spec = bench.spec
    outputs: list[GenerateOutput] = []
    prompts = cycle(_prompts(bench, point, POOL, str(index)))
    iterations = 0
    with watch.phase("window", point=point.label) as phase:
        begin = time.perf_counter_ns()
        while iterations == 0 or spent(begin) < spec.window_s:
            outputs += bench.backend.generate_ids(next(prompts), point.output_tokens)
            iterations += 1
    record = phase.finished()
    notes = list(cold_prefill(outputs))
    if spec.window_s < SHORT_WINDOW_S:
        notes.append(_short(spec.window_s))
    work = Work(
        point,
        iterations,
        prompt_tokens=sum(o.evaluated_tokens for o in outputs),
        output_tokens=sum(len(o.token_ids) for o in outputs),
        seconds=record.duration_ns * 1e-9,
    )
    return _Window(record, work, tuple(notes))


def _short(window_s: float) -> Observation:
    return Observation(
        kind="short_window",
        value=window_s,
        unit="s",
        message=f"window of {window_s:g} s: below {SHORT_WINDOW_S:g} s a counter's edges and "
        "start-up effects weigh in",
    )
