"""Does the answer follow a context that contradicts common knowledge?

One choice is what the context says ("context"), one is common knowledge ("parametric"), one is
neither ("other"); the item's target lists these roles in the order of the choices. Without a
target (items of version 1 of the task) the order is the one above. The choice with the largest
log-likelihood per character wins; ties share the credit.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share
from slmbench.tasks.scorers.roles import by_role, per_character

METRICS = ("context_faithful", "parametric_rate", "other_rate", "straddle_rate")
ROLES = ("context", "parametric", "other")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Four rows per item; any failed choice makes all null."""
    return judge(item_set, outputs, lambda _: METRICS, _values)


def _values(answered: Answered) -> Values:
    place = by_role(answered.item.target, ROLES, ROLES)
    if len(place) != len(ROLES):
        raise UnscorableError("unknown_roles")
    scores = per_character(answered, len(ROLES))
    return {
        "context_faithful": winner_share(scores, place["context"]),
        "parametric_rate": winner_share(scores, place["parametric"]),
        "other_rate": winner_share(scores, place["other"]),
        "straddle_rate": answered.straddle_rate(),
    }
