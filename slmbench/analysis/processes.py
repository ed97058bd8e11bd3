"""Estimates whose unit is the process: repetitions inside one share its fate.

Memory layout, page placement, core and neighbours are drawn once per process, so its repetitions
are no independent readings of the next process (Kalibera & Jones 2013, ISMM, "Rigorous
benchmarking in reasonable time": resample at the highest level that varies).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import (
    LEVEL,
    Estimate,
    median_estimate,
    quantile_interval,
    variation,
)
from slmbench.precision import halfwidth

BY_RANK = 6
"""From so many processes on, order statistics of their medians give an interval."""


def by_process(samples: Sequence[float], processes: Sequence[int]) -> tuple[list[float], ...]:
    """The samples of each process, in the order in which the processes first appear."""
    grouped: dict[int, list[float]] = {}
    for process, sample in zip(processes, samples, strict=True):
        grouped.setdefault(process, []).append(sample)
    return tuple(grouped.values())


def process_medians(samples: Sequence[float], processes: Sequence[int]) -> tuple[float, ...]:
    """The median of each process.

    >>> process_medians([1, 2, 9, 4], [0, 0, 0, 1])
    (2, 4)
    """
    return tuple(statistics.median(mine) for mine in by_process(samples, processes))


@dataclass(frozen=True, slots=True)
class Spread:
    """How much repetitions vary, as coefficients of variation; null where too few tell."""

    within: float | None
    """Inside a process: root mean square over the processes."""
    between: float | None
    """Of the process medians."""
    processes: int

    @property
    def largest(self) -> float:
        """The larger of the two; 0 when neither is known."""
        return max(self.within or 0.0, self.between or 0.0)


def spread_of(samples: Sequence[float], processes: Sequence[int]) -> Spread:
    """Variation within and between processes."""
    groups = by_process(samples, processes)
    inside = [v for mine in groups if (v := variation(mine)) is not None]
    within = math.sqrt(math.fsum(v * v for v in inside) / len(inside)) if inside else None
    return Spread(within, variation([statistics.median(g) for g in groups]), len(groups))


def process_estimate(samples: Sequence[float], processes: Sequence[int]) -> Estimate:
    """The median of all samples, with a 95 % interval whose unit is the process.

    Of one process: order statistics of its repetitions. Of two to five: Student's t on the logs
    of the process medians (:func:`t_interval`). Of six or more: order statistics of the process
    medians, distribution-free. An interval that would leave the value out is stretched to it,
    which never lowers its coverage. ``n`` counts samples; the method says how many processes.
    """
    medians = process_medians(samples, processes)
    if len(medians) < 2:
        return median_estimate(samples)
    value = statistics.median(samples)
    count = len(medians)
    if count >= BY_RANK:
        interval = quantile_interval(medians, 0.5)
        how = f"order statistics of {count} process medians"
    else:
        interval = t_interval(medians)
        scale = "t of logs" if min(medians) > 0 else "t"
        how = f"{scale}, {count} process medians"
    if interval is None:
        return Estimate(value, len(samples), method="too few processes for an interval")
    low, high = min(interval[0], value), max(interval[1], value)
    return Estimate(value, len(samples), low, high, None, how)


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % t interval of the middle of a few positive values, on the log scale; None below two.

    exp( mean(log x) ± t(0.975, k-1) · sd(log x) / sqrt(k) ), which for log-normal values is the
    interval of their median. Where a value is not positive, the t interval of the mean.
    """
    count = len(values)
    if count < 2:
        return None
    if (width := halfwidth(values, LEVEL)) is not None:
        middle = statistics.geometric_mean(values)
        return middle / (1 + width), middle * (1 + width)
    middle = math.fsum(values) / count
    half = t_quantile(1 - (1 - LEVEL) / 2, count - 1) * statistics.stdev(values) / math.sqrt(count)
    return middle - half, middle + half
