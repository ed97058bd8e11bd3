"""Choices without the question: what stays, what goes, and what cannot be asked."""

from __future__ import annotations

import pytest

import builders as b
from slmbench.errors import UsageError
from slmbench.requests import GenerateRequest, Item, ItemSet, LoglikelihoodRequest
from slmbench.tasks.choices_only import without_questions


def _asked(*pairs: tuple[str, str]) -> ItemSet:
    """One item with these contexts and continuations."""
    requests = tuple(LoglikelihoodRequest(context=c, continuation=t) for c, t in pairs)
    item = Item(item_id="q", cluster="q", requests=requests, gold=0,
                choices=tuple(t.strip() for _, t in pairs))  # fmt: skip
    return b.choice_items("toy", 1).model_copy(update={"items": (item,)})


def test_only_the_contexts_change() -> None:
    real = _asked(("Question: why?\nAnswer:", " red"), ("Question: why?\nAnswer:", " dark blue"))
    alone = without_questions(real)
    (before,), (after,) = real.items, alone.items
    assert [(r.context, r.continuation) for r in after.requests] == [  # type: ignore[union-attr]
        ("Answer:", " red"), ("Answer:", " dark blue")
    ]  # fmt: skip
    assert after.model_copy(update={"requests": before.requests}) == before
    assert alone.source == "made for tests, choices without the question"
    assert (alone.task, alone.population) == (real.task, real.population)


def test_an_item_that_is_not_asked_stays_so() -> None:
    real = _asked(("why?", " red"), ("why?", " blue"))
    unasked = real.items[0].model_copy(update={"requests": (), "gold": None, "item_id": "u"})
    both = real.model_copy(update={"items": (*real.items, unasked)})
    assert without_questions(both).items[1] == unasked


@pytest.mark.parametrize(
    ("items", "why"),
    [
        (_asked(("The cat", " slept."), ("The dog", " slept.")), "stand in the contexts"),
        (_asked(("A. red\nB. blue", " A"), ("A. red\nB. blue", " B")), "are letters"),
        (b.choice_items("toy", 2).model_copy(update={"scorer": "stereotype_pairs"}),
         "not multiple choice"),
        (_asked(("x", " yy")).model_copy(update={"items": (
            Item(item_id="g", cluster="g", requests=(GenerateRequest(prompt="x", max_tokens=1),)),
        )}), "not scored by log-likelihood"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_the_reason(items: ItemSet, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        without_questions(items)
    assert caught.value.hint == "leave out choices_only for this task"
