"""What changed between the answers of two runs to the same items."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.answers import ChoiceAnswer, Reading, condensed
from slmbench.analysis.measures import Found
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import (
    Estimate,
    mean_estimate,
    median_estimate,
    share_estimate,
)
from slmbench.metrics import METRICS
from slmbench.requests import GenerateOutput, ItemOutput, ItemSet

_READINGS: Mapping[str, Reading] = {"acc_norm": "acc_norm", "acc_bytes": "acc_bytes"}
MARGIN_GROUPS = 4
"""Into so many groups of equal size the items are sorted by the parent's margin."""


@dataclass(frozen=True, slots=True)
class AnsweredRun:
    """Answers and judgements of one run of a task."""

    task: str
    primary: str
    choices: Mapping[str, ChoiceAnswer]
    """By item id, in the order of the items."""
    texts: Mapping[str, tuple[int, ...]]
    """Generated token ids by item id; of several answers to one item the first."""
    clusters: Mapping[str, str]
    """Of every item, told apart by task."""
    scores: Mapping[str, float]
    """Of the primary metric, by item id; only items that were scored."""
    vocabulary: tuple[int, tuple[int, ...]] | None
    """Vocabulary size and first ids of a probe: token ids mean the same where these are equal."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of one task on the same items."""

    parent: AnsweredRun
    variant: AnsweredRun


@dataclass(frozen=True, slots=True)
class ChoicePair:
    """One multiple-choice item that both runs answered."""

    cluster: str
    changed: bool
    """Another choice is likeliest (ties: another set of choices)."""
    margin: float
    """The parent's lead of its best choice over the second, as the primary metric reads it."""
    shift: float
    """Mean |difference| of the choices' summed log-likelihoods [nats]."""
    flip: float | None
    """Variant's score minus the parent's; None where either was not scored."""


@dataclass(frozen=True, slots=True)
class MarginGroup:
    """Items whose parent margins have the same rank in their tasks."""

    items: int
    changed: int


def answered_run(
    items: ItemSet,
    outputs: Sequence[ItemOutput],
    primary: str,
    scores: Judged | None,
    vocabulary: tuple[int, tuple[int, ...]] | None,
) -> AnsweredRun:
    """Condense what a run answered; ``scores`` are the judgements of its primary metric.

    Judgements of windows of a text are no answers to items, and are left out; so are losses: every
    variant moves each of them, and none flips.
    """
    clusters = {item.item_id: f"{items.task} {item.cluster}" for item in items.items}
    metric = METRICS.get(primary)
    is_loss = metric is not None and metric.unit != "fraction"
    judged = () if scores is None or is_loss else zip(scores.items, scores.values, strict=True)
    return AnsweredRun(
        items.task,
        primary,
        {a.item.item_id: a for a in condensed(items, outputs).choices},
        _generated(outputs),
        clusters,
        {item: value for item, value in judged if value is not None and item in clusters},
        vocabulary,
    )


def answer_measures(pairs: Sequence[Pair]) -> tuple[Found, ...]:
    """All measures that the pairs allow, over the items of all of them that both runs answered.

    Several pairs are the tasks of one suite for one variant and one parent.
    """
    return (*_flips(pairs), *_choices([choice_pairs(pair) for pair in pairs]), *_texts(pairs))


def choice_pairs(pair: Pair) -> tuple[ChoicePair, ...]:
    """The multiple-choice items that both runs answered, in the variant's order."""
    reading = _READINGS.get(pair.variant.primary, "acc")
    flips = _score_changes(pair)
    found = []
    for item, after in pair.variant.choices.items():
        base = pair.parent.choices.get(item)
        if base is None or len(base.logprobs) < 2 or len(base.logprobs) != len(after.logprobs):
            continue
        cluster = pair.variant.clusters[item]
        found.append(_choice_pair(base, after, reading, cluster, flips.get(item)))
    return tuple(found)


def _choice_pair(
    base: ChoiceAnswer, after: ChoiceAnswer, reading: Reading, cluster: str, flip: float | None
) -> ChoicePair:
    left, right = base.values(reading), after.values(reading)
    if left is None or right is None:
        left, right = base.logprobs, after.logprobs
    best, second = sorted(left, reverse=True)[:2]
    shifts = [abs(b - a) for a, b in zip(base.logprobs, after.logprobs, strict=True)]
    return ChoicePair(
        cluster,
        _winners(left) != _winners(right),
        best - second,
        statistics.fmean(shifts),
        flip,
    )


