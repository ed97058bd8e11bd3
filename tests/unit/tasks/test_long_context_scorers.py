"""Judging answers about long texts, and likelihood by position."""

from __future__ import annotations

import json

import pytest

import builders as b
from slmbench.records import ScoreRow
from slmbench.requests import (
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    RollingRequest,
    TokenDetail,
    WindowScore,
)
from slmbench.tasks.scorers import score
from slmbench.tasks.scorers.position import range_of, starts

LABELS = {"words": 100, "depth": 50, "key": "12345", "others": ["67890"]}


def of(rows: list[ScoreRow], metric: str) -> list[float | None]:
    return [row.value for row in rows if row.metric == metric]


def asked(labels: dict[str, object], n: int, choices: tuple[str, ...] = ()) -> ItemSet:
    plain = b.choice_items("t", n, choices=len(choices) or 1)
    change = {"target": json.dumps(labels), "choices": choices}
    items = tuple(item.model_copy(update=change) for item in plain.items)
    return plain.model_copy(update={"scorer": "retrieval", "items": items})


def test_the_first_number_of_an_answer_counts() -> None:
    texts = [" 12345", "12,345, not 67890", "67890 or 12345", " the green one", "123456", ""]
    items = asked(LABELS, len(texts))
    rows = score(items, b.written(items, texts))
    assert of(rows, "retrieval_correct") == [1, 1, 0, 0, 0, None]
    assert of(rows, "other_key_rate") == [0, 0, 1, 0, 0, None]
    assert of(rows, "no_number_rate") == [0, 0, 0, 1, 0, None]
    assert of(rows, "context_tokens") == [9, 9, 9, 9, 9, None]
    alone = asked({**LABELS, "others": []}, 1)
    assert of(score(alone, b.written(alone, ["67890"])), "other_key_rate") == []


def test_the_likeliest_code_counts_and_ties_share() -> None:
    items = asked(LABELS, 4, ("67890", "12345", "11111", "22222"))
    outputs = b.answered(items, [[-3, -1, -4, -5], [-1, -2, -4, -5], [-1, -1, -4, -5],
                                 [None, -1, -4, -5]])  # fmt: skip
    rows = score(items, outputs)
    assert of(rows, "retrieval_choice") == [1, 0, 0.5, None]
    assert of(rows, "context_tokens")[:3] == [9, 9, 9]
    assert {r.failure for r in rows if r.value is None} == {"non_finite"}


def test_a_text_that_does_not_fit_is_a_failure() -> None:
    items = asked(LABELS, 1, ("12345", "67890"))
    too_long = LoglikelihoodOutput(
        logprob=None, tokens=5, context_tokens=5000, failure="truncated_context"
    )
    rows = score(items, [ItemOutput(item_id="t/0", outputs=(too_long, too_long))])
    assert [(r.value, r.failure) for r in rows] == [(None, "truncated_context")] * 3


def test_labels_that_cannot_be_read_are_no_reference() -> None:
    items = asked(LABELS, 1)
    broken = items.items[0].model_copy(update={"target": "12345"})
    items = items.model_copy(update={"items": (broken,)})
    rows = score(items, b.written(items, ["12345"]))
    assert {r.failure for r in rows} == {"no_reference"}


# --- by position --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "name"),
    [(0, "0 to 63"), (63, "0 to 63"), (64, "64 to 127"), (127, "64 to 127"), (128, "128 to 255"),
     (2047, "1024 to 2047"), (2048, "2048 to 4095")],
)  # fmt: skip
def test_ranges_double(position: int, name: str) -> None:
    assert range_of(position) == name


def text_set(*windows: int) -> tuple[ItemSet, ItemOutput]:
    """One text; token i has -logprob i / 100."""
    item = Item(item_id="t", cluster="t", requests=(RollingRequest(text="x", details=True),))
    items = b.choice_items("long", 1).model_copy(update={"scorer": "position", "items": (item,)})
    details = tuple(TokenDetail(logprob=-i / 100, mean=-1, sd=1) for i in range(sum(windows)))
    found, at = [], 0
    for tokens in windows:
        total = sum(d.logprob for d in details[at : at + tokens])
        found.append(WindowScore(logprob=total, tokens=tokens))
        at += tokens
    output = LoglikelihoodOutput(
        logprob=sum(d.logprob for d in details), tokens=len(details), context_tokens=1,
        windows=tuple(found), details=details,
    )  # fmt: skip
    return items, ItemOutput(item_id="t", outputs=(output,))


def test_tokens_are_averaged_by_their_place_in_the_window() -> None:
    items, output = text_set(100)
    rows = score(items, [output])
    assert [(r.group, r.weight) for r in rows] == [("0 to 63", 64), ("64 to 127", 36)]
    assert rows[0].value == pytest.approx(sum(range(64)) / 64 / 100)
    assert rows[1].value == pytest.approx(sum(range(64, 100)) / 36 / 100)
    assert {r.item_id for r in rows} == {"t/0"}


def test_the_last_window_is_filled_up_with_what_stands_before() -> None:
    items, output = text_set(100, 100, 30)
    rows = [r for r in score(items, [output]) if r.item_id == "t/2"]
    assert starts([100, 100, 30]) == (0, 0, 70)
    assert [(r.group, r.weight) for r in rows] == [("64 to 127", 30)]
    assert rows[0].value == pytest.approx(sum(range(200, 230)) / 30 / 100)


def test_a_text_without_details_or_with_a_failure_is_a_null_row() -> None:
    items, output = text_set(100)
    (whole,) = output.outputs
    bare = output.model_copy(update={"outputs": (whole.model_copy(update={"details": ()}),)})
    broken = LoglikelihoodOutput(logprob=None, tokens=9, context_tokens=1, failure="non_finite")
    for found, why in ((bare, "no_logprobs"),
                       (ItemOutput(item_id="t", outputs=(broken,)), "non_finite")):  # fmt: skip
        assert [(r.value, r.failure) for r in score(items, [found])] == [(None, why)]
