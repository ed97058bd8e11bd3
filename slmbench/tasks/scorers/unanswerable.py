"""Questions about a passage that answers only some of them, answered in words.

The item's target is the answer that the passage gives; it is empty where the passage gives none
(group "unanswerable"). Scores are those of SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822):
token F1 and exact match after lower-casing and dropping punctuation and English articles, 0 for an
answer that declines although there is one; where there is none, 1 for declining. An answer
declines when one of :data:`SILENT` occurs in it or it abstains. Both lists are ours and English.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet
from slmbench.tasks.scorers.abstention_phrases import abstains, plain
from slmbench.tasks.scorers.answers import Answered, Values, judge
from slmbench.tasks.scorers.exact_match import flexible

SILENT: tuple[str, ...] = (
    r"\bun-?answerable\b",
    r"\b(?:does not|doesn't|do not|don't|did not|didn't) (?:\w+ ){0,2}"
    r"(?:say|state|mention|specify|provide|give|tell|include|contain|indicate|answer|reveal)\b",
    r"\bnot (?:\w+ ){0,2}(?:mentioned|stated|given|specified|provided|said|known|answered|"
    r"answerable|included|indicated|available)\b",
    r"\bno (?:\w+ )?(?:information|mention|answer)\b",
    r"\bcannot (?:\w+ )?be (?:answered|determined|known|said)\b",
)
"""Regular expressions, matched anywhere in the answer, case ignored."""
_SILENT = re.compile("|".join(SILENT), re.IGNORECASE)
_HAS = ("has_ans_f1", "has_ans_exact", "has_ans_contains")
_ALWAYS = ("squad2_f1", "output_tokens", "truncation_rate")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Rows ``has_ans_f1``, ``has_ans_exact`` and ``has_ans_contains``, or ``no_ans_accuracy``,
    and for all ``squad2_f1``; a failed (or empty) answer makes them null."""
    return judge(item_set, outputs, _metrics, _values)


def declines(text: str) -> bool:
    """Whether an answer says that the passage does not have it.

    >>> declines("Unanswerable."), declines("the harbour")
    (True, False)
    """
    return _SILENT.search(plain(text)) is not None or abstains(text)


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the normalised words, with repeats.

    >>> token_f1("at the old harbour", "the harbour")
    0.5
    """
    given, wanted = flexible(answer).split(), flexible(reference).split()
    same = (Counter(given) & Counter(wanted)).total()
    return 2 * same / (len(given) + len(wanted)) if same else 0.0


def _metrics(item: Item) -> tuple[str, ...]:
    return (*(_HAS if item.target else ("no_ans_accuracy",)), *_ALWAYS)


def _values(answered: Answered) -> Values:
    text, target = answered.generated().text, answered.item.target
    declined = declines(text)
    lengths = answered.lengths()
    if not target:
        return {"no_ans_accuracy": float(declined), "squad2_f1": float(declined), **lengths}
    given, wanted = flexible(text), flexible(target)
    f1 = 0.0 if declined else token_f1(text, target)
    return {
        "has_ans_f1": f1,
        "has_ans_exact": float(not declined and given == wanted),
        "has_ans_contains": float(not declined and f" {wanted} " in f" {given} "),
        "squad2_f1": f1,
        **lengths,
    }
