"""Multiple choice by log-likelihood: acc, acc_norm, acc_bytes, gold_bpb, margin.

Definitions as in lm-eval 0.4.13 (``acc_norm`` divides by characters of the choice without the
delimiter), except that ties share the credit instead of going to the first choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodRequest
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share

METRICS = ("acc", "acc_norm", "acc_bytes", "gold_bpb", "margin")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Five rows per item; any failed choice makes all five null."""
    return judge(item_set, outputs, lambda _: METRICS, _values)


def _values(answered: Answered) -> Values:
    item = answered.item
    logprobs = answered.logprobs()
    gold = item.gold
    if gold is None or not 0 <= gold < len(logprobs):
        raise UnscorableError("no_gold")
    others = [value for index, value in enumerate(logprobs) if index != gold]
    characters = [len(choice) for choice in item.choices]
    octets = [len(choice.encode()) for choice in item.choices]
    scored = _scored_bytes(item, gold)
    return {
        "acc": winner_share(logprobs, gold),
        "acc_norm": _normalised(logprobs, characters, gold),
        "acc_bytes": _normalised(logprobs, octets, gold),
        "gold_bpb": -logprobs[gold] / math.log(2) / scored if scored else None,
        "margin": logprobs[gold] - max(others) if others else None,
    }


def _normalised(logprobs: Sequence[float], lengths: Sequence[int], gold: int) -> float | None:
    """Credit of the gold choice under length normalisation; None if a length is 0 or missing."""
    if len(lengths) != len(logprobs) or 0 in lengths:
        return None
    return winner_share([lp / n for lp, n in zip(logprobs, lengths, strict=True)], gold)


def _scored_bytes(item: Item, gold: int) -> int:
    """UTF-8 bytes of the text whose probability the gold log-likelihood is.

    That is the gold choice; where the choices sit in the contexts and all requests share one
    continuation (WinoGrande), it is that continuation without its leading space.
    """
    continuations = [r.continuation for r in item.requests if isinstance(r, LoglikelihoodRequest)]
    if len(continuations) > 1 and len(set(continuations)) == 1:
        return len(continuations[0].lstrip().encode())
    return len(item.choices[gold].encode()) if gold < len(item.choices) else 0
