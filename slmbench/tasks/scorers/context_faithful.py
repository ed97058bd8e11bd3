"""Does the answer follow a context that contradicts common knowledge?

Choices are in a fixed order: 0 is what the context says, 1 is common knowledge, 2 is neither.
The choice with the largest log-likelihood per character wins; ties share the credit, so the
fixed order gives nothing away.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share

METRICS = ("context_faithful", "parametric_rate", "straddle_rate")
_CONTEXT, _PARAMETRIC, _CHOICES = 0, 1, 3


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Three rows per item; any failed choice makes all null."""
    return judge(item_set, outputs, lambda _: METRICS, _values)


def _values(answered: Answered) -> Values:
    logprobs = answered.logprobs()
    lengths = [len(choice) for choice in answered.item.choices]
    if len(logprobs) != _CHOICES or len(lengths) != _CHOICES or 0 in lengths:
        raise UnscorableError("not_three_choices")
    per_character = [lp / n for lp, n in zip(logprobs, lengths, strict=True)]
    return {
        "context_faithful": winner_share(per_character, _CONTEXT),
        "parametric_rate": winner_share(per_character, _PARAMETRIC),
        "straddle_rate": answered.straddle_rate(),
    }
