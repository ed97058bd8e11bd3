"""Energy: windows of identical iterations, idle before and after, the model loaded throughout."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from slmbench.records import Measurement, Observation, PhaseRecord, Provenance
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for, spent
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts

_SHORT_WINDOW_S = 30.0


def steps(spec: WorkloadSpec) -> int:
    """One per window."""
    return len(spec.points) * spec.repeats


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """idle_before, windows of identical iterations, idle_after; the model stays loaded."""
    watch = Watch.of(meters_for("window", bench.device), bench.device)
    idle = Watch.of(meters_for("idle", bench.device), bench.device)
    vocab = bench.backend.vocab_size()
    for point in bench.spec.points:
        for index in range(bench.spec.warmup):
            prompts = random_prompts(point, vocab, bench.spec.seed, index)
            bench.backend.generate_ids(prompts, point.output_tokens)
        if bench.spec.idle_s > 0:
            yield _idle(idle, "idle_before", bench.spec.idle_s, point.label)
        for window in range(bench.spec.repeats):
            yield _window(bench, watch, point, window)
            bench.step()
        if bench.spec.idle_s > 0:
            yield _idle(idle, "idle_after", bench.spec.idle_s, point.label)


def _idle(watch: Watch, name: str, seconds: float, point: str) -> PhaseRecord:
    with watch.phase(name, point=point) as phase:
        time.sleep(seconds)
    return phase.finished()


def _window(bench: Bench, watch: Watch, point: WorkloadPoint, window: int) -> PhaseRecord:
    """One window of at least ``window_s``; energy per token is derived from what was read."""
    vocab, spec = bench.backend.vocab_size(), bench.spec
    tokens, index = 0, 1000 * (window + 1)
    with watch.phase("window", point=point.label) as phase:
        begin = time.perf_counter_ns()
        while spent(begin) < spec.window_s:
            prompts = random_prompts(point, vocab, spec.seed, index)
            bench.backend.generate_ids(prompts, point.output_tokens)
            tokens += point.output_tokens * point.batch
            index += 1
        if spec.window_s < _SHORT_WINDOW_S:
            phase.observe(_short(spec.window_s))
    record = phase.finished()
    return record.model_copy(
        update={"measurements": record.measurements + _per_token(record, tokens)}
    )


def _short(window_s: float) -> Observation:
    return Observation(
        kind="short_window",
        value=window_s,
        unit="s",
        message=f"window of {window_s:g} s: below {_SHORT_WINDOW_S:g} s a counter's edges and "
        "start-up effects weigh in",
    )


def _per_token(record: PhaseRecord, tokens: int) -> tuple[Measurement, ...]:
    """Energy over output tokens; each keeps the label, scope and reason of its source."""
    wanted = {
        "energy_gross": "energy_per_token",
        "energy_estimate": "energy_estimate_per_token",
    }
    return tuple(
        m.model_copy(
            update={
                "metric": wanted[m.metric],
                "samples": tuple(joules / tokens for joules in m.samples),
                "provenance": Provenance.DERIVED
                if m.provenance is Provenance.MEASURED
                else m.provenance,
            }
        )
        for m in record.measurements
        if m.metric in wanted
    )
