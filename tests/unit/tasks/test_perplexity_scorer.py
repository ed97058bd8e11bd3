"""Likelihood of texts, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.records import ScoreRow
from slmbench.requests import (
    Failure,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    RollingRequest,
    WindowScore,
)
from slmbench.tasks.scorers import score
from slmbench.tasks.texts import TextRule, joined_item, text_metrics


def item_set(*items: Item) -> ItemSet:
    return ItemSet(
        task="t",
        source="s",
        data_sha256="0",
        licence="MIT",
        scorer="perplexity",
        population=len(items),
        items=items,
    )


def document(name: str, text: str) -> Item:
    return Item(item_id=name, cluster=f"c-{name}", requests=(RollingRequest(text=text),))


def output(
    logprob: float | None,
    tokens: int,
    *windows: tuple[float, int],
    failure: Failure | None = None,
) -> LoglikelihoodOutput:
    scores = tuple(WindowScore(logprob=lp, tokens=n) for lp, n in windows)
    return LoglikelihoodOutput(
        logprob=logprob, tokens=tokens, context_tokens=1, failure=failure, windows=scores
    )


def judged(*pairs: tuple[Item, LoglikelihoodOutput]) -> list[ScoreRow]:
    answers = [ItemOutput(item_id=item.item_id, outputs=(out,)) for item, out in pairs]
    return score(item_set(*(item for item, _ in pairs)), answers)


def test_documents_by_hand() -> None:
    rows = judged((document("a", "naïve"), output(-12.0, 4)))  # 5 characters, 6 bytes
    assert [(r.item_id, r.cluster, r.metric) for r in rows] == [
        ("a", "c-a", "nll_rolling"),
        ("a", "c-a", "bpb_rolling"),
    ]
    assert (rows[0].value, rows[0].weight) == (3.0, 4.0)
    assert (rows[1].value, rows[1].weight) == (pytest.approx(12 / math.log(2) / 6), 6.0)


@pytest.mark.parametrize(
    ("rule", "metric"),
    [
        (TextRule("gptq", 2048), "nll_gptq_2048"),
        (TextRule("llama.cpp", 512), "nll_llama_cpp_512"),
    ],
)
def test_windows_are_the_samples(rule: TextRule, metric: str) -> None:
    item = joined_item(["one", "two"], rule)
    request = item.requests[0]
    assert isinstance(request, RollingRequest)
    assert (request.text, request.protocol) == ("one\n\ntwo", rule.protocol)
    rows = judged((item, output(-30.0, 15, (-10.0, 10), (-20.0, 5))))
    assert [(r.item_id, r.metric, r.value, r.weight) for r in rows] == [
        (f"{item.item_id}/0", metric, 1.0, 10.0),
        (f"{item.item_id}/1", metric, 4.0, 5.0),
    ]
    assert len({r.cluster for r in rows}) == 2


def test_the_id_of_a_joined_text_says_what_is_asked() -> None:
    base = joined_item(["a", "b"], TextRule("gptq", 2048)).item_id
    assert base == joined_item(["a", "b"], TextRule("gptq", 2048)).item_id
    others = (
        joined_item(["a", "c"], TextRule("gptq", 2048)),
        joined_item(["a", "b"], TextRule("llama.cpp", 512)),
        joined_item(["a", "b"], TextRule("gptq", 2048, joiner="")),
    )
    assert base not in {item.item_id for item in others}


@pytest.mark.parametrize("failure", ["non_finite", "truncated_context"])
def test_a_failed_text_is_counted_with_its_reason(failure: Failure) -> None:
    rows = judged(
        (document("a", "text"), output(None, 0, failure=failure)),
        (document("b", "text"), output(-1.0, 2)),
    )
    assert [(r.value, r.failure, r.weight) for r in rows[:2]] == [(None, failure, None)] * 2
    assert [r.failure for r in rows[2:]] == [None, None]


def test_a_text_without_a_window_or_token_fails_closed() -> None:
    short = joined_item(["short"], TextRule("gptq", 2048))
    assert [r.failure for r in judged((short, output(-1.0, 2)))] == ["text_shorter_than_a_window"]
    hollow = judged((short, output(0.0, 0, (0.0, 0))))
    assert [(r.value, r.failure) for r in hollow] == [(None, "empty_window")]
    empty = judged((document("a", ""), output(0.0, 0)))
    assert {(r.value, r.failure) for r in empty} == {(None, "empty_continuation")}


def test_an_unanswered_text_is_counted() -> None:
    rows = score(item_set(document("a", "text")), [])
    assert {(r.metric, r.value, r.failure) for r in rows} == {
        ("nll_rolling", None, "no_answer"),
        ("bpb_rolling", None, "no_answer"),
    }


def test_a_protocol_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"window 4096(.|\n)*known: gptq_2048, llama_cpp_512"):
        text_metrics("gptq", 4096)
    with pytest.raises(UsageError, match="no metric"):
        text_metrics("rolling", 512)


def test_judged_and_derived_metrics_are_in_the_table_together() -> None:
    judged_names = {n for n in METRICS if n.startswith("nll_")}
    derived = {n.replace("ppl_", "nll_") for n in METRICS if n.startswith("ppl_")}
    assert judged_names == derived
    assert len(derived) == 3
