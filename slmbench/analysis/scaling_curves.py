"""From stored latency runs to curves over the length of the context, and what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.scaling import Curve, Exponent, Fit, exponents, fewest_lengths, fit_curve
from slmbench.analysis.stability import Flag, observed_flags
from slmbench.analysis.statistics import Estimate
from slmbench.records import PhaseRecord, Status
from slmbench.spec import WorkloadPoint, WorkloadSpec
from slmbench.store import StoredRun

Quantity = Literal["prefill", "decode"]
"""``prefill``: time to first token against the prompt's length, from an empty cache. ``decode``:
time per output token against the mean number of tokens in the cache while decoding."""
DEGREE: dict[Quantity, Literal[1, 2]] = {"prefill": 2, "decode": 1}
"""Prefill computes all pairs of tokens, a decoding step reads every token's keys and values."""
_METRIC: dict[Quantity, str] = {"prefill": "ttft", "decode": "tpot"}
WORTH_A_ROW = 3
"""Lengths from which a run counts as one about scaling; too few for a fit are named as such."""

_Samples = dict[float, dict[int, list[float]]]
"""Length -> process -> repetitions."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one quantity of one run grows with the context, or why nothing can be said."""

    run: StoredRun
    quantity: Quantity
    curve: Curve | None
    fit: Fit | None
    exponents: tuple[Exponent, ...] = ()
    kv_seconds: float | None = None
    """Decode: bytes of keys and values of a token over the machine's read bandwidth [s/token]."""
    kv_ratio: Estimate | None = None
    """Decode: measured slope over ``kv_seconds``."""
    kv_reason: str = ""
    """Why there is no ratio."""
    reason: str = ""
    flags: tuple[Flag, ...] = ()


def scalings(runs: Iterable[StoredRun]) -> tuple[Scaling, ...]:
    """Every quantity that a latency run measured at three or more lengths."""
    return tuple(
        one
        for run in runs
        if isinstance(run.spec.work, WorkloadSpec) and run.spec.work.workload == "latency"
        for quantity in DEGREE
        if (one := _scaling(run, run.spec.work, quantity)) is not None
    )


def length_of(point: WorkloadPoint, quantity: Quantity) -> float | None:
    """T of a point [tokens]; None where the point says nothing about the quantity.

    Prefill: the prompt, from an empty cache. Decode: tokens 2 … n are timed, the k-th with
    depth + prompt + k - 1 tokens in the cache (itself included): depth + prompt + n/2 on average.
    Batches are left out: their time depends on two lengths.
    """
    if point.batch > 1:
        return None
    if quantity == "prefill":
        return float(point.prompt_tokens) if point.depth == 0 and point.prompt_tokens > 1 else None
    if point.output_tokens < 2:
        return None
    return point.depth + point.prompt_tokens + point.output_tokens / 2


def _scaling(run: StoredRun, work: WorkloadSpec, quantity: Quantity) -> Scaling | None:
    asked = {length_of(point, quantity) for point in work.points} - {None}
    if len(asked) < WORTH_A_ROW:
        return None
    if run.record.status is not Status.OK:
        return Scaling(run, quantity, None, None, reason=run.record.reason)
    if run.record.model is not None and run.record.model.kernel == "simulated":
        why = "simulated kernel: its speed means nothing"
        return Scaling(run, quantity, None, None, reason=why, flags=("simulated kernel",))
    phases = tuple(_timed(run, work, quantity))
    curve = _curve(phases, quantity)
    flags = _flags(phases, curve)
    needed = fewest_lengths(DEGREE[quantity])
    if curve is None or len(curve.lengths) < needed:
        found = 0 if curve is None else len(curve.lengths)
        why = f"{found} lengths measured in every process; a fit needs {needed}"
        local = exponents(curve) if curve is not None and found > 1 else ()
        return Scaling(run, quantity, curve, None, local, reason=why, flags=flags)
    fit = fit_curve(curve, DEGREE[quantity])
    if quantity == "prefill":
        return Scaling(run, quantity, curve, fit, exponents(curve), flags=flags)
    seconds, why = _kv_seconds(run)
    ratio = None if seconds is None else _over(fit.per_token, seconds)
    return Scaling(run, quantity, curve, fit, exponents(curve), seconds, ratio, why, flags=flags)


def _timed(
    run: StoredRun, work: WorkloadSpec, quantity: Quantity
) -> Iterator[tuple[float, PhaseRecord]]:
    """Length and phase of every timed phase that measured the quantity."""
    lengths = {p.label: length_of(p, quantity) for p in work.points}
    for phase in run.record.phases:
        if phase.phase != "timed":
            continue
        labels = {m.point for m in phase.measurements if m.metric == _METRIC[quantity]}
        for label in labels:
            if (length := lengths.get(label)) is not None:
                yield length, phase


def _curve(phases: Iterable[tuple[float, PhaseRecord]], quantity: Quantity) -> Curve | None:
    """Samples by process and length; lengths that a process lacks are left out for all."""
    found: _Samples = defaultdict(lambda: defaultdict(list))
    for length, phase in phases:
        for m in phase.measurements:
            if m.metric == _METRIC[quantity] and m.samples:
                found[length][phase.process] += [s for s in m.samples if s > 0]
    processes = sorted({p for by_process in found.values() for p in by_process})
    lengths = sorted(t for t, mine in found.items() if all(mine.get(p) for p in processes))
    if not lengths:
        return None
    return Curve(
        tuple(lengths), tuple(tuple(tuple(found[t][p]) for t in lengths) for p in processes)
    )


def _flags(phases: Iterable[tuple[float, PhaseRecord]], curve: Curve | None) -> tuple[Flag, ...]:
    seen = [o for _, phase in phases for o in phase.observations]
    flags = list(observed_flags("s", seen))
    if curve is not None and curve.processes == 1:
        flags.append("one process")
    return tuple(flags)


def _kv_seconds(run: StoredRun) -> tuple[float | None, str]:
    """Time that reading one token's keys and values takes at the measured bandwidth."""
    model, peaks = run.record.model, run.record.peaks
    if model is None or model.kv_bytes_per_token is None:
        return None, "no keys and values per token: the model keeps a state, or did not say"
    if peaks is None:
        return None, "the machine's read bandwidth was not measured"
    return model.kv_bytes_per_token / peaks.read_bandwidth, ""


def _over(slope: Estimate, seconds: float) -> Estimate:
    def scaled(x: float | None) -> float | None:
        return None if x is None else x / seconds

    return Estimate(
        scaled(slope.value), slope.n, scaled(slope.low), scaled(slope.high), scaled(slope.se),
        slope.method,
    )  # fmt: skip
