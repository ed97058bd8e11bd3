"""A cost of a variant against its parent's: round by round where they ran in rounds together."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from slmbench.analysis.paired import (
    Difference,
    cost_difference,
    process_difference,
    round_difference,
)
from slmbench.analysis.processes import process_medians
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.stability import INTERFERENCE, Flag
from slmbench.records import Measurement, PhaseRecord

FEWEST_ROUNDS = 3
"""Shared rounds from which the ratios of the rounds are compared."""
_DEPENDENT: Flag = "dependent samples"


@dataclass(frozen=True, slots=True)
class CostPair:
    """The difference of two rows of readings, and what makes it shaky."""

    difference: Difference
    flags: tuple[Flag, ...]

    @property
    def rounds(self) -> int:
        """Independent comparisons that the difference rests on, at least one."""
        d = self.difference
        return d.rounds or d.processes or 1


def cost_pair(parent: MetricRow, variant: MetricRow) -> CostPair | None:
    """The difference of two measured rows; None where one has no readings.

    At least three rounds shared: one ratio of process medians per round. Else at least two
    processes each: two independent groups of processes. Else two groups of repetitions, with
    the flag ``one process``; readings that depend on one another get no interval then.
    """
    before, after = samples_of(parent), samples_of(variant)
    value = parent.estimate.value
    if not before or not after or value is None:
        return None
    seen = tuple(f for f in INTERFERENCE if f in parent.flags or f in variant.flags)
    mine, theirs = round_medians(variant), round_medians(parent)
    shared = [r for r in theirs if r in mine]
    if len(shared) >= FEWEST_ROUNDS:
        paired = round_difference([theirs[r] for r in shared], [mine[r] for r in shared], value)
        return CostPair(paired, seen)
    left, right = _medians(parent), _medians(variant)
    if min(len(left), len(right)) >= 2:
        return CostPair(process_difference(left, right, value), (*seen, "few rounds"))
    found = cost_difference(before, after)
    if _DEPENDENT in variant.flags:
        found = replace(found, low=None, high=None, change_low=None, change_high=None)
    return CostPair(found, (*seen, "one process"))


def samples_of(row: MetricRow) -> tuple[float, ...]:
    """The raw readings behind a measured row, in the order taken; empty for judged items."""
    return tuple(sample for _, m in _readings(row) for sample in m.samples)


def round_medians(row: MetricRow) -> dict[str, float]:
    """The median of the row's readings in each round that they name."""
    found: dict[str, list[float]] = {}
    for phase, m in _readings(row):
        if phase.round:
            found.setdefault(phase.round, []).extend(m.samples)
    return {name: statistics.median(samples) for name, samples in found.items() if samples}


def _medians(row: MetricRow) -> tuple[float, ...]:
    origin = [phase.process for phase, m in _readings(row) for _ in m.samples]
    return process_medians(samples_of(row), origin)


def _readings(row: MetricRow) -> Iterator[tuple[PhaseRecord, Measurement]]:
    for phase in row.run.record.phases:
        if phase.phase == row.phase:
            for m in phase.measurements:
                if (m.metric, m.point, m.scope) == (row.metric, row.point, row.scope):
                    yield phase, m
