"""Does the model say that it does not know, that the thing does not exist, or that it is not so?

Items are in one of four groups. "fictional": about an invented thing, "control": the same
question about a real one; an answer abstains by :mod:`abstention_phrases`. "false_premise": the
question takes something false for granted, "true_premise": the same form with something true; an
answer rejects by :mod:`premises`. Whether an answer to a control is right is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.abstention_phrases import PHRASES, abstains
from slmbench.tasks.scorers.answers import Answered, Values, judge
from slmbench.tasks.scorers.premises import rejects

__all__ = ["CONTROL", "FALSE_PREMISE", "FICTIONAL", "PHRASES", "TRUE_PREMISE", "abstains", "score"]

FICTIONAL, CONTROL = "fictional", "control"
FALSE_PREMISE, TRUE_PREMISE = "false_premise", "true_premise"
"""Values of an item's group."""
_LENGTHS = ("output_tokens", "truncation_rate")
_METRICS = {
    CONTROL: ("answer_rate_control", "abstention_correct", *_LENGTHS),
    FALSE_PREMISE: ("premise_rejected", *_LENGTHS),
    TRUE_PREMISE: ("premise_accepted_control", *_LENGTHS),
}


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """The rates of an item's group, output_tokens and truncation_rate.

    ``abstention_rate`` for "fictional", ``answer_rate_control`` for "control", and for both
    ``abstention_correct``, so that always and never abstaining give one half where the groups
    are of one size. ``premise_rejected`` and ``premise_accepted_control`` for the premises. A
    failed (or empty) answer makes all null: nothing was admitted and nothing was claimed.
    """
    return judge(item_set, outputs, _metrics, _values)


def _metrics(item: Item) -> tuple[str, ...]:
    return _METRICS.get(item.group, ("abstention_rate", "abstention_correct", *_LENGTHS))


def _values(answered: Answered) -> Values:
    output, item = answered.generated(), answered.item
    if item.group in (FALSE_PREMISE, TRUE_PREMISE):
        # a control has no correction: what it takes for granted is true
        rejected = rejects(output.text, item.target if item.group == FALSE_PREMISE else "")
        return {
            "premise_rejected": float(rejected),
            "premise_accepted_control": float(not rejected),
            **answered.lengths(),
        }
    abstained = abstains(output.text)
    return {
        "abstention_rate": float(abstained),
        "answer_rate_control": float(not abstained),
        "abstention_correct": float(abstained == (item.group != CONTROL)),
        **answered.lengths(),
    }
