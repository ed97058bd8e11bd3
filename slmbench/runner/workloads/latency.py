"""Latency: every repetition of a point timed from a cold cache."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from slmbench.records import Observation, PhaseRecord
from slmbench.requests import GenerateOutput
from slmbench.runner.phases import Watch
from slmbench.runner.timing import latency_measurements
from slmbench.runner.workloads.bench import Bench, meters_for, spent
from slmbench.spec import WorkloadSpec


def steps(spec: WorkloadSpec) -> int:
    """One per repetition, warm-up included."""
    return len(spec.points) * (spec.warmup + spec.repeats)


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Per point a warm_up and a timed phase ``decode`` that holds all latency samples."""
    watch = Watch.of(meters_for("latency", bench.device), bench.device)
    for point in bench.spec.points:
        planned = bench.repetitions(point)
        for timed in (False, True):
            chosen = [r for r in planned if r.timed == timed]
            if not chosen:
                continue
            outputs: list[GenerateOutput] = []
            begin = time.perf_counter_ns()
            with watch.phase("timed" if timed else "warm_up", point=point.label) as phase:
                for repetition in chosen:
                    if outputs and spent(begin) > (bench.spec.budget_s or math.inf):
                        break
                    got = bench.backend.generate_ids(
                        repetition.prompts, point.output_tokens, depth=point.depth
                    )
                    outputs.append(got[0])
                    bench.step()
                if timed:
                    phase.add(*latency_measurements(outputs, point.label))
                for observation in cold_prefill(outputs):
                    phase.observe(observation)
            yield phase.finished()


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
