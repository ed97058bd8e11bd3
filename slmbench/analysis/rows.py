"""From stored runs to metric rows: a row a number, with its interval, provenance and flags."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from slmbench.analysis.processes import process_estimate
from slmbench.analysis.roofline import derived, in_cache
from slmbench.analysis.stability import (
    MOVED_BY_INTERFERENCE,
    Flag,
    observed_flags,
    sample_flags,
    score_flags,
)
from slmbench.analysis.statistics import (
    Estimate,
    distance_estimate,
    exp_estimate,
    mean_estimate,
    pooled_estimate,
)
from slmbench.analysis.steadiness import Seen, Steadiness, steadiness
from slmbench.metrics import METRICS, Metric
from slmbench.records import Measurement, Observation, PhaseRecord, Provenance, ScoreRow, Status
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun

HEADLINE: Mapping[str, str] = {
    "latency": "tpot",
    "memory": "peak_memory",
    "memory_context": "memory_per_token",
    "oom_frontier": "max_context",
    "energy": "energy_per_token",
    "sustained": "sustained_rate",
    "fidelity": "kld",
    "serving": "goodput",
}
"""The metric that stands for each workload."""
PERPLEXITY_OF: Mapping[str, str] = {
    "ppl_gptq_2048": "nll_gptq_2048",
    "ppl_llama_cpp_512": "nll_llama_cpp_512",
    "ppl_rolling": "nll_rolling",
}
"""Derived metric -> the judged one that it is the exponential of."""
DISTANCE_OF: Mapping[str, str] = {"stereotype_distance": "stereotype_preference"}
"""Derived metric -> the judged one whose distance from its ideal it is."""
JUDGED_OF: Mapping[str, str] = {**DISTANCE_OF, **PERPLEXITY_OF}
"""Derived metric -> the judged one that it is made of, and that pairs are compared in."""
_COSTS = frozenset(
    {"s", "of peak", "tok/s", "req/s", "bytes", "J", "W", "Wh", "J·s", "J/token", "gCO2e"}
)
BY_WINDOW = frozenset({"kld", "top1_agreement", "logprob_true_delta", "prob_true_delta"})
"""Metrics with a sample per token: the tokens of a phase (a window of text) are one cluster."""
_YES_OR_NO = frozenset({"top1_agreement", "slo_attainment"})
"""Measured metrics whose samples are 0 or 1: their mean gets a Wilson interval."""
_NOT_THE_LOAD = frozenset({"warm_up", "idle_unloaded", "idle_before", "idle_after"})
"""Phases whose readings never stand for a workload."""
_SCHEDULE = frozenset({"arrival_time"})
"""In seconds, and yet chosen: not what the machine did."""
_KEPT_WHEN_SIMULATED = frozenset({"artefact_size"})

ChanceOf = Callable[[StoredRun, str], float | None]
"""Chance level of a metric in a run, or None."""


@dataclass(frozen=True, slots=True)
class Judged:
    """All judgements of one metric in one run, unscored items included, in stored order."""

    items: tuple[str, ...]
    clusters: tuple[str, ...]
    groups: tuple[str, ...]
    values: tuple[float | None, ...]
    failures: tuple[str | None, ...]
    weights: tuple[float | None, ...] = ()
    """Of a pooled metric: tokens or bytes of each item; empty: items count alike."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One number of one run, or the reason why there is none."""

    run: StoredRun
    metric: str
    estimate: Estimate
    provenance: Provenance
    primary: bool = False
    phase: str = ""
    point: str = ""
    scope: str = ""
    method: str = ""
    reason: str = ""
    n_failed: int = 0
    chance: float | None = None
    flags: tuple[Flag, ...] = ()
    processes: int = 0
    """Processes that the readings are from; 0 for judged items."""
    steadiness: Steadiness | None = None
    """Of timed workloads, in metrics that interference can move."""

    @property
    def declared(self) -> Metric | None:
        """The metric's entry in the metrics table; None for one this version does not know."""
        return METRICS.get(self.metric)

    @property
    def suspect(self) -> bool:
        """Whether a plausibility guard recognised a bug; ``reason`` says which."""
        return "suspect" in self.flags

    @property
    def unit(self) -> str:
        """Unit of value and interval; empty for an unknown metric."""
        return self.declared.unit if self.declared else ""

    @property
    def direction(self) -> Literal["higher", "lower", "none"]:
        """Which way is better."""
        return self.declared.direction if self.declared else "none"


def judged_by_metric(scores: Iterable[ScoreRow]) -> dict[str, Judged]:
    """Judgements grouped by metric, in stored order."""
    grouped: dict[str, list[ScoreRow]] = {}
    for row in scores:
        grouped.setdefault(row.metric, []).append(row)
    return {
        name: Judged(
            tuple(r.item_id for r in rows),
            tuple(r.cluster for r in rows),
            tuple(r.group for r in rows),
            tuple(r.value for r in rows),
            tuple(r.failure for r in rows),
            tuple(r.weight for r in rows) if any(r.weight is not None for r in rows) else (),
        )
        for name, rows in grouped.items()
    }


