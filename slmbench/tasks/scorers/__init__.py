"""Judges: pure functions from items and outputs to score rows. No engine, no lm-eval.

A new judge never needs a new run: it reads the outputs that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slmbench.records import ScoreRow
from slmbench.registry import Registry
from slmbench.requests import ItemOutput, ItemSet

Scorer = Callable[[ItemSet, Sequence[ItemOutput]], list[ScoreRow]]
"""Rows for every item of the set, in its order; an item without an answer has null values."""

SCORERS: Registry[Scorer] = Registry(
    "scorer",
    "slmbench.scorers",
    {
        "abstention": "slmbench.tasks.scorers.abstention:score",
        "context_faithful": "slmbench.tasks.scorers.context_faithful:score",
        "exact_match": "slmbench.tasks.scorers.exact_match:score",
        "lm_eval": "slmbench.tasks.scorers.lm_eval_results:score",
        "multiple_choice": "slmbench.tasks.scorers.multiple_choice:score",
        "perplexity": "slmbench.tasks.scorers.perplexity:score",
        "stereotype_pairs": "slmbench.tasks.scorers.stereotype_pairs:score",
    },
)


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Judge the outputs with the scorer that the item set names.

    Raises UnknownNameError for an unknown scorer and SlmbenchError for outputs that do not
    belong to the items.
    """
    return SCORERS.load(item_set.scorer)(item_set, outputs)
