"""What a run of the fidelity workload says about a variant and its parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.measures import TEXT_MEASURES, Found
from slmbench.analysis.statistics import LEVEL, Estimate, mean_estimate
from slmbench.records import Provenance, Status
from slmbench.spec import Reference, WorkloadSpec
from slmbench.store import StoredRun

LEAST_WINDOWS = 6
"""Below this many windows the bootstrap gives no interval."""
_DRAWS = 1000
_METRICS = ("kld", "top1_agreement", "logprob_true_delta", "prob_true_delta", "text_bpb_delta")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextDistances:
    """Per-token distances of one run, by window: tokens of a window are not independent."""

    kld: tuple[tuple[float, ...], ...]
    """KL(parent || variant) [nats], per window and token."""
    top1: tuple[tuple[float, ...], ...]
    logprob_delta: tuple[tuple[float, ...], ...]
    """log q - log p of the true token [nats]."""
    prob_delta: tuple[tuple[float, ...], ...]
    """q - p of the true token."""
    bpb_delta: tuple[float, ...]
    """Per window [bits/byte]."""
    reason: str = ""
    """Why there is no divergence."""


def reference_of(run: StoredRun) -> Reference | None:
    """Whom a run of the fidelity workload was compared with; None for any other run."""
    work = run.spec.work
    return work.reference if isinstance(work, WorkloadSpec) else None


def is_floor(run: StoredRun) -> bool:
    """Whether a model was compared with itself in another process."""
    reference = reference_of(run)
    return reference is not None and reference.variant.digest == run.spec.variant.digest


def text_distances(run: StoredRun) -> TextDistances:
    """The samples of the run's windows."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in _METRICS}
    reason = ""
    for phase in run.record.phases:
        for m in phase.measurements:
            if phase.phase != "window" or m.metric not in found:
                continue
            if m.provenance is Provenance.UNAVAILABLE:
                reason = reason or m.reason
            else:
                found[m.metric].append(m.samples)
    kld, top1, logprob, prob, bpb = (tuple(found[name]) for name in _METRICS)
    return TextDistances(kld, top1, logprob, prob, tuple(x for w in bpb for x in w), reason)


def text_measures(run: StoredRun) -> tuple[Found, ...]:
    """Every text measure of a run; a run without numbers says why for each."""
    if run.record.status is not Status.OK:
        return tuple(_nothing(m, f"{run.record.status}: {run.record.reason}") for m in
                     TEXT_MEASURES)  # fmt: skip
    d = text_distances(run)
    made = {found.measure: found for found in _measured(d)}
    why = d.reason or "the run holds no readings"
    return tuple(made.get(name) or _nothing(name, why) for name in TEXT_MEASURES)


def _nothing(measure: str, reason: str) -> Found:
    return Found(measure, Estimate(None, 0, method="no value"), reason)


def _measured(d: TextDistances) -> Iterator[Found]:
    if d.kld:
        kld = [np.asarray(w, dtype=float) for w in d.kld]
        yield Found("kld_mean", _not_negative(_mean(d.kld)))
        yield Found("kld_median", window_bootstrap(kld, lambda x: float(np.median(x))))
        yield Found("kld_p99", window_bootstrap(kld, lambda x: float(np.quantile(x, 0.99))))
        flat = np.concatenate(kld)
        largest = Estimate(float(flat.max()), flat.size, method="maximum: no interval")
        yield Found("kld_max", largest)
        yield Found("top1_agreement", _mean(d.top1, bounded=True))
        prob = [np.asarray(w, dtype=float) for w in d.prob_delta]
        yield Found("prob_rms", window_bootstrap(prob, lambda x: float(np.sqrt(np.mean(x * x)))))
        yield Found("log_ppl_ratio", _mean([[-x for x in w] for w in d.logprob_delta]))
        yield Found("logprob_abs_delta", _mean([[abs(x) for x in w] for w in d.logprob_delta]))
    if d.bpb_delta:
        yield Found("text_bpb_delta", mean_estimate(d.bpb_delta))


def _mean(windows: Sequence[Sequence[float]], *, bounded: bool = False) -> Estimate:
    """Mean over tokens with the standard error clustered by window."""
    values = [x for window in windows for x in window]
    clusters = [str(i) for i, window in enumerate(windows) for _ in window]
    return mean_estimate(values, clusters, bounded=bounded)


def _not_negative(estimate: Estimate) -> Estimate:
    return estimate if estimate.low is None else replace(estimate, low=max(0.0, estimate.low))


def window_bootstrap(
    windows: Sequence[Numbers], statistic: Callable[[Numbers], float], *, seed: int = 0
) -> Estimate:
    """A statistic of all tokens, with a percentile bootstrap that draws whole windows.

    No interval below :data:`LEAST_WINDOWS` windows. Seeded: the same data give the same ends.
    """
    flat = np.concatenate(windows)
    value = statistic(flat)
    if len(windows) < LEAST_WINDOWS:
        return Estimate(value, flat.size, method="too few windows for an interval")
    random = np.random.default_rng(seed)
    draws = random.integers(0, len(windows), size=(_DRAWS, len(windows)))
    found = [statistic(np.concatenate([windows[i] for i in draw])) for draw in draws]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2])
    return Estimate(value, flat.size, float(low), float(high), None, "bootstrap of windows")