def primary_metric(run: StoredRun) -> str:
    """The metric that stands for the run's task or workload."""
    work = run.spec.work
    if isinstance(work, TaskSpec):
        return work.primary
    return HEADLINE.get(work.workload, "e2e")


def metric_rows(
    run: StoredRun, judged: Mapping[str, Judged] | None, chance_of: ChanceOf
) -> tuple[MetricRow, ...]:
    """Every number of one run; a run that failed gives one row with its reason.

    ``judged`` is None when the run's scores cannot be read.
    """
    record, primary = run.record, primary_metric(run)
    if record.status is not Status.OK:
        return (_nothing(run, primary, record.reason),)
    work = run.spec.work
    is_text = not isinstance(work, TaskSpec) and not work.timed  # a distance stands for nothing
    rows = list(_measured_rows(run, "" if is_text else primary))
    if run.spec.work_name == "memory_context":
        from slmbench.analysis.memory_fit import memory_rows  # it makes rows of this module

        rows += memory_rows(run)
    if isinstance(work, TaskSpec):
        rows += _judged_rows(run, judged or {}, chance_of)
        if not any(r.primary for r in rows):
            why = "its scores cannot be read" if judged is None else f"no scores of {primary}"
            rows.append(_nothing(run, primary, f"{why}: score the run again"))
    elif not is_text and not any(r.primary for r in rows):
        rows.append(_nothing(run, primary, f"no meter gave {primary}"))
    return tuple(rows)


def _nothing(run: StoredRun, metric: str, reason: str) -> MetricRow:
    nothing = Estimate(None, 0, method="no value")
    return MetricRow(run, metric, nothing, Provenance.UNAVAILABLE, primary=True, reason=reason)


def _judged_rows(
    run: StoredRun, judged: Mapping[str, Judged], chance_of: ChanceOf
) -> Iterator[MetricRow]:
    primary = primary_metric(run)
    for name, column in judged.items():
        declared = METRICS.get(name)
        bounded = declared is not None and declared.unit == "fraction"
        estimate = _score_estimate(column, bounded=bounded)
        failed = column.values.count(None)
        chance = chance_of(run, name)
        ranked = declared is not None and declared.direction == "higher"
        flags = score_flags(estimate, failed, chance if ranked else None)
        if run.record.adaptive is not None and run.record.adaptive.saved:
            flags = (*flags, "stopped early")
        yield MetricRow(
            run,
            name,
            estimate,
            Provenance.MEASURED if estimate.n else Provenance.UNAVAILABLE,
            primary=name == primary,
            reason="" if estimate.n else "no item could be scored",
            n_failed=failed,
            chance=chance,
            flags=flags if declared else (*flags, "unknown metric"),
        )
    for name, source in JUDGED_OF.items():
        if source in judged and name not in judged:
            yield _derived_row(run, name, judged[source])


def _derived_row(run: StoredRun, name: str, column: Judged) -> MetricRow:
    if name in PERPLEXITY_OF:
        estimate = exp_estimate(_score_estimate(column, bounded=False))
    else:
        ideal = METRICS[DISTANCE_OF[name]].ideal
        assert ideal is not None
        estimate = distance_estimate(_score_estimate(column, bounded=True), ideal)
    failed = column.values.count(None)
    return MetricRow(
        run,
        name,
        estimate,
        Provenance.DERIVED if estimate.n else Provenance.UNAVAILABLE,
        primary=name == primary_metric(run),
        reason="" if estimate.n else "no item could be scored",
        n_failed=failed,
        flags=score_flags(estimate, failed, None),
    )


def _score_estimate(column: Judged, *, bounded: bool) -> Estimate:
    if column.weights:
        weighed = [
            (v, w, c)
            for v, w, c in zip(column.values, column.weights, column.clusters, strict=True)
            if v is not None and w is not None
        ]
        return pooled_estimate(
            [v for v, _, _ in weighed], [w for _, w, _ in weighed], [c for _, _, c in weighed]
        )
    kept = [(v, c) for v, c in zip(column.values, column.clusters, strict=True) if v is not None]
    return mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=bounded)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Measurements of one kind from the phases of one name, put together."""

    phase: str
    first: Measurement
    samples: tuple[float, ...]
    clusters: tuple[str, ...]
    """The phase that each sample is from."""
    processes: tuple[int, ...]
    """The process that each sample is from."""
    seen: tuple[Seen, ...]
    """What meters saw, phase by phase."""

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What meters saw in all phases."""
        return tuple(o for phase in self.seen for o in phase.observations)

    @property
    def process_count(self) -> int:
        """Processes behind the samples."""
        return len(set(self.processes))


