"""Minutes of back-to-back work: does the rate hold, and if not, since when?

The rates of single requests are averaged in bins of successive requests. One change of level is
fitted by least squares; its p is from permutations of blocks of bins, because neighbouring bins are
alike and permuting them one by one would find changes in any slow wander.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.stability import Flag, observed_flags
from slmbench.records import Measurement, PhaseRecord
from slmbench.spec import WorkloadSpec
from slmbench.store import StoredRun

MOST_BINS = 60
FEWEST_BINS = 10
EDGE_BINS = 2
"""No change is placed closer than this to an end."""
DRAWS = 999
SEED = 20_250_602
CHANGED_P = 0.01
THROTTLES: frozenset[Flag] = frozenset({"throttled", "gpu throttled"})

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """The best single change of level in a series."""

    at_s: float
    """Time at which the second level begins [s]."""
    before: float
    """Mean rate until then [tok/s]."""
    after: float
    p: float
    """Of a change as large in a series of the same blocks in random order."""

    @property
    def ratio(self) -> float:
        """after / before."""
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class Sustained:
    """Sustained work of one process at one point."""

    run: StoredRun
    point: str
    process: int
    seconds: float
    requests: int
    burst: float | None
    """[tok/s]; as the rates below."""
    steady: float | None
    change: Change | None
    """None: too few bins to look for one."""
    flags: tuple[Flag, ...]
    """What meters saw in any slice."""

    @property
    def throttled(self) -> bool:
        """Whether a meter saw the machine being held back."""
        return bool(THROTTLES & set(self.flags))

    @property
    def verdict(self) -> str:
        """In words."""
        if self.change is None:
            return "too short to look for a change"
        if self.change.p >= CHANGED_P:
            return "steady: no change of level is resolved"
        way = "slower" if self.change.ratio < 1 else "faster"
        held = ", throttling was seen" if self.throttled else ""
        percent = abs(self.change.ratio - 1)
        return f"{way} by {percent:.1%} from {self.change.at_s:.0f} s on{held}"


def change_point(
    rates: Sequence[float], ends: Sequence[float], *, seed: int = SEED
) -> Change | None:
    """The largest single change of level of ``rates`` [tok/s] over their times [s].

    Statistic: k(n-k)/n (mean_1 - mean_2)², the sum of squares that two levels explain, at its
    best k; p = (1 + permutations as large) / (1 + permutations). None below ten bins.
    """
    found = binned(rates, ends)
    if found is None:
        return None
    levels, edges = found
    n = len(levels)
    explained = _explained(levels[None, :])[0]
    k = int(np.argmax(explained)) + EDGE_BINS
    block = max(1, round(n ** (1 / 3)))
    numbers = np.random.default_rng(seed)
    blocks = [levels[i : i + block] for i in range(0, n, block)]
    drawn = np.stack(
        [
            np.concatenate([blocks[i] for i in numbers.permutation(len(blocks))])
            for _ in range(DRAWS)
        ]
    )
    best = _explained(drawn).max(axis=1)
    p = (1 + int((best >= explained.max() * (1 - 1e-12)).sum())) / (1 + DRAWS)
    return Change(float(edges[k]), float(levels[:k].mean()), float(levels[k:].mean()), p)


def _explained(series: Series) -> Series:
    """Sum of squares between two levels, shape (rows, n) -> (rows, splits)."""
    n = series.shape[1]
    sums = np.cumsum(series, axis=1)
    k = np.arange(EDGE_BINS, n - EDGE_BINS + 1)
    left = sums[:, k - 1] / k
    right = (sums[:, -1:] - sums[:, k - 1]) / (n - k)
    explained: Series = k * (n - k) / n * (left - right) ** 2
    return explained


def binned(rates: Sequence[float], ends: Sequence[float]) -> tuple[Series, Series] | None:
    """Mean rate per bin of equal numbers of requests, and when each bin begins [s].

    None when there are fewer requests than ten bins need.
    """
    count = min(MOST_BINS, len(rates))
    if count < FEWEST_BINS:
        return None
    parts = np.array_split(np.arange(len(rates)), count)
    values = np.asarray(rates, dtype=float)
    levels = np.asarray([float(values[part].mean()) for part in parts])
    begins = np.asarray([0.0 if part[0] == 0 else float(ends[part[0] - 1]) for part in parts])
    return levels, begins


def sustained(runs: Iterable[StoredRun]) -> tuple[Sustained, ...]:
    """One result per process and point of every run of sustained work."""
    return tuple(one for run in runs for one in _of_run(run))


def _of_run(run: StoredRun) -> Iterator[Sustained]:
    work = run.spec.work
    if not isinstance(work, WorkloadSpec) or work.workload != "sustained":
        return
    for process in sorted({phase.process for phase in run.record.phases}):
        mine = [phase for phase in run.record.phases if phase.process == process]
        for point in dict.fromkeys(m.point for m in _all(mine, "request_rate_series")):
            yield _course(run, process, point, mine)


def _course(run: StoredRun, process: int, point: str, phases: Sequence[PhaseRecord]) -> Sustained:
    rates = _samples(phases, "request_rate_series", point)
    ends = _samples(phases, "request_end_series", point)
    seen = [
        o
        for phase in phases
        if any(m.point == point for m in phase.measurements)
        for o in phase.observations
    ]
    return Sustained(
        run,
        point,
        process,
        seconds=max(ends, default=0.0),
        requests=len(rates),
        burst=next(iter(_samples(phases, "burst_rate", point)), None),
        steady=next(iter(_samples(phases, "sustained_rate", point)), None),
        change=change_point(rates, ends) if len(rates) == len(ends) else None,
        flags=observed_flags("tok/s", seen),
    )


def _all(phases: Sequence[PhaseRecord], metric: str) -> list[Measurement]:
    return [m for phase in phases for m in phase.measurements if m.metric == metric]


def _samples(phases: Sequence[PhaseRecord], metric: str, point: str) -> list[float]:
    return [s for m in _all(phases, metric) if m.point == point for s in m.samples]