def _winners(values: Sequence[float]) -> frozenset[int]:
    best = max(values)
    return frozenset(i for i, value in enumerate(values) if value == best)


def margin_groups(tasks: Sequence[Sequence[ChoicePair]]) -> tuple[MarginGroup, ...]:
    """Changed answers by the parent's margin, smallest first.

    The items of each task are put into groups of equal size, and the groups of equal rank
    together.
    """
    items, changed = [0] * MARGIN_GROUPS, [0] * MARGIN_GROUPS
    for task in tasks:
        ordered = sorted(task, key=lambda p: p.margin)
        for rank, pair in enumerate(ordered):
            group = rank * MARGIN_GROUPS // len(ordered)
            items[group] += 1
            changed[group] += pair.changed
    return tuple(MarginGroup(n, c) for n, c in zip(items, changed, strict=True) if n)


def _score_changes(pair: Pair) -> dict[str, float]:
    before, after = pair.parent.scores, pair.variant.scores
    return {item: value - before[item] for item, value in after.items() if item in before}


def _flips(pairs: Sequence[Pair]) -> Iterator[Found]:
    changes = [(v, p.variant.clusters[i]) for p in pairs for i, v in _score_changes(p).items()]
    if not changes:
        return
    clusters = [cluster for _, cluster in changes]
    yield Found("flips_down", share_estimate([v < 0 for v, _ in changes], clusters))
    yield Found("flips_up", share_estimate([v > 0 for v, _ in changes], clusters))
    yield Found("flips", share_estimate([v != 0 for v, _ in changes], clusters))


def _choices(tasks: Sequence[Sequence[ChoicePair]]) -> Iterator[Found]:
    pairs = [p for task in tasks for p in task]
    if not pairs:
        return
    clusters = [p.cluster for p in pairs]
    yield Found("answers_changed", share_estimate([p.changed for p in pairs], clusters))
    scored = [p for p in pairs if p.flip is not None]
    otherwise = [p.changed and p.flip == 0 for p in scored]
    yield Found("wrong_to_wrong", share_estimate(otherwise, [p.cluster for p in scored]))
    yield Found("answers_agree", share_estimate([not p.changed for p in pairs], clusters))
    yield Found("choice_logprob_shift", mean_estimate([p.shift for p in pairs], clusters))
    small: list[tuple[bool, str]] = []
    for task in tasks:  # margins of different tasks have different scales
        middle = statistics.median([p.margin for p in task]) if task else 0.0
        small += [(p.margin < middle, p.cluster) for p in task if p.changed]
    share = share_estimate([mark for mark, _ in small], [cluster for _, cluster in small])
    yield Found("changed_at_small_margin", share, "" if small else "no answer changed")


def _texts(pairs: Sequence[Pair]) -> Iterator[Found]:
    common = [(p, i) for p in pairs for i in p.variant.texts if i in p.parent.texts]
    if not common:
        return
    if any(p.parent.vocabulary != p.variant.vocabulary or not p.variant.vocabulary for p in pairs):
        nothing = Estimate(None, 0, method="no value")
        why = "vocabulary mismatch: token ids cannot be compared"
        yield Found("outputs_identical", nothing, why)
        yield Found("first_divergent_token", nothing, why)
        return
    at = [first_difference(p.parent.texts[i], p.variant.texts[i]) for p, i in common]
    clusters = [p.variant.clusters[i] for p, i in common]
    yield Found("outputs_identical", share_estimate([index is None for index in at], clusters))
    indices = [float(index) for index in at if index is not None]
    why = "" if indices else "all outputs are identical"
    yield Found("first_divergent_token", median_estimate(indices), why)


def _generated(outputs: Sequence[ItemOutput]) -> dict[str, tuple[int, ...]]:
    found = {}
    for output in outputs:
        first = next((o for o in output.outputs if isinstance(o, GenerateOutput)), None)
        if first is not None and first.failure in (None, "empty_output"):
            found[output.item_id] = first.token_ids
    return found


def first_difference(left: Sequence[int], right: Sequence[int]) -> int | None:
    """Index of the first id that differs (the end of the shorter one counts); None if equal.

    >>> first_difference((5, 6, 7), (5, 9)), first_difference((5,), (5, 6))
    (1, 1)
    """
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return None if len(left) == len(right) else min(len(left), len(right))
