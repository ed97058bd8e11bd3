"""Sustained work: back-to-back requests for minutes, each with its time.

The run is cut into slices of a minute, each a phase of its own, so that what meters see
(throttling, other work) has a place in time. Burst and sustained rates follow in a phase
``summary``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from slmbench.records import Measurement, Observation, PhaseRecord, Provenance
from slmbench.runner.phases import Phase, Watch
from slmbench.runner.workloads.bench import Bench, meters_for, spent
from slmbench.runner.workloads.latency import cold_prefill
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.tasks.workloads import random_prompts

SLICE_S = 60.0
BURST_S = 60.0
BURST_SHARE = 0.2
"""Burst of runs shorter than five minutes: their first fifth."""
STEADY_SHARE = 0.5
"""The second half is the steady state, by definition and for all runs alike."""
SHORT_RUN_S = 600.0
_SCOPE = "back-to-back requests of one process"


def steps(spec: WorkloadSpec) -> int:
    """One per slice."""
    return len(spec.points) * max(1, math.ceil(spec.window_s / SLICE_S))


def run(bench: Bench, load: Sequence[PhaseRecord]) -> Iterator[PhaseRecord]:
    """Per point slices of requests without a pause, and a summary."""
    watch = Watch.of(meters_for("sustained", bench.device), bench.device)
    slices = steps(bench.spec) // len(bench.spec.points)
    for point in bench.spec.points:
        for index in range(bench.spec.warmup):
            bench.backend.generate_ids(_prompts(bench, point, index), point.output_tokens,
                                       depth=point.depth)  # fmt: skip
        course = _Course(bench, point)
        for number in range(1, slices + 1):
            until = bench.spec.window_s * number / slices
            with watch.phase("sustained", point=point.label) as phase:
                course.go_on(until, phase)
            record = phase.finished()
            course.seen += record.observations
            yield record
            bench.step()
        yield course.summary()


def _prompts(bench: Bench, point: WorkloadPoint, index: int) -> tuple[tuple[int, ...], ...]:
    seed, vocab = bench.spec.seed, bench.backend.vocab_size()
    return random_prompts(point, vocab, seed, 1_000_000 * bench.process + index)


@dataclass(slots=True)
class _Course:
    """What has been answered so far."""

    bench: Bench
    point: WorkloadPoint
    ends: list[float] = field(default_factory=list)
    """End of each request since the first one began [s]."""
    tokens: list[int] = field(default_factory=list)
    """Tokens of each request."""
    seen: list[Observation] = field(default_factory=list)
    _begun: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1000))

    def go_on(self, until: float, phase: Phase) -> None:
        """Ask until that time of the course [s], at least once."""
        backend, point = self.bench.backend, self.point
        self._begun = self._begun or time.perf_counter_ns()
        first, outputs, rates = len(self.ends), [], []
        while len(self.ends) == first or spent(self._begun) < until:
            prompts = _prompts(self.bench, point, next(self._numbers))
            asked = spent(self._begun)
            got = backend.generate_ids(prompts, point.output_tokens, depth=point.depth)
            answered = spent(self._begun)
            self.ends.append(answered)
            self.tokens.append(self._counted() * len(got))
            rates.append(self.tokens[-1] / (answered - asked))
            outputs.append(got[0])
        phase.add(
            _series("request_rate_series", rates, point),
            _series("request_end_series", self.ends[first:], point),
        )
        for observation in cold_prefill(outputs):
            phase.observe(observation)

    def _counted(self) -> int:
        """Tokens of one sequence that count: generated ones, or the prompt's of ``pp`` points."""
        only_prompt = self.point.output_tokens == 1
        return self.point.prompt_tokens if only_prompt else self.point.output_tokens

    def summary(self) -> PhaseRecord:
        """Burst rate, sustained rate and their ratio, with all that was seen on the way."""
        burst, steady = rates_of(self.ends, self.tokens)
        with Watch(()).phase("summary") as phase:
            phase.add(
                _rate("burst_rate", burst, self.point),
                _rate("sustained_rate", steady, self.point),
                _rate("sustained_share", steady / burst, self.point),
            )
            for observation in _worst(self.seen):
                phase.observe(observation)
            if self.ends[-1] < SHORT_RUN_S:
                phase.observe(_short(self.ends[-1]))
        return phase.finished()


def rates_of(ends: Sequence[float], tokens: Sequence[int]) -> tuple[float, float]:
    """Burst and steady rate [tok/s] of requests that follow each other without a pause.

    ``ends`` [s] since the first request began. A request belongs to the burst if it ended within
    it (the first one always does), and to the steady state if it began in the second half (the
    last one always does); rates are tokens over the time from the first beginning to the last end.

    >>> rates_of([10, 20, 30, 40, 60, 80, 100, 120], [100] * 8)
    (10.0, 5.0)
    """
    total = ends[-1]
    burst_s = min(BURST_S, BURST_SHARE * total)
    last = max((i for i, end in enumerate(ends) if end <= burst_s), default=0)
    burst = sum(tokens[: last + 1]) / ends[last]
    begins = [0.0, *ends[:-1]]
    first = next((i for i, b in enumerate(begins) if b >= STEADY_SHARE * total), len(ends) - 1)
    return burst, sum(tokens[first:]) / (total - begins[first])


def _worst(seen: Sequence[Observation]) -> list[Observation]:
    """Of each kind the largest."""
    found: dict[str, Observation] = {}
    for one in seen:
        if one.kind not in found or one.value > found[one.kind].value:
            found[one.kind] = one
    return list(found.values())


def _series(metric: str, values: Sequence[float], point: WorkloadPoint) -> Measurement:
    return Measurement(
        metric=metric,
        samples=tuple(values),
        provenance=Provenance.MEASURED,
        method="counter",
        point=point.label,
        scope=_SCOPE,
    )


def _rate(metric: str, value: float, point: WorkloadPoint) -> Measurement:
    return Measurement(
        metric=metric,
        samples=(value,),
        provenance=Provenance.DERIVED,
        method="derived",
        point=point.label,
        scope=_SCOPE,
    )


def _short(seconds: float) -> Observation:
    return Observation(
        kind="short_window",
        value=seconds,
        unit="s",
        message=f"{seconds:.0f} s of back-to-back work: below {SHORT_RUN_S:g} s a machine may not "
        "have reached the temperature at which it slows down",
    )
