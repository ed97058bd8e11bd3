"""Format loss and repetition loops: what generated answers look like, beside the parent's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slmbench.analysis.accuracy_mean import mean_of_differences
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.paired import Difference, paired_difference
from slmbench.analysis.pairing import Reference
from slmbench.analysis.rows import Judged
from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    change,
    no,
    points,
    shown,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.statistics import Estimate, mean_estimate, mean_of_means
from slmbench.analysis.systems import System
from slmbench.requests import GenerateRequest

FORMAT = Definition(
    "format loss",
    "format",
    "format",
    "The share of answers in which the extraction behind exact_match finds no answer rises against "
    "the parent, on the same items, by more than the threshold: the whole paired 95 % interval "
    "lies above it.",
    "lm-evaluation-harness filters (strict extraction); that compressed models lose the format "
    "before the skill is the reason to look, the threshold is ours.",
    "a task whose answers are extracted from generated text (extraction_failure_rate), for the "
    "variant and its parent on the same items",
)
LOOPS = Definition(
    "repetition loops",
    "loops",
    "loops",
    "An answer loops when at least half of its 4-grams of tokens stood in it before (1 - distinct "
    "4-grams / 4-grams) and it has 16 tokens or more. Moderate: the share of looping answers rises "
    "against the parent by more than the threshold (whole paired interval). Severe: the interval "
    "of the share itself lies above one half.",
    "seq-rep-4 of Welleck et al. (arXiv 1908.04319); the thresholds are ours.",
    "a task with greedy answers of 16 tokens or more, kept in the results folder",
)
FAILURES = "extraction_failure_rate"
NGRAM = 4


@dataclass(frozen=True, slots=True)
class _Shares:
    """One share of answers in one task, beside the reference's."""

    task: str
    mine: Estimate
    difference: Difference | None
    reference: str

    def evidence(self, what: str, threshold: float, *, moved: bool) -> Evidence:
        """The number that decided: the change, or the share itself."""
        e, d = self.mine, self.difference
        text = f"{self.task}: {what} in {shown(e.value, e.low, e.high)} of {e.n} answers"
        if d is not None:
            text += f", {change(d.delta, d.low, d.high)} against {self.reference}"
        value, low, high = e.value, e.low, e.high
        if moved and d is not None:
            value, low, high = d.delta, d.low, d.high
        return Evidence(
            self.task, value, low, high, "fraction", threshold, e.n, self.reference, text
        )

    def rises(self, by: float) -> bool:
        """Whether the share rose by more than this for sure."""
        return self.difference is not None and (self.difference.low or 0.0) > by

    def stays(self, by: float) -> bool:
        """Whether a rise by this much is ruled out."""
        d = self.difference
        return d is not None and d.high is not None and d.high < by


Column = Callable[[JudgedRun], Judged | None]


def judge_format(material: Material, system: System) -> Answer:
    """Format loss of one system."""
    found = _shares(material, system, lambda run: run.judged.get(FAILURES))
    if not found:
        return unknown(f"no task here extracts its answers from text (no {FAILURES})")
    by = material.thresholds.format_rise
    told = "no answer could be extracted"
    if material.parent(system) is None:
        seen = tuple(s.evidence(told, by, moved=False) for s in found)
        return Answer("does not apply", seen, "it has no parent to lose a format against")
    if risen := [s for s in found if s.rises(by)]:
        return yes([s.evidence(told, by, moved=True) for s in risen], "moderate")
    return _not_risen(found, told, by)


def judge_loops(material: Material, system: System) -> Answer:
    """Repetition loops of one system."""
    limits = material.thresholds

    def column(run: JudgedRun) -> Judged | None:
        return looping(run, limits.loop_repeats, limits.loop_tokens)

    found = _shares(material, system, column, limits.fewest)
    if not found:
        return unknown(
            f"no task here has {limits.fewest} kept answers that may be {limits.loop_tokens} "
            "tokens or longer"
        )
    told = "the answer loops"
    most = [s for s in found if (s.mine.low or 0.0) > limits.loop_share]
    risen = [s for s in found if s.rises(limits.loop_rise)]
    if most or risen:
        severe = [s.evidence(told, limits.loop_share, moved=False) for s in most]
        other = [s.evidence(told, limits.loop_rise, moved=True) for s in risen if s not in most]
        return yes([*severe, *other], "severe" if most else "moderate")
    first = found[0].evidence(told, limits.loop_share, moved=False)
    if (found[0].mine.high or 1.0) >= limits.loop_share:
        return unknown("whether half of the answers loop is not known: more items", [first])
    if material.parent(system) is None:
        return no([first], "it has no parent")
    return _not_risen(found, told, limits.loop_rise)