def _readings(run: StoredRun) -> Iterator[_Reading]:
    grouped: dict[tuple[str, ...], list[tuple[PhaseRecord, Measurement]]] = {}
    for phase in run.record.phases:
        for m in (*phase.measurements, *derived(run, phase)):
            why = m.reason if m.provenance is Provenance.UNAVAILABLE else ""
            key = (phase.phase, m.metric, m.point, m.scope, m.provenance, m.method, why)
            grouped.setdefault(key, []).append((phase, m))
    for found in grouped.values():
        samples = tuple(s for _, m in found for s in m.samples)
        clusters = tuple(str(i) for i, (_, m) in enumerate(found) for _ in m.samples)
        processes = tuple(phase.process for phase, m in found for _ in m.samples)
        seen = tuple(Seen(phase.process, phase.observations) for phase, _ in found)
        yield _Reading(found[0][0].phase, found[0][1], samples, clusters, processes, seen)


def _measured_rows(run: StoredRun, primary: str) -> Iterator[MetricRow]:
    simulated = run.record.model is not None and run.record.model.kernel == "simulated"
    for reading in _readings(run):
        first = reading.first
        declared = METRICS.get(first.metric)
        unit = declared.unit if declared else ""
        uncredited = simulated and unit in _COSTS and first.metric not in _KEPT_WHEN_SIMULATED
        base = MetricRow(
            run,
            first.metric,
            Estimate(None, 0, method="no value"),
            Provenance.UNAVAILABLE,
            primary=first.metric == primary and reading.phase not in _NOT_THE_LOAD,
            phase=reading.phase,
            point=first.point,
            scope=first.scope,
            method=first.method,
            reason=first.reason,
        )
        if uncredited:
            why = "simulated kernel: speed, memory and energy mean nothing"
            yield replace(base, flags=("simulated kernel",), reason=why)
        elif not reading.samples:
            yield base
        else:
            yield _number(base, declared, reading)


def _number(base: MetricRow, declared: Metric | None, reading: _Reading) -> MetricRow:
    """The row with its estimate, flags and verdict on steadiness."""
    by_process = reading.process_count > 1
    clusters = tuple(map(str, reading.processes)) if by_process else None
    if base.metric in BY_WINDOW:
        clusters = reading.clusters
    work = base.run.spec.work
    timed = not isinstance(work, TaskSpec) and work.timed
    moved = (
        timed
        and base.unit in MOVED_BY_INTERFERENCE
        and base.metric not in _SCHEDULE
        and reading.phase not in _NOT_THE_LOAD
    )
    flags = _reading_flags(declared, reading)
    if base.metric == "mbu" and in_cache(base.run):
        flags = (*flags, "llc resident")
    repeated = len(reading.samples) > 1 and _median(declared) and base.metric != "itl"
    if moved and not by_process and repeated:
        flags = (*flags, "one process")
    return replace(
        base,
        estimate=aggregate(declared, reading.samples, clusters, reading.processes),
        provenance=reading.first.provenance,
        flags=flags,
        processes=reading.process_count,
        steadiness=steadiness(base.unit, reading.samples, reading.processes, reading.seen)
        if moved and base.metric != "itl"
        else None,
    )


def _median(declared: Metric | None) -> bool:
    return declared is None or declared.aggregate == "median"


def _reading_flags(declared: Metric | None, reading: _Reading) -> tuple[Flag, ...]:
    if declared is None:
        return ("unknown metric",)
    if declared.name in _SCHEDULE:
        return ()
    flags = list(observed_flags(declared.unit, reading.observations))
    if declared.aggregate != "single":
        flags += sample_flags(declared.aggregate, declared.unit, reading.samples, reading.processes)
    if declared.name == "itl" and len(reading.samples) > 1:
        flags = [f for f in flags if f != "trend"]
        flags.append("dependent samples")
    return tuple(dict.fromkeys(flags))


def aggregate(
    declared: Metric | None,
    samples: tuple[float, ...],
    clusters: tuple[str, ...] | None = None,
    processes: tuple[int, ...] = (),
) -> Estimate:
    """What the metrics table says to make of raw readings; unknown metrics get their median.

    ``clusters``: samples of one cluster are not independent (means only). ``processes``: the
    process of each sample, the unit of a median's interval; none: all from one.
    """
    how = declared.aggregate if declared else "median"
    if how == "mean":
        bounded = declared is not None and declared.name in _YES_OR_NO
        return mean_estimate(samples, clusters, bounded=bounded)
    if how == "max":
        return Estimate(max(samples), len(samples), method="maximum: no interval")
    if how == "sum":
        return Estimate(math.fsum(samples), len(samples), method="sum: no interval")
    estimate = process_estimate(samples, processes or [0] * len(samples))
    if how == "single" and len(samples) == 1:
        return Estimate(estimate.value, 1, method="exact")
    if declared is not None and declared.name == "itl":
        return Estimate(estimate.value, estimate.n, method="tokens are not independent")
    return estimate
