"""Two passages that contradict each other, or agree: is the contradiction reported?

The item's target lists the roles of the choices: "conflict" says that the passages disagree,
"first" is what the first passage says, "second" what the second says where they disagree
(group "conflicting"), "other" what neither says where they agree (group "consistent"). Scores are
log-likelihoods per character [nats/char]. ``conflict_score`` is that of "conflict" alone: the same
words in both groups, and no answer that one group states twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share
from slmbench.tasks.scorers.roles import by_role, per_character

CONFLICTING = "conflicting"
"""Group of the items whose passages disagree; the others are "consistent"."""
_ROLES = ("conflict", "first", "second", "other")
_ALWAYS = ("conflict_score", "conflict_correct", "straddle_rate")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """``conflict_score`` and ``conflict_correct`` for all items; ``conflict_detected`` and
    ``first_passage_preference`` for conflicting ones, ``agreement_kept`` for the others."""
    return judge(item_set, outputs, _metrics, _values)


def _metrics(item: Item) -> tuple[str, ...]:
    if item.group == CONFLICTING:
        return ("conflict_detected", "first_passage_preference", *_ALWAYS)
    return ("agreement_kept", *_ALWAYS)


def _values(answered: Answered) -> Values:
    place = by_role(answered.item.target, _ROLES, _ROLES[:3])
    scores = per_character(answered, len(place))
    rival = "second" if answered.item.group == CONFLICTING else "other"
    if set(place) != {"conflict", "first", rival}:
        raise UnscorableError("unknown_roles")
    told = (scores[place["first"]], scores[place[rival]])
    # against the stronger of the two answers, so that all alike is one half in either group
    detected = winner_share((scores[place["conflict"]], max(told)), 0)
    conflicting = answered.item.group == CONFLICTING
    return {
        "conflict_detected": detected,
        "first_passage_preference": winner_share(told, 0),
        "agreement_kept": 1 - detected,
        "conflict_score": scores[place["conflict"]],
        "conflict_correct": detected if conflicting else 1 - detected,
        "straddle_rate": answered.straddle_rate(),
    }
