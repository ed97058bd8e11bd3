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
from slmbench.requests import GenerateOutput, ItemOutput, ItemSet

_READINGS: Mapping[str, Reading] = {"acc_norm": "acc_norm", "acc_bytes": "acc_bytes"}
MARGIN_GROUPS = 4
"""Into so many groups of equal size the items are sorted by the parent's margin."""


@dataclass(frozen=True, slots=True)
class AnsweredRun:
    """Outputs and judgements of one run."""

    items: ItemSet
    outputs: tuple[ItemOutput, ...]
    judged: Judged | None
    """Of the task's primary metric."""
    primary: str
    vocabulary: tuple[int, tuple[int, ...]] | None
    """Vocabulary size and first ids of a probe: token ids mean the same where these are equal."""


@dataclass(frozen=True, slots=True)
class ChoicePair:
    """One multiple-choice item that both runs answered."""

    cluster: str
    changed: bool
    """Another choice is likeliest (ties: another set of choices)."""
    margin: float | None
    """The parent's lead of its best choice over the second, as the primary metric reads it."""
    shift: float
    """Mean |difference| of the choices' summed log-likelihoods [nats]."""
    flip: float | None
    """Variant's score minus the parent's; None where either was not scored."""


@dataclass(frozen=True, slots=True)
class MarginGroup:
    """Items of one task whose parent margins lie next to each other."""

    low: float
    high: float
    items: int
    changed: int


def answer_measures(parent: AnsweredRun, variant: AnsweredRun) -> tuple[Found, ...]:
    """All measures that the two runs allow, on the items that both answered."""
    return (
        *_flips(parent, variant),
        *_choices(choice_pairs(parent, variant)),
        *_texts(parent, variant),
    )


def choice_pairs(parent: AnsweredRun, variant: AnsweredRun) -> tuple[ChoicePair, ...]:
    """The multiple-choice items that both runs answered, in the variant's order."""
    reading = _READINGS.get(variant.primary, "acc")
    before = {a.item.item_id: a for a in condensed(parent.items, parent.outputs).choices}
    flips = _score_changes(parent, variant)
    pairs = []
    for after in condensed(variant.items, variant.outputs).choices:
        base = before.get(after.item.item_id)
        if base is None or len(base.logprobs) < 2 or len(base.logprobs) != len(after.logprobs):
            continue
        pairs.append(_pair(base, after, reading, flips.get(after.item.item_id)))
    return tuple(pairs)


def _pair(
    base: ChoiceAnswer, after: ChoiceAnswer, reading: Reading, flip: float | None
) -> ChoicePair:
    left, right = base.values(reading), after.values(reading)
    if left is None or right is None:
        left, right = base.logprobs, after.logprobs
    best, second = sorted(left, reverse=True)[:2]
    shifts = [abs(b - a) for a, b in zip(base.logprobs, after.logprobs, strict=True)]
    return ChoicePair(
        after.item.cluster,
        _winners(left) != _winners(right),
        best - second,
        statistics.fmean(shifts),
        flip,
    )


def _winners(values: Sequence[float]) -> frozenset[int]:
    best = max(values)
    return frozenset(i for i, value in enumerate(values) if value == best)


def margin_groups(pairs: Sequence[ChoicePair]) -> tuple[MarginGroup, ...]:
    """Changed answers by the parent's margin, in groups of equal size, smallest margin first."""
    ordered = sorted((p for p in pairs if p.margin is not None), key=lambda p: p.margin or 0.0)
    size = len(ordered)
    found = []
    for group in range(MARGIN_GROUPS):
        begin, end = group * size // MARGIN_GROUPS, (group + 1) * size // MARGIN_GROUPS
        part = ordered[begin:end]
        if part:
            ends = (part[0].margin or 0.0, part[-1].margin or 0.0)
            found.append(MarginGroup(*ends, len(part), sum(p.changed for p in part)))
    return tuple(found)


def _score_changes(parent: AnsweredRun, variant: AnsweredRun) -> dict[str, float]:
    if parent.judged is None or variant.judged is None:
        return {}
    before = dict(zip(parent.judged.items, parent.judged.values, strict=True))
    after = zip(variant.judged.items, variant.judged.values, strict=True)
    return {
        item: value - base
        for item, value in after
        if value is not None and (base := before.get(item)) is not None
    }


def _flips(parent: AnsweredRun, variant: AnsweredRun) -> Iterator[Found]:
    changes = _score_changes(parent, variant)
    if not changes or variant.judged is None:
        return
    cluster = dict(zip(variant.judged.items, variant.judged.clusters, strict=True))
    clusters = [cluster[item] for item in changes]
    values = list(changes.values())
    yield Found("flips_down", share_estimate([v < 0 for v in values], clusters))
    yield Found("flips_up", share_estimate([v > 0 for v in values], clusters))
    yield Found("flips", share_estimate([v != 0 for v in values], clusters))


def _choices(pairs: Sequence[ChoicePair]) -> Iterator[Found]:
    if not pairs:
        return
    clusters = [p.cluster for p in pairs]
    yield Found("answers_changed", share_estimate([p.changed for p in pairs], clusters))
    scored = [p for p in pairs if p.flip is not None]
    otherwise = [p.changed and p.flip == 0 for p in scored]
    yield Found("wrong_to_wrong", share_estimate(otherwise, [p.cluster for p in scored]))
    yield Found("answers_agree", share_estimate([not p.changed for p in pairs], clusters))
    yield Found("choice_logprob_shift", mean_estimate([p.shift for p in pairs], clusters))
    margins = [p.margin for p in pairs if p.margin is not None]
    changed = [p for p in pairs if p.changed and p.margin is not None]
    if not changed:
        nothing = Estimate(None, 0, method="no value")
        yield Found("changed_at_small_margin", nothing, "no answer changed")
        return
    middle = statistics.median(margins)
    small = [p.margin is not None and p.margin < middle for p in changed]
    share = share_estimate(small, [p.cluster for p in changed])
    yield Found("changed_at_small_margin", share)


def _texts(parent: AnsweredRun, variant: AnsweredRun) -> Iterator[Found]:
    before, after = _generated(parent), _generated(variant)
    common = [item for item in variant.items.items if item.item_id in before.keys() & after.keys()]
    if not common:
        return
    if parent.vocabulary != variant.vocabulary or parent.vocabulary is None:
        nothing = Estimate(None, 0, method="no value")
        why = "vocabulary mismatch: token ids cannot be compared"
        yield Found("outputs_identical", nothing, why)
        yield Found("first_divergent_token", nothing, why)
        return
    at = [first_difference(before[i.item_id], after[i.item_id]) for i in common]
    same = share_estimate([index is None for index in at], [i.cluster for i in common])
    yield Found("outputs_identical", same)
    indices = [float(index) for index in at if index is not None]
    why = "" if indices else "all outputs are identical"
    yield Found("first_divergent_token", median_estimate(indices), why)


def _generated(run: AnsweredRun) -> dict[str, tuple[int, ...]]:
    """Token ids by item; of several answers to one item the first."""
    found = {}
    for output in run.outputs:
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
