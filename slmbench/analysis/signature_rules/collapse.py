"""Accuracy collapse: a score at the level of guessing, or a large loss in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.analysis.accuracy_mean import (
    Score,
    Scores,
    mean_chance,
    mean_difference,
    mean_score,
    shared,
)
from slmbench.analysis.paired import ALPHA, Difference, paired_difference
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    Thresholds,
    change,
    no,
    points,
    shown,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.ladder import step_above
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.statistics import Estimate, holm
from slmbench.analysis.stopped import after_looks
from slmbench.analysis.systems import System

DEFINITION = Definition(
    "accuracy collapse",
    "collapse",
    "large drop",
    "The 95 % interval of a choice score (of one task, or of the mean over the accuracy tasks) "
    "holds the level of guessing while the same score of its parent lies above it, at most a "
    "quarter of what the parent has above guessing is left, and the paired loss is itself resolved "
    "(its interval lies below 0; of single tasks Holm-adjusted). Or: the "
    "whole paired interval of the change from the parent, or from the next better step of the same "
    "ladder of bits or parameters, lies beyond the margin. If the parent is at the level of "
    "guessing already, the nearest ancestor that is not stands in for it.",
    "Guessing as the floor: the retention rule of this project (docs/comparing.md); chance-level "
    "corrected reading of compressed models as in LLM-KICK (arXiv 2310.01382). The margin is ours.",
    "a suite with choice tasks (accuracy), for the variant and its parent on the same items",
)


@dataclass(frozen=True, slots=True)
class _Level:
    """One score, or the mean of several, beside that of the reference."""

    what: str
    mine: Estimate
    theirs: Estimate
    chance: float | None
    difference: Difference
    p: float | None
    """Holm-adjusted among the tasks; None for the mean, which is judged by its interval."""
    reference: str

    @property
    def kept(self) -> float | None:
        """Share of what the reference has above guessing that is left; None if that is nothing."""
        mine, theirs, chance = self.mine.value, self.theirs.value, self.chance
        if mine is None or theirs is None or chance is None or theirs <= chance:
            return None
        return (mine - chance) / (theirs - chance)

    def fallen(self, kept: float) -> bool:
        """At the level of guessing, where the reference is not, and not for want of items."""
        if self.chance is None or self.mine.low is None or self.theirs.low is None:
            return False
        resolved = self.difference.high is not None and self.difference.high < 0
        if self.p is not None:
            resolved = resolved and self.p < ALPHA
        at_guessing = self.mine.low <= self.chance < self.theirs.low
        return at_guessing and resolved and self.kept is not None and self.kept <= kept

    def beyond(self, margin: float) -> bool:
        """Whether the loss is larger than the margin for sure."""
        return self.difference.high is not None and self.difference.high < -margin

    def within(self, margin: float) -> bool:
        """Whether the loss is smaller than the margin for sure."""
        return self.difference.low is not None and self.difference.low > -margin


def judge(material: Material, system: System) -> Answer:
    """The rule, applied to one system."""
    mine = material.scores.get(system)
    if not mine:
        return unknown("no results of accuracy tasks")
    parent = material.parent(system)
    if parent is None:
        return _root(mine)
    margin = material.thresholds.collapse_drop
    levels = _against_ancestors(material, system, mine)
    ladder = _against_ladder(material, system, mine)
    fallen = [level for level in levels if level.fallen(material.thresholds.collapse_kept)]
    lost = [level for level in (*levels, *ladder) if level.beyond(margin)]
    if fallen:
        return yes([_fallen(level) for level in fallen], "severe")
    if lost:
        return yes([_lost(level, margin) for level in lost], "moderate")
    if not levels:
        return unknown(f"no results of {parent.name} on the same items")
    return _not_found(levels[0], material.thresholds)


def _root(mine: Scores) -> Answer:
    """Nothing above it: it can be at the level of guessing, but not have fallen there."""
    scores = list(mine.values())
    mean, chance = mean_score(scores), mean_chance(scores)
    evidence = Evidence(_name(scores), mean.value, mean.low, mean.high, "fraction", chance, mean.n)
    if chance is not None and mean.low is not None and mean.low > chance:
        return no([evidence], "it has no parent, and its mean lies above guessing")
    return Answer("does not apply", (evidence,), "it has no parent that it could have fallen from")


def _against_ancestors(material: Material, system: System, mine: Scores) -> list[_Level]:
    """Beside the nearest ancestor whose mean lies above guessing; else beside the parent."""
    first: list[_Level] = []
    for ancestor in material.ancestors(system):
        levels = _beside(material, system, mine, ancestor.name, ancestor.digest)
        if not levels:
            continue
        first = first or levels
        chance = levels[0].chance
        low = levels[0].theirs.low
        if chance is None or (low is not None and low > chance):
            return levels
    return first


def _against_ladder(material: Material, system: System, mine: Scores) -> list[_Level]:
    above = step_above(material, system)
    if above is None:
        return []
    theirs = material.scores.get(above)
    return [] if not theirs else _levels(mine, theirs, f"{above.variant}, the step above")


def _beside(
    material: Material, system: System, mine: Scores, name: str, digest: str | None
) -> list[_Level]:
    for other in material.alike(system, name, digest):
        theirs = material.scores.get(other)
        if theirs and shared(mine, theirs):
            return _levels(mine, theirs, name)
    return []


def _levels(mine: Scores, theirs: Scores, reference: str) -> list[_Level]:
    """The mean over the shared tasks (choice tasks, if there are any) first, then each task."""
    pairs = shared(mine, theirs)
    singles = list(_singles(pairs, reference))
    choices = [pair for pair in pairs if pair[0].chance is not None] or pairs
    if len(choices) < 2:
        return singles
    difference = mean_difference(choices)
    if difference is None:
        return singles
    here, there = [a for a, _ in choices], [b for _, b in choices]
    whole = _Level(
        _name(here),
        mean_score(here),
        mean_score(there),
        mean_chance(here),
        difference,
        None,
        reference,
    )
    return [whole, *singles]


def _singles(pairs: Sequence[tuple[Score, Score]], reference: str) -> Iterator[_Level]:
    found: list[tuple[Score, Score, Difference]] = []
    for mine, theirs in pairs:
        fixed = paired_difference(theirs.judged, mine.judged)
        if fixed is not None:
            both = (theirs.judged, mine.judged)
            found.append(
                (mine, theirs, after_looks(fixed, mine.run.run, theirs.run.run, mine.metric, both))
            )
    adjusted = holm([1.0 if d.p is None else d.p for _, _, d in found])
    for (mine, theirs, difference), p in zip(found, adjusted, strict=True):
        yield _Level(
            mine.task, mine.estimate, theirs.estimate, mine.chance, difference, p, reference
        )


def _name(scores: Sequence[Score]) -> str:
    return scores[0].task if len(scores) == 1 else f"mean of {len(scores)} accuracy tasks"


def _evidence(level: _Level, threshold: float | None, text: str) -> Evidence:
    e = level.mine
    return Evidence(
        level.what, e.value, e.low, e.high, "fraction", threshold, e.n, level.reference, text
    )


def _moved(level: _Level) -> str:
    d = level.difference
    return change(d.delta, d.low, d.high)


def _fallen(level: _Level) -> Evidence:
    mine, theirs = level.mine, level.theirs
    text = (
        f"{level.what} {shown(mine.value, mine.low, mine.high)}, n {mine.n}, holds guessing "
        f"({points(level.chance)}); {level.reference} has "
        f"{shown(theirs.value, theirs.low, theirs.high)}; {_moved(level)}"
    )
    return _evidence(level, level.chance, text)


def _lost(level: _Level, margin: float) -> Evidence:
    d = level.difference
    text = (
        f"{level.what}: {_moved(level)} against {level.reference}, n {d.n}: more than "
        f"{points(margin)} is lost"
    )
    return Evidence(
        level.what, d.delta, d.low, d.high, "fraction", -margin, d.n, level.reference, text
    )


def _not_found(level: _Level, thresholds: Thresholds) -> Answer:
    """Ruled out, or not to be told with these items; ``level`` is the mean or the only task."""
    margin = thresholds.collapse_drop
    seen = _evidence(
        level,
        level.chance,
        f"{level.what} {shown(level.mine.value, level.mine.low, level.mine.high)}, n "
        f"{level.mine.n}; {_moved(level)} against {level.reference}",
    )
    above = level.chance is None or (level.mine.low is not None and level.mine.low > level.chance)
    if above and level.within(margin):
        return no([seen])
    if not above and (level.theirs.low is None or level.theirs.low <= (level.chance or 0.0)):
        why = f"{level.reference} is itself not above guessing ({points(level.chance)})"
    elif not above:
        why = (
            f"the interval holds guessing ({points(level.chance)}), and "
            f"{points(level.kept)} of what {level.reference} has above it is left"
        )
    else:
        why = f"a loss of {points(margin)} is neither shown nor ruled out"
    return unknown(f"{why}: more items", [seen])