def _not_risen(found: Sequence[_Shares], told: str, by: float) -> Answer:
    """Ruled out on the whole and risen in no single task; or not to be told."""
    whole = found[0]
    if whole.difference is None:
        seen = [s.evidence(told, by, moved=False) for s in found]
        return unknown("no results of the parent on the same items", seen)
    up = [s for s in found if s.rises(0.0)]
    if whole.stays(by) and not up:
        return no([whole.evidence(told, by, moved=True)])
    seen = [s.evidence(told, by, moved=True) for s in dict.fromkeys((*up, whole))]
    return unknown(f"whether it rises by {points(by)} is neither shown nor ruled out", seen)


def looping(run: JudgedRun, repeats: float, tokens: int) -> Judged | None:
    """1 for every answer that loops, 0 for the others; None where no answer may be that long."""
    if run.answers is None or not any(_room(r) >= tokens for r in _asked(run)):
        return None
    texts = run.answers.texts
    values = tuple(
        float(len(t.token_ids) >= tokens and repeated_share(t.token_ids) >= repeats) for t in texts
    )
    return Judged(
        tuple(t.item.item_id for t in texts),
        tuple(t.item.cluster for t in texts),
        tuple(t.item.group for t in texts),
        values,
        (None,) * len(texts),
    )


def repeated_share(tokens: Sequence[int]) -> float:
    """Share of the 4-grams that stood there before; 0 for fewer than four tokens.

    >>> repeated_share([1, 2, 3, 4, 5, 6]), repeated_share([1, 2] * 20) > 0.9
    (0.0, True)
    """
    grams = [tuple(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _asked(run: JudgedRun) -> list[GenerateRequest]:
    first = (item.requests[0] for item in run.items.items if item.requests)
    return [request for request in first if isinstance(request, GenerateRequest)]


def _room(request: GenerateRequest) -> int:
    return request.max_tokens


def _shares(material: Material, system: System, column: Column, fewest: int = 1) -> list[_Shares]:
    """The mean over tasks first, if they are several, then every task."""
    parent = material.parent(system)
    found = []
    for run in material.judged.get(system, ()):
        mine = column(run)
        values = [] if mine is None else _known(mine)
        if mine is not None and len(values) >= fewest:
            estimate = mean_estimate([v for v, _ in values], [c for _, c in values], bounded=True)
            difference = None if parent is None else _against(material, run, mine, parent, column)
            name = "" if parent is None else parent.name
            found.append(_Shares(run.run.spec.work_name, estimate, difference, name))
    return found if len(found) < 2 else [_mean(found), *found]


def _mean(found: Sequence[_Shares]) -> _Shares:
    """Over the tasks that the reference answered too, where there are any."""
    both = [(s, s.difference) for s in found if s.difference is not None]
    tasks = [s for s, _ in both] or found
    difference = mean_of_differences([d for _, d in both]) if both else None
    mean = mean_of_means([s.mine for s in tasks])
    return _Shares(f"mean of {len(tasks)} tasks", mean, difference, found[0].reference)


def _known(judged: Judged) -> list[tuple[float, str]]:
    pairs = zip(judged.values, judged.clusters, strict=True)
    return [(value, cluster) for value, cluster in pairs if value is not None]


def _against(
    material: Material, run: JudgedRun, mine: Judged, parent: Reference, column: Column
) -> Difference | None:
    other = material.partner(run, parent)
    theirs = None if other is None else column(other)
    return None if theirs is None else paired_difference(theirs, mine)
