"""Questions about a passage that answers only some of them, by log-likelihood.

One choice declines; its index is the item's target. The others are what the passage says about
this and other things, and something that it does not say; they are the same for the answerable and
the unanswerable question of a passage. The null score of SQuAD 2.0 systems in log-likelihoods per
character [nats/char]: decline_score = score(declining choice) - largest score of the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share
from slmbench.tasks.scorers.roles import per_character

UNANSWERABLE = "unanswerable"
"""Group of the items whose passage has no answer."""
_FEWEST = 2
METRICS = ("decline_score", "decline_correct", "straddle_rate")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Three rows, four for answerable items; a failed choice makes all null.

    ``decline_correct``: declines where it should, and only there. ``span_accuracy``: the right
    one wins among the choices that do not decline.
    """
    return judge(item_set, outputs, _metrics, _values)


def _metrics(item: Item) -> tuple[str, ...]:
    return METRICS if item.group == UNANSWERABLE else (*METRICS, "span_accuracy")


def _values(answered: Answered) -> Values:
    item = answered.item
    scores = per_character(answered)
    if not item.target.isdecimal() or not int(item.target) < len(scores) >= _FEWEST:
        raise UnscorableError("no_declining_choice")
    declining = int(item.target)
    if item.gold is None or not 0 <= item.gold < len(scores):
        raise UnscorableError("no_gold")
    others = [value for index, value in enumerate(scores) if index != declining]
    declined = winner_share((scores[declining], max(others)), 0)
    right = declined if item.group == UNANSWERABLE else 1 - declined
    found = {
        "decline_score": scores[declining] - max(others),
        "decline_correct": right,
        "straddle_rate": answered.straddle_rate(),
    }
    if item.group != UNANSWERABLE and item.gold != declining:
        found["span_accuracy"] = winner_share(others, item.gold - (item.gold > declining))
    return found
