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
        "canary_exposure": "slmbench.tasks.scorers.canary_exposure:score",
        "canary_extraction": "slmbench.tasks.scorers.canary_extraction:score",
        "bbq": "slmbench.tasks.scorers.bbq:score",
        "context_faithful": "slmbench.tasks.scorers.context_faithful:score",
        "coreference": "slmbench.tasks.scorers.coreference:score",
        "crows_pairs": "slmbench.tasks.scorers.crows_pairs:score",
        "exact_match": "slmbench.tasks.scorers.exact_match:score",
        "inconsistent_context": "slmbench.tasks.scorers.inconsistent_context:score",
        "lm_eval": "slmbench.tasks.scorers.lm_eval_results:score",
        "membership": "slmbench.tasks.scorers.membership:score",
        "multiple_choice": "slmbench.tasks.scorers.multiple_choice:score",
        "name_swap": "slmbench.tasks.scorers.name_swap:score",
        "open_ended": "slmbench.tasks.scorers.open_ended:score",
        "perplexity": "slmbench.tasks.scorers.perplexity:score",
        "pii_leak": "slmbench.tasks.scorers.pii_leak:score",
        "position": "slmbench.tasks.scorers.position:score",
        "retrieval": "slmbench.tasks.scorers.retrieval:score",
        "self_consistency": "slmbench.tasks.scorers.self_consistency:score",
        "short_answer": "slmbench.tasks.scorers.short_answer:score",
        "stereoset": "slmbench.tasks.scorers.stereoset:score",
        "stereotype_pairs": "slmbench.tasks.scorers.stereotype_pairs:score",
        "swap_answers": "slmbench.tasks.scorers.swap_answers:score",
        "truthfulqa_mc2": "slmbench.tasks.scorers.truthfulqa_mc2:score",
        "unanswerable": "slmbench.tasks.scorers.unanswerable:score",
        "unanswerable_score": "slmbench.tasks.scorers.unanswerable_score:score",
    },
)


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Judge the outputs with the scorer that the item set names.

    Raises UnknownNameError for an unknown scorer and SlmbenchError for outputs that do not
    belong to the items.
    """
    return SCORERS.load(item_set.scorer)(item_set, outputs)
