"""G3: the same model asked again, differently, gives the same answers.

What must not matter is changed: the batch size, the order of the items, the process, and whether
common prefixes are shared. What still differs is the noise floor of this variant on this engine:
no comparison between variants can resolve less.

Float32 is held to no changed answer and |Δ| < 1e-3 nats. Quantized kernels round activations, and
which kernel runs depends on the batch (sums of 30 tokens move by up to about one nat), so there
the floor is reported, and the gate asks that a nominal 5 % test does not call the two runs
different: exact McNemar, p times the number of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.statistics import mcnemar_exact
from slmbench.gates.result import GateResult, judged
from slmbench.requests import Item, ItemOutput, LoglikelihoodOutput
from slmbench.store.gates import FLOOR_FLIPS, FLOOR_MAX, FLOOR_MEAN, GateNumber

GATE = "G3"
MAX_DELTA = 1e-3
"""Largest |Δ| of a choice's sum at float32 [nats]."""
ALPHA = 0.05
ENOUGH = 10
"""Items that must have been asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One item's log-likelihoods under one condition."""

    item_id: str
    logprobs: tuple[float | None, ...]
    """One per choice [nats]; null where the answer failed."""
    lengths: tuple[int, ...]
    """Characters of each choice."""
    gold: int
    cached: bool = False
    """Taken from the response cache: this says nothing about noise."""

    @property
    def choice(self) -> int | None:
        """The choice with the largest log-likelihood per character; None if one failed."""
        scores = [
            value / max(1, length)
            for value, length in zip(self.logprobs, self.lengths, strict=True)
            if value is not None
        ]
        whole = scores and len(scores) == len(self.logprobs)
        return scores.index(max(scores)) if whole else None


def answer_of(item: Item, output: ItemOutput) -> Answer:
    """The answer of a multiple-choice item."""
    found = [o for o in output.outputs if isinstance(o, LoglikelihoodOutput)]
    lengths = tuple(map(len, item.choices)) or (1,) * len(found)
    return Answer(
        item.item_id,
        tuple(o.logprob for o in found),
        lengths,
        item.gold or 0,
        any(o.cached for o in found),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """Two conditions compared."""

    items: int
    flips: int
    """Items that are answered differently."""
    down: int
    """Right before, wrong now."""
    up: int
    deltas: tuple[float, ...]
    """|Δ| of every choice's sum [nats]."""
    unscored: int
    """Items with a choice that has no log-likelihood in one of the two, or is missing."""
    cached: int

    @property
    def p(self) -> float:
        """Exact McNemar p of the difference in accuracy."""
        return mcnemar_exact(self.down, self.up)


def compare_answers(base: Sequence[Answer], again: Sequence[Answer]) -> Change:
    """Compare by item id; an item that one of the two lacks counts as unscored."""
    others = {answer.item_id: answer for answer in again}
    pairs = [(a, others[a.item_id]) for a in base if a.item_id in others]
    good = [(a, b) for a, b in pairs if a.choice is not None and b.choice is not None]
    deltas = tuple(
        abs(x - y)
        for a, b in good
        for x, y in zip(a.logprobs, b.logprobs, strict=True)
        if x is not None and y is not None
    )
    right = [(a.choice == a.gold, b.choice == b.gold) for a, b in good]
    return Change(
        items=len(base),
        flips=sum(a.choice != b.choice for a, b in good),
        down=sum(was and not now for was, now in right),
        up=sum(now and not was for was, now in right),
        deltas=deltas,
        unscored=len(base) - len(good),
        cached=sum(a.cached or b.cached for a, b in pairs),
    )


def judge_floor(changes: Mapping[str, Change], *, exact: bool, about: str) -> GateResult:
    """Judge the changes by condition; ``exact``: held to the bounds of float32.

    The numbers are the largest over the conditions, and that is the floor.
    """
    found = list(changes.values())
    deltas = [d for change in found for d in change.deltas]
    rates = [change.flips / change.items for change in found if change.items]
    p = min((change.p for change in found), default=None)
    adjusted = None if p is None else min(1.0, p * len(found))
    items = min((change.items for change in found), default=0)
    numbers = (
        GateNumber(name="items", value=items, at_least=ENOUGH),
        GateNumber(name="unscored items", value=sum(c.unscored for c in found), at_most=0),
        GateNumber(name="answers from the cache", value=sum(c.cached for c in found), at_most=0),
        GateNumber(
            name=FLOOR_MAX,
            value=max(deltas, default=None),
            unit="nats",
            at_most=MAX_DELTA if exact else None,
        ),
        GateNumber(
            name=FLOOR_MEAN, value=math.fsum(deltas) / len(deltas) if deltas else None, unit="nats"
        ),
        GateNumber(
            name=FLOOR_FLIPS, value=max(rates, default=None), at_most=0.0 if exact else None
        ),
        GateNumber(name="McNemar p, adjusted", value=adjusted, at_least=ALPHA),
    )
    return judged(GATE, numbers, about, [_line(name, c) for name, c in changes.items()])


def _line(name: str, change: Change) -> str:
    largest = max(change.deltas, default=0.0)
    return f"{name}: {change.flips} of {change.items} answers changed, max |Δ| {largest:.2g} nats"
