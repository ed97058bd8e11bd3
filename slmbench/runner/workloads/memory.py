"""Memory: phases of a fresh process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slmbench.records import Measurement, ModelInfo, PhaseRecord, Provenance
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for, samples
from slmbench.spec import WorkloadSpec
from slmbench.tasks.workloads import random_prompts

RUNTIME_FIRST = frozenset({"memory", "memory_context"})
"""Workloads that look at the process before its model is loaded."""
_WORKER = "worker process, all phases, runtime included"


def steps(spec: WorkloadSpec) -> int:
    """One per warm-up, and one each for prefill and decode of a repetition."""
    return len(spec.points) * (spec.warmup + 2 * spec.repeats)


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """warm_up, prefill (one token) and decode, then the peak over all phases and loading."""
    watch = Watch.of(meters_for("memory", bench.device), bench.device)
    vocab = bench.backend.vocab_size()
    seen = list(load)
    for point in bench.spec.points:
        stages = [("warm_up", 1)] * bench.spec.warmup
        stages += [("prefill", 1), ("decode", point.output_tokens)] * bench.spec.repeats
        for index, (name, tokens) in enumerate(stages):
            prompts = random_prompts(point, vocab, bench.spec.seed, index)
            with watch.phase(name, point=point.label) as phase:
                bench.backend.generate_ids(prompts, tokens, depth=point.depth)
            bench.step()
            seen.append(phase.finished())
            yield seen[-1]
    yield total_phase(seen, bench.model)


def total_phase(seen: Sequence[PhaseRecord], model: ModelInfo | None = None) -> PhaseRecord:
    """The peak over all phases, what of it is the model's own, and its size on disk."""
    with Watch(()).phase("total") as total:
        total.add(*_host(seen), *device_memory(seen))
        if model is not None:
            total.add(_on_disk(model))
    return total.finished()


def runtime_phase(watch: Watch) -> PhaseRecord:
    """What the process holds with its engine imported and no model: the runtime's own share.

    By the counter of the peak, so that one can be taken from the other; where that counter is
    missing, Pss_Anon + Pss_File.
    """
    with watch.phase("runtime") as phase:
        pass
    record = phase.finished()
    held, what = samples(record, "peak_rss"), "VmHWM"
    if not held:
        parts = (samples(record, "pss_anon"), samples(record, "pss_file"))
        held, what = tuple(map(sum, zip(*parts, strict=True))), "Pss_Anon + Pss_File"
    if not held:
        return record
    overhead = Measurement(
        metric="runtime_overhead",
        samples=held,
        provenance=Provenance.DERIVED,
        method="derived",
        scope=f"worker process before a model is loaded, {what}",
    )
    return record.model_copy(update={"measurements": (*record.measurements, overhead)})


def _host(seen: Sequence[PhaseRecord]) -> Iterator[Measurement]:
    """peak_memory, and model_memory where the runtime's own share is known."""
    peaks = [peak for phase in seen for peak in samples(phase, "peak_rss")]
    overhead = [value for phase in seen for value in samples(phase, "runtime_overhead")]
    if not peaks:
        yield Measurement(
            metric="peak_memory",
            samples=(),
            provenance=Provenance.UNAVAILABLE,
            method="counter",
            reason="no phase could read VmHWM",
        )
        return
    yield Measurement(
        metric="peak_memory",
        samples=(max(peaks),),
        provenance=Provenance.MEASURED,
        method="counter",
        scope=_WORKER,
    )
    if overhead:
        yield Measurement(
            metric="model_memory",
            samples=(max(0.0, max(peaks) - max(overhead)),),
            provenance=Provenance.DERIVED,
            method="derived",
            scope="peak_memory - runtime_overhead",
        )


def _on_disk(model: ModelInfo) -> Measurement:
    return Measurement(
        metric="artefact_size",
        samples=(float(model.artefact_bytes),),
        provenance=Provenance.MEASURED,
        method="counter",
        scope="file or folder: weights and everything needed to load",
    )


def device_memory(seen: Sequence[PhaseRecord]) -> Iterator[Measurement]:
    """How much more of the GPU's memory was in use than before the model was loaded."""
    used = [value for phase in seen for value in samples(phase, "gpu_memory")]
    if used:
        yield Measurement(
            metric="gpu_memory_delta",
            samples=(max(0.0, max(used) - used[0]),),
            provenance=Provenance.DERIVED,
            method="derived",
            scope="whole device, largest reading at a phase's end - before loading",
        )
