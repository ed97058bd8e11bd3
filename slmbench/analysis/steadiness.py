"""One word on how steady the machine was while a number was taken, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.processes import spread_of
from slmbench.analysis.stability import INTERFERENCE, NOISY_CV, TREND_P, observed_flags
from slmbench.analysis.statistics import trend_p
from slmbench.records import Observation

Word = Literal["steady", "noisy", "drifting", "disturbed"]
FEWEST = 3
"""Readings below which nothing is said about steadiness."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """The verdict; ``word`` is None where there are too few readings to tell."""

    word: Word | None
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a meter saw in one phase."""

    process: int
    observations: tuple[Observation, ...]


def steadiness(
    unit: str, samples: Sequence[float], processes: Sequence[int], seen: Sequence[Seen]
) -> Steadiness:
    """The gravest of what is known, in this order.

    ``disturbed``: a meter saw interference in one of the phases. ``drifting``: a trend inside the
    processes (Mann-Kendall p < 0.01). ``noisy``: variation above 5 % within or between processes.
    Else ``steady``. ``processes`` says where each sample is from.
    """
    if told := _interference(unit, seen):
        return Steadiness("disturbed", told)
    if len(samples) < FEWEST:
        return Steadiness(None, f"{len(samples)} readings: too few to tell")
    p = trend_p(samples, processes)
    if p is not None and p < TREND_P:
        return Steadiness("drifting", f"readings drift in time, Mann-Kendall p {p:.1g}")
    spread = spread_of(samples, processes)
    parts = [] if spread.within is None else [f"{100 * spread.within:.1f} % within a process"]
    if spread.between is not None:
        parts.append(f"{100 * spread.between:.1f} % between {spread.processes} processes")
    told = f"variation {', '.join(parts)}"
    return Steadiness("noisy" if spread.largest > NOISY_CV else "steady", told)


def _interference(unit: str, seen: Sequence[Seen]) -> str:
    """``loaded machine in 2 of 5 processes``, for each kind; empty when nothing was seen."""
    all_processes = len({s.process for s in seen})
    hit: Counter[str] = Counter()
    for process in {s.process for s in seen}:
        mine = [o for s in seen if s.process == process for o in s.observations]
        hit.update(INTERFERENCE.intersection(observed_flags(unit, mine)))
    many = f" of {all_processes} processes"
    return "; ".join(
        f"{flag} in {count}{many}" if all_processes > 1 else flag
        for flag, count in sorted(hit.items())
    )
