"""Disturbed items of real data sets: which columns are the question, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slmbench.errors import UsageError
from slmbench.requests import GenerateRequest, ItemSet, LoglikelihoodRequest
from stock_items import load_tasks_once, stock_items

pytestmark = [pytest.mark.engine, pytest.mark.network]

TASKS = ("hellaswag", "arc_easy", "piqa", "boolq", "openbookqa", "mmlu_anatomy")
ITEMS = 30


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    load_tasks_once(monkeypatch)


def build(task: str, how: str | None, items: int = ITEMS, **settings: Any) -> ItemSet:
    return stock_items(task, items, perturb=how, **settings)


def contexts(items: ItemSet) -> list[str]:
    found = []
    for item in items.items:
        (context,) = {r.context for r in item.requests if isinstance(r, LoglikelihoodRequest)}
        assert isinstance(context, str)
        found.append(context)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_only_the_question_is_disturbed(task: str) -> None:
    plain = build(task, None)
    for how in ("typos", "case", "synonyms"):
        made = build(task, how)
        same = {"requests": ()}
        assert [i.model_copy(update=same) for i in made.items] == [
            i.model_copy(update=same) for i in plain.items
        ]
        changed = sum(a != b for a, b in zip(contexts(plain), contexts(made), strict=True))
        assert f"; {how}: {changed} of {ITEMS} items changed" in made.source
        assert changed > (1 if how == "synonyms" else ITEMS - 2)
        for before, after in zip(plain.items, made.items, strict=True):
            for old, new in zip(before.requests, after.requests, strict=True):
                assert isinstance(old, LoglikelihoodRequest)
                assert isinstance(new, LoglikelihoodRequest)
                assert old.continuation == new.continuation


def test_labels_of_the_template_and_options_stay() -> None:
    for before, after in zip(
        contexts(build("mmlu_anatomy", None)), contexts(build("mmlu_anatomy", "case")), strict=True
    ):
        head, tail = "about anatomy.\n\n", "\nA. "
        (_, _, old), (_, _, new) = before.partition(head), after.partition(head)
        assert before.partition(head)[0] == after.partition(head)[0]
        assert old.partition(tail)[2] == new.partition(tail)[2]
        assert old.partition(tail)[0] != new.partition(tail)[0]
    both = zip(contexts(build("boolq", None)), contexts(build("boolq", "case")), strict=True)
    for before, after in both:
        passage, question = after.rsplit("\nQuestion: ", 1)
        old_passage, old_question = before.rsplit("\nQuestion: ", 1)
        assert question.endswith("?\nAnswer:")
        assert passage in (old_passage.upper(), old_passage.lower())
        assert question.removesuffix("\nAnswer:") in (
            old_question.removesuffix("\nAnswer:").upper(),
            old_question.removesuffix("\nAnswer:").lower(),
        )


@pytest.mark.parametrize("task", ["arc_easy", "mmlu_anatomy"])
def test_few_shot_examples_stay(task: str) -> None:
    how = "typos" if task == "arc_easy" else "option_order"
    plain, made = (contexts(build(task, h, num_fewshot=2)) for h in (None, how))
    for before, after in zip(plain, made, strict=True):
        shots = before.rfind("Question: ") if task == "arc_easy" else before.rfind("\n\n")
        assert after[:shots] == before[:shots]
        assert after[shots:] != before[shots:]


def test_an_item_is_disturbed_alike_in_any_sample() -> None:
    few, many = build("arc_easy", "typos", items=5), build("arc_easy", "typos", items=12)
    assert many.items[:5] == few.items


def test_lettered_options_move_with_their_answer() -> None:
    plain, made = build("mmlu_anatomy", None), build("mmlu_anatomy", "option_order")
    moved = 0
    for before, after, old, new in zip(
        plain.items, made.items, contexts(plain), contexts(made), strict=True
    ):
        options, others = (re.findall(r"^[A-D]\. (.*)$", text, re.M)[-4:] for text in (old, new))
        assert sorted(options) == sorted(others)
        assert before.gold is not None
        assert after.gold is not None
        assert others[after.gold] == options[before.gold]
        moved += after.gold != before.gold
        assert [r.continuation for r in after.requests if isinstance(r, LoglikelihoodRequest)] == [
            " A", " B", " C", " D"
        ]  # fmt: skip
    assert moved > ITEMS / 2


def test_a_question_that_is_answered_in_words() -> None:
    plain, made = (build("slm_nonexistent", how, chat_template=True) for how in (None, "typos"))
    for before, after in zip(plain.items, made.items, strict=True):
        (old,), (new,) = before.requests, after.requests
        assert isinstance(old, GenerateRequest)
        assert isinstance(new, GenerateRequest)
        assert new.model_copy(update={"prompt": old.prompt}) == old
        assert isinstance(new.prompt, tuple)
        assert isinstance(old.prompt, tuple)
        tail = old.prompt[-1].content.partition("\n")[2]
        assert tail
        assert new.prompt[-1].content.endswith(f"\n{tail}")
        assert new.prompt != old.prompt
        assert after.target == before.target


def test_names_are_swapped_in_contexts_that_are_the_choices() -> None:
    plain, made = (build("winogrande", how, items=60) for how in (None, "names"))
    changed = [(old, new) for old, new in zip(plain.items, made.items, strict=True) if old != new]
    assert f"; names: {len(changed)} of 60 items changed" in made.source
    assert len(changed) > 30
    for old, new in changed:
        assert new.model_copy(update={"requests": (), "choices": ()}) == old.model_copy(
            update={"requests": (), "choices": ()}
        )
        asked = [r.context for r in new.requests if isinstance(r, LoglikelihoodRequest)]
        assert asked == list(new.choices)
        assert not set(new.choices) & set(old.choices)
        assert len({r.continuation for r in new.requests if r.kind == "loglikelihood"}) == 1


@pytest.mark.parametrize(
    ("task", "how", "why"),
    [
        ("winogrande", "typos", "choices stand in the contexts"),
        ("arc_easy", "option_order", "no lettered list of options"),
        ("slm_occupation_pronoun", "case", "no column of its documents"),
        ("slm_text_boolq_rolling", "synonyms", "measures a text"),
    ],
)
def test_what_cannot_be_disturbed_is_refused(task: str, how: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        build(task, how)
    assert caught.value.hint
