"""Can this be? Guards that recognise the marks of bugs which have shipped as results.

A run that a guard recognises is ``suspect``: its numbers stay visible with the reason, and
leave rankings, fronts and verdicts. Guards read what is stored and never change it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from slmbench.analysis.answers import Answers, Reading
from slmbench.analysis.baselines import ItemShortcut, Picks, picks_of, usable_items
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.special import binomial_cdf
from slmbench.requests import Item, ItemSet
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun

Guard = Literal[
    "below chance",
    "collapsed output",
    "dead model",
    "empty output",
    "impossible log-likelihood",
    "one position",
    "other prompt start",
    "repeated output",
    "score without answer",
    "shortcut",
    "trained on it",
    "twin",
]
READINGS: tuple[Reading, ...] = get_args(Reading)
FEWEST = 20
"""Items below which patterns over items (one position, shortcut, repetition) prove nothing."""
FEWEST_ALIKE = 5
"""Items below which equal log-likelihoods could be chance."""
NEARLY_ALL = 0.95
BELOW_CHANCE_P = 0.005
"""Of 200 models that guess, one is called suspect for scoring below chance."""
BELOW_CHANCE_IS_A_FINDING = frozenset(
    {"bbq_acc_ambiguous", "bbq_acc_disambiguated", "bbq_acc_aligned", "bbq_acc_nonaligned"}
)
"""Accuracies in which one kind of option (unknown, a group) may be avoided on purpose: to lie
below guessing is what they are there to show."""
BELOW_CHANCE_TASKS = ("truthfulqa", "slm_truthfulqa")
"""Beginnings of tasks whose questions were chosen because models answer them wrongly (Lin et al.,
arXiv 2109.07958, section 2.2): below guessing is their finding, too."""
POSITION_P = 0.001
EMPTY_SHARE = 0.5
CERTAIN_SHARE = 0.1
"""Share of items won by a choice of probability exactly 1 that is not believed."""
SIDE_ALIKE, SIDE_FEWEST = 0.8, 5
"""Agreement with a shortcut that must also hold among the items where it is wrong."""
_BY_LENGTH: tuple[ItemShortcut, ...] = ("longest answer", "shortest answer")
_BY_PLACE: tuple[ItemShortcut, ...] = ("first answer", "last answer")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One reason not to believe a run, or one metric of it."""

    guard: Guard
    reason: str
    """In plain words, with the numbers."""
    metric: str | None = None
    """Null: everything that was judged in the run."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the guards see of one quality run."""

    run: StoredRun
    rows: tuple[MetricRow, ...]
    item_set: ItemSet | None
    answers: Answers | None
    judged: Mapping[str, Judged]

    @property
    def primary(self) -> MetricRow | None:
        """The row that stands for the task."""
        return next((r for r in self.rows if r.primary), None)

    @property
    def by_choice(self) -> bool:
        """Whether the choices stand in an order that means nothing."""
        return self.item_set is not None and self.item_set.scorer == "multiple_choice"


def suspect_alone(e: Evidence) -> tuple[Suspicion, ...]:
    """What one run gives away by itself."""
    return tuple(dict.fromkeys(s for guard in _ALONE for s in guard(e)))


def marked(row: MetricRow, found: Sequence[Suspicion]) -> MetricRow:
    """The row with the flag and the reasons, if any of these is about it."""
    judged = isinstance(row.run.spec.work, TaskSpec) and not row.phase
    mine = [s.reason for s in found if s.metric in (None, row.metric)] if judged else []
    if not mine:
        return row
    reason = "; ".join(dict.fromkeys([*mine, *([row.reason] if row.reason else [])]))
    return replace(row, flags=(*row.flags, "suspect"), reason=reason)


