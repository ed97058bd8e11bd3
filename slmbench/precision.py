"""When timings are known well enough: how wide the interval over processes still is.

The unit is the process. Repetitions within one share its address layout, its page cache and its
moment, so their spread says too little about the next process (Georges, Buytaert & Eeckhout 2007,
OOPSLA, sections 3.2 to 3.4; Kalibera & Jones 2013, ISMM, section 4). Each process gives one value,
the median of its timed samples; the interval is Student's t over the logarithms of these values,
which suits times: they are positive and skewed to the right, and the interval cannot reach below
zero. It is an interval for the geometric mean of process medians, that is for their median where
their logarithms are symmetric.

Looking after every round and stopping at the first interval that is narrow enough makes the last
one a little too narrow, as every fixed-width rule without a bound from below does (Chow & Robbins
1965, Ann Math Statist 36:457). The declared number of processes is that bound.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slmbench.records import PhaseRecord

JUDGED = ("ttft", "tpot")
"""Metrics whose intervals decide."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Width:
    """How well one metric of one point is known."""

    point: str
    metric: str
    processes: int
    """That gave samples."""
    halfwidth: float | None
    """Upper half of the interval, relative to its centre; None below two processes."""

    def within(self, precision: float) -> bool:
        """Whether the interval is narrow enough on both sides."""
        return self.halfwidth is not None and self.halfwidth <= precision


def widths(phases: Iterable[PhaseRecord]) -> tuple[Width, ...]:
    """One per point and judged metric that was measured, in the order of appearance."""
    samples: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for phase in phases:
        for m in phase.measurements:
            if m.metric in JUDGED and m.samples:
                samples[m.point, m.metric][phase.process] += m.samples
    return tuple(
        Width(point, metric, len(found), halfwidth([statistics.median(s) for s in found.values()]))
        for (point, metric), found in samples.items()
    )


def halfwidth(medians: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """exp(t · sd / √n) - 1 over the logarithms of ``medians``: the wider, upper side.

    None for fewer than two values, or one that is not positive.
    """
    from scipy.special import stdtrit

    n = len(medians)
    if n < 2 or min(medians) <= 0:
        return None
    spread = statistics.stdev(map(math.log, medians))
    quantile = float(stdtrit(n - 1, (1 + confidence) / 2))
    return math.expm1(quantile * spread / math.sqrt(n))
