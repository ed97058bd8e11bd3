"""Differences of runs that stopped when enough was known: their intervals allow for the looks."""

from __future__ import annotations

from dataclasses import replace

from slmbench.analysis.paired import ALPHA, AfterLooks, Difference
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import MDE_FACTOR
from slmbench.metrics import METRICS
from slmbench.records import AdaptiveStop
from slmbench.sequential import METRIC_OF, Pair, Schedule, adjusted_p, replay_at, spread_of
from slmbench.spec import TaskSpec
from slmbench.spec.suite import Until
from slmbench.store import StoredRun


def looks_of(run: StoredRun, other: StoredRun) -> AdaptiveStop | None:
    """The looks on which the number of pairs of these two runs depends, if there were any."""
    for stop in (run.record.adaptive, other.record.adaptive):
        if stop is not None and stop.looks:
            return stop
    return None


def after_looks(
    fixed: Difference, run: StoredRun, other: StoredRun, metric: str, pair: tuple[Judged, Judged]
) -> Difference:
    """The difference with the interval and the p of the sequential rule, at 95 %.

    ``pair``: judgements of ``metric`` in ``other`` (the parent) and in ``run``. Where it is the
    very difference that was looked at, every look counts; another one of the same runs ends at
    the same item and gets the part of the error rate that the last look has. Metrics that are
    no shares stay as they are: their spread had no say in when to stop.
    """
    stop = looks_of(run, other)
    declared = METRICS.get(metric)
    if stop is None or declared is None or declared.unit != "fraction":
        return fixed
    theirs, mine = pair
    if mine.weights or theirs.weights:
        return fixed
    pairs = _pairs(theirs, mine)
    spread = spread_of([p for p in pairs if p is not None])
    if spread is None:
        return fixed
    until = _until(run) or _until(other) or Until(halfwidth=0.5)
    schedule = Schedule(until.model_copy(update={"confidence": 1 - ALPHA}), _end(run, other))
    watched = run.record.adaptive is stop and stop.parent_run == other.record.run_id
    rate = schedule.error_rate(last=True)
    factor = ALPHA / rate
    half, p = spread.halfwidth(rate), min(1.0, spread.p() * factor)
    if watched and METRIC_OF[until.metric] == metric:
        early = adjusted_p(replay_at(schedule, [one.asked for one in stop.looks[:-1]], pairs))
        p = p if early is None else min(p, early)
    return replace(
        fixed,
        low=max(-1.0, spread.centre - half),
        high=min(1.0, spread.centre + half),
        p=p,
        p_method="sequential t",
        mde=MDE_FACTOR * spread.se,
        se=spread.se,
        freedom=spread.groups - 1,
        score=None,
        looks=AfterLooks(spread.centre, factor),
    )


def _pairs(theirs: Judged, mine: Judged) -> list[Pair | None]:
    """In the order asked; None where a side could not be scored or was not asked."""
    values = dict(zip(theirs.items, theirs.values, strict=True))
    pairs: list[Pair | None] = []
    for item, b, cluster in zip(mine.items, mine.values, mine.clusters, strict=True):
        a = values.get(item)
        pairs.append(None if a is None or b is None else Pair(b - a, cluster))
    return pairs


def _until(run: StoredRun) -> Until | None:
    return run.spec.work.until if isinstance(run.spec.work, TaskSpec) else None


def _end(run: StoredRun, other: StoredRun) -> int:
    """The item that the schedule would have ended with."""
    stop, end = run.record.adaptive, other.record.items_total
    available = run.record.items_total if stop is None else stop.available
    return max(1, min(available, end) if end else available)
