"""Run a synthetic load on a loaded backend, phase by phase, under the meters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slmbench.backends import Backend
from slmbench.records import Measurement, Observation, PhaseRecord, Provenance
from slmbench.requests import GenerateOutput
from slmbench.runner.phases import Watch
from slmbench.runner.timing import latency_measurements
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts, repetitions

_GPU_METERS = ("cuda", "nvml")


def meters_for(use: str, device: str) -> tuple[str, ...]:
    """Names of the meters for a use: a workload's name, ``window`` (energy) or ``idle``.

    Meters of a GPU are left out on other devices: there is nothing that they could say.
    """
    names = {
        "memory": ("interference", "memory", "cuda", "nvml"),
        "window": ("interference", "rapl", "nvml", "codecarbon"),
        "idle": ("interference", "rapl", "nvml"),
    }.get(use, ("interference",))
    if device.startswith("cuda"):
        return names
    return tuple(name for name in names if name not in _GPU_METERS)


_SHORT_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class Bench:
    """A loaded model and what a workload may use around it."""

    backend: Backend
    spec: WorkloadSpec
    device: str
    step: Callable[[], None]
    """Called after every repetition."""


def steps_of(spec: WorkloadSpec) -> int:
    """How often ``step`` is called; energy windows count as one step each."""
    if spec.workload == "energy":
        return len(spec.points) * spec.repeats
    return len(spec.points) * (spec.warmup + spec.repeats)


def run_workload(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """The phases of the workload, each yielded as soon as it is over."""
    runs: dict[str, Callable[[Bench, Sequence[PhaseRecord]], Iterator[PhaseRecord]]] = {
        "latency": _latency,
        "memory": _memory,
        "energy": _energy,
    }
    yield from runs[bench.spec.workload](bench, load)


def _latency(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Per point a warm_up and a timed phase ``decode`` that holds all latency samples."""
    watch = Watch.of(meters_for("latency", bench.device), bench.device)
    planned = list(repetitions(bench.spec, bench.backend.vocab_size()))
    for point in bench.spec.points:
        for timed in (False, True):
            chosen = [r for r in planned if r.point == point and r.timed == timed]
            if not chosen:
                continue
            outputs: list[GenerateOutput] = []
            begin = time.perf_counter_ns()
            with watch.phase("timed" if timed else "warm_up", point=point.label) as phase:
                for repetition in chosen:
                    if outputs and _spent(begin) > (bench.spec.budget_s or math.inf):
                        break
                    got = bench.backend.generate_ids(repetition.prompts, point.output_tokens)
                    outputs.append(got[0])
                    bench.step()
                if timed:
                    phase.add(*latency_measurements(outputs, point.label))
                for observation in cold_prefill(outputs):
                    phase.observe(observation)
            yield phase.finished()


def _spent(begin_ns: int) -> float:
    return (time.perf_counter_ns() - begin_ns) * 1e-9


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


def _memory(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """warm_up, prefill (one token) and decode, then the peak over all phases and loading."""
    watch = Watch.of(meters_for("memory", bench.device), bench.device)
    vocab = bench.backend.vocab_size()
    peaks = [peak for phase in load for peak in _samples(phase, "peak_rss")]
    for point in bench.spec.points:
        stages = [("warm_up", 1)] * bench.spec.warmup
        stages += [("prefill", 1), ("decode", point.output_tokens)] * bench.spec.repeats
        for index, (name, tokens) in enumerate(stages):
            prompts = random_prompts(point, vocab, bench.spec.seed, index)
            with watch.phase(name, point=point.label) as phase:
                bench.backend.generate_ids(prompts, tokens)
            bench.step()
            record = phase.finished()
            peaks += _samples(record, "peak_rss")
            yield record
    with Watch(()).phase("total") as total:
        total.add(_peak(peaks))
    yield total.finished()


def runtime_phase(watch: Watch) -> PhaseRecord:
    """What the process holds with its engine imported and no model: the runtime's own share."""
    with watch.phase("runtime") as phase:
        pass
    record = phase.finished()
    held = _samples(record, "pss_anon") + _samples(record, "pss_file")
    if not held:
        return record
    overhead = Measurement(
        metric="runtime_overhead",
        samples=(sum(held),),
        provenance=Provenance.DERIVED,
        method="derived",
        scope="worker process, Pss_Anon + Pss_File",
    )
    return record.model_copy(update={"measurements": (*record.measurements, overhead)})


def _peak(peaks: Sequence[float]) -> Measurement:
    if not peaks:
        return Measurement(
            metric="peak_memory",
            samples=(),
            provenance=Provenance.UNAVAILABLE,
            method="counter",
            reason="no phase could read VmHWM",
        )
    return Measurement(
        metric="peak_memory",
        samples=(max(peaks),),
        provenance=Provenance.MEASURED,
        method="counter",
        scope="worker process, all phases, runtime included",
    )


def _energy(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
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
        while _spent(begin) < spec.window_s:
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


def _samples(record: PhaseRecord, metric: str) -> tuple[float, ...]:
    return tuple(s for m in record.measurements if m.metric == metric for s in m.samples)
