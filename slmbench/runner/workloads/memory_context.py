"""Memory against context: a fresh process per point, whose context is just that long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slmbench.records import PhaseRecord
from slmbench.runner.phases import Watch
from slmbench.runner.workloads.bench import Bench, meters_for
from slmbench.runner.workloads.memory import device_memory
from slmbench.spec import RunSpec, Target, WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts


def slots(spec: RunSpec) -> tuple[Target, ...]:
    """One process a point; its context holds the point's sequences and nothing more."""
    assert isinstance(spec.work, WorkloadSpec)
    return tuple(
        spec.target.model_copy(update={"context": max(64, cells_of(point))})
        for point in spec.work.points
    )


def cells_of(point: WorkloadPoint) -> int:
    """KV cells of all sequences of a point: the T of M(T) = a + bT [tokens]."""
    return point.tokens * point.batch


def steps(spec: WorkloadSpec) -> int:
    """Prefill and decode of this process's point, for each repetition."""
    return 2 * spec.repeats


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """cache (model and context are there, nothing is evaluated), prefill, decode; on a GPU a total.

    In ``cache`` an engine that reserves its KV cells holds them and has not yet touched the
    buffers that evaluation needs; in ``prefill`` it holds both.
    """
    point = bench.spec.points[bench.process % len(bench.spec.points)]
    watch = Watch.of(meters_for("memory_context", bench.device), bench.device)
    vocab = bench.backend.vocab_size()
    seen: list[PhaseRecord] = list(load)
    with watch.phase("cache", point=point.label) as phase:
        pass
    seen.append(phase.finished())
    yield seen[-1]
    for index in range(bench.spec.repeats):
        for name, tokens in (("prefill", 1), ("decode", point.output_tokens)):
            number = 2 * (bench.process * bench.spec.repeats + index) + (name == "decode")
            prompts = random_prompts(point, vocab, bench.spec.seed, number)
            with watch.phase(name, point=point.label) as phase:
                bench.backend.generate_ids(prompts, tokens, depth=point.depth)
            bench.step()
            seen.append(phase.finished())
            yield seen[-1]
    device = tuple(device_memory(seen))
    if device:
        with Watch(()).phase("total") as total:
            total.add(*(m.model_copy(update={"point": point.label}) for m in device))
        yield total.finished()