def _below_chance(e: Evidence) -> Iterator[Suspicion]:
    """Caught: labels that are inverted or shifted by one."""
    for row in e.rows:
        estimate, chance = row.estimate, row.chance
        if chance is None or estimate.value is None or "below chance" not in row.flags:
            continue
        if row.metric in BELOW_CHANCE_IS_A_FINDING or _misleads_on_purpose(e.run):
            continue
        n = estimate.n
        if estimate.se:
            n = max(1, min(n, round(estimate.value * (1 - estimate.value) / estimate.se**2)))
        elif len(set(e.judged[row.metric].clusters)) < n:
            n = len(set(e.judged[row.metric].clusters))
        if binomial_cdf(n, chance)[math.floor(estimate.value * n + 1e-9)] < BELOW_CHANCE_P:
            yield Suspicion(
                "below chance",
                f"{row.metric} {estimate.value:.1%} lies below guessing ({chance:.1%}) beyond its "
                "interval: are the labels inverted or shifted?",
                row.metric,
            )


def _misleads_on_purpose(run: StoredRun) -> bool:
    return run.spec.work_name.startswith(BELOW_CHANCE_TASKS)


def _one_position(e: Evidence) -> Iterator[Suspicion]:
    """Caught: arg max over equal or missing numbers, which is always the first choice."""
    if e.answers is None or not e.by_choice:
        return
    for reading in READINGS:
        asked = [a for a in e.answers.choices if len(a.logprobs) > 1]
        picked = [(w, a.item.gold) for a in asked if (w := _winner(a.values(reading))) is not None]
        if len(picked) < FEWEST:
            continue
        place, times = Counter(w for w, _ in picked).most_common(1)[0]
        n = len(picked)
        share = sum(gold == place for _, gold in picked) / n
        if times < NEARLY_ALL * n or share >= 1:
            continue
        if _at_least(times, n, max(share, 0.5)) < POSITION_P:
            yield Suspicion(
                "one position",
                f"{times} of {n} predictions are choice {place + 1}, which is right for "
                f"{share:.0%} of the items: the model's preference is not what was measured",
                reading,
            )


def _shortcut(e: Evidence) -> Iterator[Suspicion]:
    """Caught: HaluEval, where "the longest answer" scores 93 %."""
    items = usable_items(e.item_set) if e.item_set is not None and e.by_choice else ()
    if len(items) < FEWEST:
        return
    blind = not e.answers or not e.answers.choices
    names = (*_BY_LENGTH, *_BY_PLACE) if blind else _BY_LENGTH
    for name in names:
        picks = picks_of(name, items)
        for reading in READINGS if picks is not None else ():
            why = _follows(e, reading, items, picks or ())
            if why:
                yield Suspicion(
                    "shortcut",
                    f"{why} as “always the {name}” makes them: such a score needs no question",
                    reading,
                )


def _follows(e: Evidence, reading: Reading, items: Sequence[Item], picks: Picks) -> str:
    """Whether predictions (without outputs: right and wrong) follow a shortcut, errors too.

    Agreement where the shortcut is right may be knowledge; so it must also hold where the
    shortcut is wrong, on at least five items (and without outputs, where it is right).
    """
    pairs = _prediction_pairs(e.answers, reading, picks, items)
    what = "predictions are"
    sides: tuple[bool, ...] = (False,)
    if pairs is None:
        pairs = _correctness_pairs(e.judged.get(reading), picks, items)
        what, sides = "judgements are", (False, True)
    agree = sum(same for same, _ in pairs)
    if len(pairs) < FEWEST or agree < NEARLY_ALL * len(pairs):
        return ""
    for side in sides:
        there = [same for same, right in pairs if right is side]
        if len(there) < SIDE_FEWEST or sum(there) < SIDE_ALIKE * len(there):
            return ""
    return f"{agree} of {len(pairs)} {what}"


def _prediction_pairs(
    answers: Answers | None, reading: Reading, picks: Picks, items: Sequence[Item]
) -> list[tuple[bool, bool]] | None:
    """Per item: same choice as the shortcut, and whether the shortcut is right."""
    if answers is None or not answers.choices:
        return None
    by_id = {a.item.item_id: a for a in answers.choices}
    pairs = []
    for item, taken in zip(items, picks, strict=True):
        answer = by_id.get(item.item_id)
        winner = _winner(answer.values(reading)) if answer is not None else None
        if winner is not None and len(taken) == 1:
            pairs.append((winner in taken, item.gold in taken))
    return pairs


