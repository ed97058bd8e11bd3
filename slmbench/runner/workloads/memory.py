"""Memory: phases of a fresh process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for, samples
from slmbench.spec import WorkloadSpec
from slmbench.tasks.workloads import random_prompts


def steps(spec: WorkloadSpec) -> int:
    """One per warm-up, and one each for prefill and decode of a repetition."""
    return len(spec.points) * (spec.warmup + 2 * spec.repeats)


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """warm_up, prefill (one token) and decode, then the peak over all phases and loading."""
    watch = Watch.of(meters_for("memory", bench.device), bench.device)
    vocab = bench.backend.vocab_size()
    peaks = [peak for phase in load for peak in samples(phase, "peak_rss")]
    for point in bench.spec.points:
        stages = [("warm_up", 1)] * bench.spec.warmup
        stages += [("prefill", 1), ("decode", point.output_tokens)] * bench.spec.repeats
        for index, (name, tokens) in enumerate(stages):
            prompts = random_prompts(point, vocab, bench.spec.seed, index)
            with watch.phase(name, point=point.label) as phase:
                bench.backend.generate_ids(prompts, tokens, depth=point.depth)
            bench.step()
            record = phase.finished()
            peaks += samples(record, "peak_rss")
            yield record
    with Watch(()).phase("total") as total:
        total.add(_peak(peaks))
    yield total.finished()


def runtime_phase(watch: Watch) -> PhaseRecord:
    """What the process holds with its engine imported and no model: the runtime's own share."""
    with watch.phase("runtime") as phase:
        pass
    record = phase.finished()
    held = samples(record, "pss_anon") + samples(record, "pss_file")
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
