"""Is the code that was asked for found in the text?

Two forms of one question. In words: the first number of the answer is the code, or another lock's,
or there is none. As a choice: the code is the likeliest of four by the sum of log-likelihoods (all
codes have five digits); ties share the credit. The target is a JSON object with ``key`` (the code)
and ``others`` (codes of other locks in the text).

A text that does not fit the context is a failure (``truncated_context``), never a wrong answer
and never shortened in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodOutput
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge, winner_share

WRITTEN = ("retrieval_correct", "other_key_rate", "no_number_rate", "context_tokens")
CHOSEN = ("retrieval_choice", "context_tokens", "straddle_rate")
_NUMBER = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class _Key:
    code: str
    others: tuple[str, ...]


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Four rows per item answered in words, three per choice; a failure makes all null."""
    return judge(item_set, outputs, _metrics, _values)


def first_number(text: str) -> str | None:
    """The first number, without commas; None where there is none.

    >>> first_number(" 24,989. Or 7?"), first_number("green")
    ('24989', None)
    """
    found = _NUMBER.search(text)
    return found[0].replace(",", "") if found else None


def _metrics(item: Item) -> Sequence[str]:
    if item.choices:
        return CHOSEN
    return WRITTEN if _several(item) else tuple(m for m in WRITTEN if m != "other_key_rate")


def _several(item: Item) -> bool:
    """Whether other locks' codes stand in the text."""
    try:
        return bool(_key(item).others)
    except UnscorableError:
        return False


def _values(answered: Answered) -> Values:
    return _chosen(answered) if answered.item.choices else _written(answered)


def _written(answered: Answered) -> Values:
    key, output = _key(answered.item), answered.generated()
    told = first_number(output.text)
    return {
        "retrieval_correct": float(told == key.code),
        "other_key_rate": float(told in key.others),
        "no_number_rate": float(told is None),
        "context_tokens": float(output.prompt_tokens),
    }


def _chosen(answered: Answered) -> Values:
    key, scores = _key(answered.item), answered.logprobs()
    choices = answered.item.choices
    if len(scores) != len(choices) or key.code not in choices:
        raise UnscorableError("no_reference")
    return {
        "retrieval_choice": winner_share(scores, choices.index(key.code)),
        "context_tokens": float(_context_tokens(answered)),
        "straddle_rate": answered.straddle_rate(),
    }


def _context_tokens(answered: Answered) -> int:
    """Tokens of the prompt: all choices follow the same one."""
    assert answered.output is not None
    first = answered.output.outputs[0]
    assert isinstance(first, LoglikelihoodOutput)
    return first.context_tokens


def _key(item: Item) -> _Key:
    try:
        found = json.loads(item.target)
        return _Key(str(found["key"]), tuple(map(str, found["others"])))
    except (ValueError, KeyError, TypeError):
        raise UnscorableError("no_reference") from None
