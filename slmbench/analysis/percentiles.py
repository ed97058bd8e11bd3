"""Tails of latency: percentiles over requests, with an interval or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.cost_pairs import samples_of
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.stability import Flag
from slmbench.analysis.statistics import Estimate, quantile_interval
from slmbench.spec import WorkloadSpec

QUANTILES = (0.5, 0.9, 0.95, 0.99)
FEWEST: Mapping[float, int] = {0.5: 6, 0.9: 36, 0.95: 72, 0.99: 368}
"""Independent readings from which an order-statistic 95 % interval exists, both ends."""
PER_REQUEST = ("ttft", "tpot", "e2e")
PER_TOKEN = ("itl", "chunk_gap")
"""Readings that follow one another within a request: pooled, and never given an interval."""
_NOT_THE_LOAD = frozenset({"warm_up", "load"})


@dataclass(frozen=True, slots=True)
class PercentileRow:
    """One percentile of one latency of a run, or the reason why there is none."""

    row: MetricRow
    """The row of the same readings in the table of metrics."""
    quantile: float
    estimate: Estimate
    """``n`` counts requests, failed ones included; for gaps between tokens the gaps."""
    failed: int = 0
    """Requests that were never answered: slower than any."""
    reason: str = ""

    @property
    def flags(self) -> tuple[Flag, ...]:
        """As of the row, without what speaks about the middle only."""
        return tuple(f for f in self.row.flags if f not in ("few samples", "single reading"))


def percentile_rows(rows: Sequence[MetricRow]) -> tuple[PercentileRow, ...]:
    """p50, p90, p95 and p99 of every latency that was measured request by request."""
    failed = _failures(rows)
    return tuple(
        found
        for row in rows
        if _asked(row)
        for found in _of_row(row, failed.get((row.run.record.run_id, row.point), 0))
    )


def percentile(samples: Sequence[float], q: float, failed: int = 0) -> tuple[Estimate, str]:
    """The q-quantile of independent readings with its order-statistic interval, and a reason.

    Linear between order statistics; the interval is :func:`statistics.quantile_interval`'s.
    ``failed`` readings are slower than any. Without both ends of the interval (36 readings for
    p90, 72 for p95, 368 for p99) there is no number, only the reason; a median may go without.
    """
    ordered = [*sorted(samples), *[math.inf] * failed]
    n = len(ordered)
    value = _between(ordered, q)
    if not math.isfinite(value):
        return Estimate(None, n, method="no value"), f"{failed} of {n} requests were not answered"
    found = quantile_interval(ordered, q)
    if found is None or not math.isfinite(found[1]):
        why = f"needs {FEWEST[q]} requests for a 95 % interval, there are {n}"
        if found is not None:
            why = f"its 95 % interval reaches the {failed} of {n} requests that were not answered"
        if q > 0.5:
            return Estimate(None, n, method="no value"), why
        return Estimate(value, n, method="too few samples for an interval"), ""
    return Estimate(value, n, found[0], found[1], None, "order statistics of requests"), ""


def pooled_percentile(samples: Sequence[float], q: float) -> tuple[Estimate, str]:
    """The q-quantile of gaps between tokens: no interval, because they are not independent."""
    n = len(samples)
    if n < FEWEST[q]:
        why = f"needs {FEWEST[q]} gaps even if they were independent, there are {n}"
        return Estimate(None, n, method="no value"), why
    value = _between(sorted(samples), q)
    return Estimate(value, n, method="pooled over requests: no interval"), ""


def _asked(row: MetricRow) -> bool:
    timed = isinstance(row.run.spec.work, WorkloadSpec) and row.estimate.value is not None
    return timed and row.metric in (*PER_REQUEST, *PER_TOKEN) and row.phase not in _NOT_THE_LOAD


def _of_row(row: MetricRow, failed: int) -> Iterator[PercentileRow]:
    samples = samples_of(row)
    for q in QUANTILES:
        if row.metric in PER_TOKEN:
            estimate, why = pooled_percentile(samples, q)
        elif q == 0.5 and not failed:
            estimate, why = row.estimate, ""  # over processes, as in the table of metrics
        else:
            estimate, why = percentile(samples, q, failed)
        yield PercentileRow(row, q, estimate, failed if row.metric in PER_REQUEST else 0, why)


def _failures(rows: Iterable[MetricRow]) -> dict[tuple[str, str], int]:
    """Requests without an answer, by run and load; kinds of failure are added up."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.metric == "failed_requests" and row.estimate.value and row.phase != "warm_up":
            key = (row.run.record.run_id, row.point)
            found[key] = found.get(key, 0) + round(row.estimate.value)
    return found


def _between(ordered: Sequence[float], q: float) -> float:
    """Linear interpolation between order statistics; infinite where it touches an infinite one."""
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    share = place - below
    if share == 0:
        return ordered[below]
    low, high = ordered[below], ordered[below + 1]
    return high if math.isinf(high) else low + share * (high - low)