def _correctness_pairs(
    judged: Judged | None, picks: Picks, items: Sequence[Item]
) -> list[tuple[bool, bool]]:
    """Per item: right or wrong as the shortcut is, and whether the shortcut is right."""
    if judged is None:
        return []
    values = dict(zip(judged.items, judged.values, strict=True))
    return [
        ((value == 1) == (item.gold in taken), item.gold in taken)
        for item, taken in zip(items, picks, strict=True)
        if (value := values.get(item.item_id)) in (0, 1) and len(taken) == 1
    ]


def _dead(e: Evidence) -> Iterator[Suspicion]:
    """Caught: a server that ignores logprobs (llama.cpp#27174), a constant model."""
    asked = [a.logprobs for a in e.answers.choices if len(a.logprobs) > 1] if e.answers else []
    alike = [values for values in asked if len(set(values)) == 1]
    if len(asked) < FEWEST_ALIKE or len(alike) < NEARLY_ALL * len(asked):
        return
    zeros = all(values[0] == 0 for values in alike)
    why = "0.0: does the engine return log-probabilities?" if zeros else "is the model loaded?"
    what = f"all choices have the same log-likelihood in {len(alike)} of {len(asked)} items"
    yield Suspicion("dead model", f"{what}, {why}" if zeros else f"{what}: {why}")


def _impossible(e: Evidence) -> Iterator[Suspicion]:
    """Caught: (0.0, True) for an empty continuation, which then wins (onnxruntime_genai)."""
    asked = e.answers.choices if e.answers else ()
    above = sum(any(lp > 0 for lp in a.logprobs) for a in asked)
    untouched = sum(0 in a.tokens for a in asked)
    certain = sum(max(a.logprobs) == 0 and len(set(a.logprobs)) > 1 for a in asked)
    if above:
        what = f"{above} of {len(asked)} items have a log-likelihood above 0"
    elif untouched:
        what = f"in {untouched} of {len(asked)} items a choice was scored on no token at all"
    elif len(asked) >= FEWEST_ALIKE and certain >= CERTAIN_SHARE * len(asked):
        what = f"in {certain} of {len(asked)} items the winning choice has probability exactly 1"
    else:
        return
    yield Suspicion("impossible log-likelihood", f"{what}: the engine did not score it")


def _unfounded(e: Evidence) -> Iterator[Suspicion]:
    """Caught: arg max of all-NaN is index 0, right wherever the gold is always first."""
    if e.answers is None or not e.answers.failed or e.item_set is None:
        return
    for metric, judged in e.judged.items():
        pairs = zip(judged.items, judged.values, strict=True)
        scored = sum(v is not None and item in e.answers.failed for item, v in pairs)
        if scored and metric in READINGS:
            yield Suspicion(
                "score without answer",
                f"{scored} items have a score although their answers failed: score the run again",
                metric,
            )


def _empty(e: Evidence) -> Iterator[Suspicion]:
    """Caught: a stop sequence that ends every answer before it begins (lighteval#649)."""
    texts = [t.text.strip() for t in e.answers.texts] if e.answers else []
    empty = sum(not t for t in texts)
    if len(texts) >= FEWEST_ALIKE and empty >= EMPTY_SHARE * len(texts):
        yield Suspicion(
            "empty output",
            f"{empty} of {len(texts)} answers are empty: look at the stop sequences and the prompt",
        )
    elif len(texts) >= FEWEST and e.answers is not None:
        text, times = Counter(texts).most_common(1)[0]
        several = len({t.item.target for t in e.answers.texts}) != 1
        if text and several and times >= NEARLY_ALL * len(texts):
            yield Suspicion(
                "repeated output",
                f"{times} of {len(texts)} answers are the same text: does the prompt reach the "
                "model?",
            )


_ALONE: tuple[Callable[[Evidence], Iterator[Suspicion]], ...] = (
    _dead, _impossible, _unfounded, _empty, _one_position, _shortcut, _below_chance,
)  # fmt: skip


def _winner(values: Sequence[float] | None) -> int | None:
    """Index of the largest value; None where several share it."""
    if values is None:
        return None
    best = max(values)
    return values.index(best) if values.count(best) == 1 else None


def _at_least(times: int, n: int, share: float) -> float:
    """P(X >= times), X ~ Binomial(n, share)."""
    return 1 - binomial_cdf(n, share)[times - 1] if times else 1.0
