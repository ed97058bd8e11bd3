"""Multiple choice by log-likelihood: accuracies, gold_bpb, margin, and how sure the model was.

Definitions as in lm-eval 0.4.13 (``acc_norm`` divides by characters of the choice without the
delimiter), except that ties share the credit instead of going to the first choice.

``brier``, ``choice_nll`` and ``confidence`` are of one distribution: the softmax over the choices
of their raw summed log-likelihoods, as lm-eval's ``brier_score``. It is not normalised by length,
so a long choice gets little of it: calibrated for ``acc``, not for ``acc_norm``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodRequest
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share

METRICS = ("acc", "acc_norm", "acc_bytes", "gold_bpb", "margin", "brier", "choice_nll",
           "confidence", "straddle_rate")  # fmt: skip


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Nine rows per item. One failed or empty choice, or no gold, makes all nine null."""
    return judge(item_set, outputs, lambda _: METRICS, _values)


def choice_probabilities(logprobs: Sequence[float]) -> tuple[float, ...]:
    """Softmax over the choices, from the largest down, so that nothing overflows.

    >>> choice_probabilities([-2000.0, -2000.0])
    (0.5, 0.5)
    """
    best = max(logprobs)
    weights = [math.exp(value - best) for value in logprobs]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def _values(answered: Answered) -> Values:
    item = answered.item
    if any(not choice.strip() for choice in item.choices):
        raise UnscorableError("empty_continuation")
    gold = item.gold
    if gold is None or not 0 <= gold < len(item.requests):
        raise UnscorableError("no_gold")
    logprobs = answered.logprobs()
    others = [value for index, value in enumerate(logprobs) if index != gold]
    characters = [len(choice) for choice in item.choices]
    octets = [len(choice.encode()) for choice in item.choices]
    scored = _scored_bytes(item, gold)
    p = choice_probabilities(logprobs)
    return {
        "acc": winner_share(logprobs, gold),
        "acc_norm": _normalised(logprobs, characters, gold),
        "acc_bytes": _normalised(logprobs, octets, gold),
        "gold_bpb": -logprobs[gold] / math.log(2) / scored if scored else None,
        "margin": logprobs[gold] - max(others) if others else None,
        "brier": math.fsum((share - (k == gold)) ** 2 for k, share in enumerate(p)),
        "choice_nll": _nll(logprobs, gold),
        "confidence": max(p),
        "straddle_rate": answered.straddle_rate(),
    }


def _nll(logprobs: Sequence[float], gold: int) -> float:
    """-ln softmax(logprobs)[gold] [nats], finite also where that probability underflows."""
    best = max(logprobs)
    total = math.fsum(math.exp(value - best) for value in logprobs)
    return math.log(total) - (logprobs[gold] - best)


def _normalised(logprobs: Sequence[float], lengths: Sequence[int], gold: int) -> float | None:
    """Credit of the gold choice under length normalisation; None without the choices' texts."""
    if len(lengths) != len(logprobs):
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
