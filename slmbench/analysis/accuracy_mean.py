"""The accuracy of one system: its scores task by task, their mean, and both against another.

A mean over tasks is compared as the mean of the paired differences, with the standard errors of
the tasks combined (they are independent): never as the difference of two means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from slmbench.analysis.chance import chance_level
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.paired import Difference, paired_difference
from slmbench.analysis.rows import Judged, primary_metric
from slmbench.analysis.statistics import Estimate, mean_estimate, mean_of_means
from slmbench.analysis.systems import System
from slmbench.metrics import METRICS

ACCURACY = ("acc", "acc_norm", "acc_bytes", "exact_match")
"""Primary metrics that count towards the accuracy mean, outside the suites below."""
NOT_ACCURACY = frozenset({"hallucination", "bias", "privacy", "robustness"})
"""Suites whose accuracies are about something else."""


@dataclass(frozen=True, slots=True)
class Score:
    """One accuracy task of one system."""

    run: JudgedRun
    metric: str
    estimate: Estimate
    chance: float | None
    """What guessing scores on these items; None for answers in words."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.run.run.spec.work_name

    @property
    def judged(self) -> Judged:
        """Its judgements."""
        return self.run.judged[self.metric]


Scores = Mapping[tuple[str, str], Score]
"""By suite and task."""


def accuracy_scores(runs: Iterable[JudgedRun]) -> Mapping[System, Scores]:
    """Scores of the newest run of every accuracy task, by system."""
    found: dict[System, dict[tuple[str, str], Score]] = {}
    for run in sorted(runs, key=lambda r: r.run.record.run_id):
        spec, metric = run.run.spec, primary_metric(run.run)
        if metric not in ACCURACY or metric not in run.judged or spec.suite in NOT_ACCURACY:
            continue
        kept = _kept(run.judged[metric])
        estimate = mean_estimate([v for v, _ in kept], [c for _, c in kept], bounded=True)
        chance = chance_level(metric, run.items.items) if METRICS[metric].chance else None
        mine = found.setdefault(System.of(run.run), {})
        mine[spec.suite, spec.work_name] = Score(run, metric, estimate, chance)
    return found


def _kept(judged: Judged) -> list[tuple[float, str]]:
    pairs = zip(judged.values, judged.clusters, strict=True)
    return [(value, cluster) for value, cluster in pairs if value is not None]


def mean_score(scores: Collection[Score]) -> Estimate:
    """Unweighted mean over tasks with the combined standard error."""
    return mean_of_means([score.estimate for score in scores])


def mean_chance(scores: Collection[Score]) -> float | None:
    """What guessing scores on average; None when one of the tasks has no chance level."""
    levels = [score.chance for score in scores if score.chance is not None]
    return sum(levels) / len(levels) if levels and len(levels) == len(scores) else None


def shared(mine: Scores, theirs: Scores) -> list[tuple[Score, Score]]:
    """(mine, theirs) of the tasks that both were asked with the same items, by task."""
    return [
        (score, theirs[key])
        for key, score in sorted(mine.items())
        if key in theirs
        and theirs[key].metric == score.metric
        and theirs[key].run.run.record.item_set == score.run.run.record.item_set
    ]


def mean_difference(pairs: Collection[tuple[Score, Score]]) -> Difference | None:
    """Mean over tasks of (mine - theirs), paired by item; None when a task has no common item."""
    found = [paired_difference(theirs.judged, mine.judged) for mine, theirs in pairs]
    return mean_of_differences([d for d in found if d is not None]) if all(found) else None


def mean_of_differences(found: Collection[Difference]) -> Difference | None:
    """Unweighted mean of paired differences in several tasks; None without any.

    SE = sqrt(sum SE²) / k and a normal interval; a task in which nothing changed lends the SE
    that its own interval stands for.
    """
    parts = [Estimate(d.delta, d.n, d.low, d.high, d.se) for d in found]
    mean = mean_of_means(parts)
    if mean.value is None:
        return None
    return Difference(mean.value, mean.n, mean.low, mean.high, se=mean.se)
