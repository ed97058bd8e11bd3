"""One try of the OOM frontier: fill a context and decode, in a process with a hard limit.

Which contexts and batches are tried is decided in :mod:`slmbench.runner.frontier`.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence

from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.runner.phases import Watch
from slmbench.runner.timing import latency_measurements
from slmbench.runner.workloads.bench import Bench, meters_for
from slmbench.spec import WorkloadSpec
from slmbench.tasks.workloads import random_prompts

_KEPT = ("ttft", "decode_rate")


def steps(spec: WorkloadSpec) -> int:
    """One."""
    del spec
    return 1


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """A single phase: the first point, once."""
    del load
    (point,) = bench.spec.points
    watch = Watch.of(meters_for("oom_frontier", bench.device), bench.device)
    prompts = random_prompts(point, bench.backend.vocab_size(), bench.spec.seed, 0)
    with watch.phase("probe", point=point.label) as phase:
        before = _major_faults()
        outputs = bench.backend.generate_ids(prompts, point.output_tokens)
        faults = _major_faults() - before
        found = latency_measurements(outputs[:1], point.label, batch=point.batch)
        phase.add(*(m for m in found if m.metric in _KEPT))
        phase.add(
            Measurement(
                metric="major_faults",
                samples=(float(faults),),
                provenance=Provenance.MEASURED,
                method="counter",
                point=point.label,
                scope="worker process, while it evaluated",
            )
        )
    bench.step()
    yield phase.finished()


def _major_faults() -> int:
    """Of this process so far: pages that had to be read from disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt
