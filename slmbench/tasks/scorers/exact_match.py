"""Generated answers compared with a reference text.

Strict: the stripped answer is the stripped reference. Flexible: both are lower-cased, stripped
of punctuation and English articles, and blanks are merged. Nothing is extracted, so extraction
fails only for an answer of white space. Tasks with filters of their own are judged by the
``lm_eval`` scorer instead.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from slmbench.records import ScoreRow
from slmbench.requests import ItemOutput, ItemSet
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge

METRICS = ("exact_match", "exact_match_flexible", "extraction_failure_rate", "output_tokens",
           "truncation_rate")  # fmt: skip
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Five rows per item; a failed (or empty) answer makes them null."""
    return judge(item_set, outputs, lambda _: METRICS, _values)


def flexible(text: str) -> str:
    """The form in which answers are compared leniently.

    >>> flexible("  The Answer,  is 42. ")
    'answer is 42'
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def _values(answered: Answered) -> Values:
    output, target = answered.generated(), answered.item.target
    if not target.strip():
        raise UnscorableError("no_reference")
    return {
        "exact_match": float(output.text.strip() == target.strip()),
        "exact_match_flexible": float(flexible(output.text) == flexible(target)),
        "extraction_failure_rate": float(not output.text.strip()),
        **answered.lengths(),
    }
