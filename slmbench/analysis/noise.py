"""The noise floor of a machine: what a comparison finds where there is nothing to find (A/A)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import LEVEL, mean_estimate, t_test_p
from slmbench.spec import Target
from slmbench.store.noise import NoiseRatios, NoiseRecord

STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "ttft": ("ttft",),
    "prefill_rate": ("ttft",),
    "tpot": ("tpot",),
    "itl": ("tpot",),
    "decode_rate": ("tpot",),
    "e2e": ("ttft", "tpot"),
}
"""Metric -> the measured ones whose floor bounds it; the larger counts."""
FEWEST = 3
"""Rounds below which an experiment gives no floor."""


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """One metric of one experiment."""

    record: NoiseRecord
    ratios: NoiseRatios
    spread: float
    """Root mean square of the log ratios: the expected mean is known to be zero."""
    bias_p: float | None
    """Two-sided t test of that: small where the first of two names is always the faster."""

    def floor(self, rounds: int) -> float:
        """:func:`floor_of` of these ratios."""
        return floor_of(self.ratios.logs, rounds) or 0.0


def floor_of(logs: Sequence[float], rounds: int) -> float | None:
    """95 % quantile of |mean log ratio| of a comparison of ``rounds`` rounds without an effect.

    The k log ratios d of an A/A experiment have expectation 0 and s² = sum(d²) / k; the mean of R
    further ones divided by s / sqrt(R) follows Student's t with k degrees of freedom, hence::

        floor(R) = t(0.975, k) · s / sqrt(R)

    None below three rounds of the experiment. A single comparison of one process each has R = 1.

    >>> round(floor_of([0.01, -0.01, 0.01, -0.01], 4), 5)
    0.01388
    """
    if len(logs) < FEWEST:
        return None
    s = math.sqrt(math.fsum(d * d for d in logs) / len(logs))
    return t_quantile(1 - (1 - LEVEL) / 2, len(logs)) * s / math.sqrt(max(1, rounds))


def timing_floor(
    records: Sequence[NoiseRecord], machine: str, target: Target, metric: str, rounds: int
) -> float | None:
    """Floor of |log ratio| for a metric on this machine and target; None where none was measured.

    The largest over the points of the experiment and the metrics that stand for this one.
    """
    wanted = STANDS_FOR.get(metric, ())
    found = [
        floor
        for record in records
        if record.of(target, machine)
        for ratios in record.ratios
        if ratios.metric in wanted and (floor := floor_of(ratios.logs, rounds)) is not None
    ]
    return max(found, default=None)


def noise_rows(records: Sequence[NoiseRecord]) -> tuple[NoiseRow, ...]:
    """What each experiment found, metric by metric; without those of too few rounds."""
    return tuple(
        _row(record, ratios)
        for record in records
        for ratios in record.ratios
        if len(ratios.logs) >= FEWEST
    )


def _row(record: NoiseRecord, ratios: NoiseRatios) -> NoiseRow:
    logs = ratios.logs
    mean = mean_estimate(logs)
    spread = math.sqrt(math.fsum(d * d for d in logs) / len(logs))
    value, se = mean.value, mean.se
    p = None if value is None or se is None else t_test_p(value, se, len(logs) - 1)
    return NoiseRow(record, ratios, spread, p)
