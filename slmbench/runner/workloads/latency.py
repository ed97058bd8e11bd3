"""Latency: every repetition of a point timed from a cold cache."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from slmbench.backends.protocol import BackendError
from slmbench.records import Observation, PhaseRecord, Status
from slmbench.requests import GenerateOutput
from slmbench.runner.phases import Phase, Watch
from slmbench.runner.timing import latency_measurements, not_measured
from slmbench.runner.workloads.bench import Bench, meters_for, spent
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import Repetition


def steps(spec: WorkloadSpec) -> int:
    """One per repetition, warm-up included."""
    return len(spec.points) * (spec.warmup + spec.repeats)


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Per point a warm_up and a timed phase ``timed`` that holds all latency samples.

    A point that the backend cannot run becomes a timed phase of unavailable figures with the
    reason, and the others go on; a cell without a point that ran raises what the last one did.
    """
    watch = Watch.of(meters_for("latency", bench.device), bench.device)
    ran, refused = 0, None
    for point in bench.spec.points:
        try:
            yield from _point(bench, watch, point)
            ran += 1
        except BackendError as error:
            if error.status is not Status.UNSUPPORTED:
                raise
            refused = error
            with Watch(()).phase("timed", point=point.label) as phase:
                decodes = point.output_tokens > 1
                phase.add(*not_measured(point.label, error.reason, decodes=decodes))
            yield phase.finished()
    if refused is not None and not ran:
        raise refused


def _point(bench: Bench, watch: Watch, point: WorkloadPoint) -> Iterator[PhaseRecord]:
    planned = bench.repetitions(point)
    for timed in (False, True):
        chosen = [r for r in planned if r.timed == timed]
        if not chosen:
            continue
        with watch.phase("timed" if timed else "warm_up", point=point.label) as phase:
            outputs = _repeated(bench, chosen)
            _note(phase, outputs, point, timed=timed)
        yield phase.finished()


def _repeated(bench: Bench, chosen: Sequence[Repetition]) -> list[GenerateOutput]:
    """The first row's output of each repetition, as many as the time allows, at least one."""
    outputs: list[GenerateOutput] = []
    begin = time.perf_counter_ns()
    for repetition in chosen:
        if outputs and spent(begin) > (bench.spec.budget_s or math.inf):
            break
        point = repetition.point
        got = bench.backend.generate_ids(repetition.prompts, point.output_tokens, depth=point.depth)
        outputs.append(got[0])
        bench.step()
    return outputs


def _note(
    phase: Phase, outputs: Sequence[GenerateOutput], point: WorkloadPoint, *, timed: bool
) -> None:
    if timed:
        phase.add(*latency_measurements(outputs, point.label, batch=point.batch))
    for observation in cold_prefill(outputs):
        phase.observe(observation)


def cold_prefill(outputs: Sequence[GenerateOutput]) -> tuple[Observation, ...]:
    """Gate G6: tokens that the engine evaluated must be the prompt's."""
    cached = sum(o.prompt_tokens - o.evaluated_tokens for o in outputs)
    if cached == 0:
        return ()
    return (
        Observation(
            kind="prefix_cache",
            value=float(cached),
            unit="tokens",
            message=f"{cached} prompt tokens came from a cache: TTFT and prefill rate flatter",
        ),
    )
