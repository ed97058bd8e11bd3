"""Persons of the other gender: what changes, what is left alone, and what cannot be told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench.errors import UsageError
from slmbench.requests import GenerateRequest, Item, ItemSet, LoglikelihoodRequest
from slmbench.spec import TaskSpec
from slmbench.tasks import name_swaps as ns
from slmbench.tasks.first_names import COMMON, EITHER, NAMES, WORDS_TOO
from slmbench.tasks.gendered_words import NO_PARTNER, OF_THE_BODY, WORDS, her_or_hers, his_or_him
from slmbench.tasks.perturbed import disturbed, disturbed_definition
from slmbench.tasks.typing_errors import Draws


def swapped(text: str, seed: int = 1) -> str:
    """The swapped text with placeholders for the names: A for the first, B for the second …"""
    swap = ns.swap_of([text], Draws(seed))
    assert not swap.why_not, swap.why_not
    found = swap.text(text)
    for letter, name in zip("ABC", swap.names.values(), strict=False):
        found = found.replace(name, letter)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom thanked Anna because he lost his hat.", "A thanked B because she lost her hat."),
        ("Anna's dog bit her. It was hers, so she hid.", "A's dog bit him. It was his, so he hid."),
        ("After Kevin slept, Kevin’s aunt saw him.", "After A slept, A’s uncle saw her."),
        ("Toms hat, said Tom's wife.", "As hat, said A's husband."),
        ("Maria washed herself; HE waved. He's late.",
         "A washed himself; SHE waved. She's late."),
        ("Robin told Tom that she had won.", "Robin told A that he had won."),
        ("On Monday Tom asked Mark and Mark left.", "On Monday A asked B and B left."),
        ("Mr. Tom met a lady and two boys.", "Ms. A met a gentleman and two girls."),
        ("Tom fed the cat.", "A fed the cat."),
        ("It was not Tom. Kevin did it.", "It was not A. B did it."),
    ],
)  # fmt: skip
def test_names_and_words_change_together(text: str, expected: str) -> None:
    assert swapped(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The dog slept, and he woke his owner.", ns.NO_NAME),
        ("Robin and Casey met; she waved.", ns.NO_NAME),
        ("Will you mark the rose for him?", ns.NO_NAME),
        ("Add a cup of Olive pits.", ns.NO_NAME),
        ("Anna saw her duck.", ns.HER),
        ("Anna took her home.", ns.HER),
        ("Tom asked everyone to bring his or her hat.", ns.HER),
        ("Michael Jordan plays.", ns.LONGER),
        ("They flew to San Jose.", ns.LONGER),
        ("The novel of Little Dorothy.", ns.LONGER),
        ("Tom told Zed that he won.", ns.UNKNOWN),
        ("Grace met Tom and he waved.", ns.UNKNOWN),
        ("Anna is pregnant.", ns.BODY),
        ("Tom is a nice guy.", ns.PARTNER),
        ("Tom greeted Miss Brown.", ns.PARTNER),
        ("Tom-like hats suit Tom.", ns.UNKNOWN),
    ],
)
def test_what_cannot_be_told_is_left_alone(text: str, why: str) -> None:
    swap = ns.swap_of([text], Draws(1))
    assert (swap.why_not, swap.text(text)) == (why, text)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("She lost ", " red hat", "his"),
        ("Kim gave it to ", ".", "him"),
        ("Kim gave it to ", "", "him"),
        ("He thanked ", " for it", "him"),
        ("He lives with ", " family", "his"),
        ("She cancelled ", " wedding", "his"),
        ("He saw ", " running", None),
        ("He left with ", " crying", None),
        ("He made ", " work", None),
        ("He told ", " quietly", None),
        ("He owes ", " 5 dollars", None),
        ("He met ", "\nAnswer: sister", None),
    ],
)
def test_her_is_two_words(before: str, after: str, expected: str | None) -> None:
    assert his_or_him(before, after) == expected


def test_his_is_two_words() -> None:
    assert [her_or_hers(x) for x in (" own car", " is red", "", " 2 cars", ", not mine")] == [
        "her", "hers", "hers", "her", "hers"
    ]  # fmt: skip


def test_the_lists() -> None:
    male, female = (sum(g == gender for g in NAMES.values()) for gender in "mf")
    assert min(male, female) >= 150
    assert not (NAMES.keys() & WORDS_TOO.keys())
    assert not (NAMES.keys() | WORDS_TOO.keys()) & EITHER
    for gender, names in COMMON.items():
        assert len(set(names)) == 40
        assert all(NAMES[name] == gender and not name.endswith("s") for name in names)
    assert all(WORDS[WORDS[word]] == word for word in WORDS if word not in ("mrs", "him", "hers"))
    assert not WORDS.keys() & (NO_PARTNER | OF_THE_BODY)
    months = {"April", "May", "June", "Austin", "Sydney", "Paris", "Charlotte", "Georgia"}
    assert not (NAMES.keys() | WORDS_TOO.keys()) & months


@given(
    st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=6, unique=True),
    st.integers(0, 99),
)
def test_names_become_distinct_ones_of_the_other_gender(names: list[str], seed: int) -> None:
    text = f"It was {', '.join(names)}."
    swap = ns.swap_of([text], Draws(seed))
    assert not swap.why_not
    assert list(swap.names) == names
    assert len(set(swap.names.values())) == len(names)
    for old, new in swap.names.items():
        assert {NAMES[old], NAMES[new]} == {"f", "m"}
        assert new not in names
        assert not re.search(rf"\b{old}\b", swap.text(text))
    assert ns.swap_of([text], Draws(seed)) == swap


def test_both_parts_of_a_text_are_read_as_one() -> None:
    swap = ns.swap_of(["Anna lost her hat", "Anna lost her again"], Draws(1))
    (new,) = swap.names.values()
    assert swap.split("Anna lost her", " hat, she said") == (f"{new} lost his", " hat, he said")
    assert swap.split("Anna lost her", " again")[0] == f"{new} lost him"


class Asked:
    """A question and two choices that speak of it."""

    def prompt(self, doc: Mapping[str, Any]) -> object:
        return doc["gold"] if "frames" in doc else f"Question: {doc['question']}\nAnswer:"

    def answers(self, doc: Mapping[str, Any]) -> str:
        return ""


def spec(**changes: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {"task": "toy", "primary": "acc", "num_fewshot": 1, "chat_template": False, "items": None,
         "seed": 7, "perturb": "names", **changes}
    )  # fmt: skip


def item_set(items: list[Item]) -> ItemSet:
    return ItemSet(task="toy", source="made for tests", data_sha256="0" * 64, licence="CC0-1.0",
                   scorer="multiple_choice", population=len(items), items=tuple(items))  # fmt: skip


SHOT = "Question: Did Tom sleep?\nAnswer: yes, he did\n\n"


def cloze(number: int, question: str, *choices: str) -> tuple[Item, Mapping[str, Any]]:
    requests = tuple(
        LoglikelihoodRequest(context=f"{SHOT}Question: {question}\nAnswer:", continuation=f" {c}")
        for c in choices
    )
    key = f"q{number}"
    item = Item(item_id=key, cluster=key, requests=requests, gold=1, choices=choices, group="g")
    return item, {"question": question}


def test_question_and_choices_change_and_the_rest_stays() -> None:
    made = [
        cloze(0, "Why did Tom run?", "to lose his hat", "to please Anna"),
        cloze(1, "Why did it rain?", "clouds", "he cried"),
        cloze(2, "What did Anna do to her?", "see her duck", "nothing"),
        cloze(3, "Anna met her", "sister", "in town"),
    ]
    items = item_set([item for item, _ in made])
    found = disturbed(items, [doc for _, doc in made], Asked(), spec())
    assert found.items[1:] == items.items[1:]
    assert found.source.endswith(
        "; names: 1 of 4 items changed, 2 kept as a 'her' may be 'his' or 'him', 1 without a "
        "first name of a usual gender"
    )
    before, after = items.items[0], found.items[0]
    his, pleased = after.choices
    assert his == "to lose her hat"
    new = pleased.removeprefix("to please ")
    assert NAMES[new] == "m"
    for choice, request in zip(after.choices, after.requests, strict=True):
        assert isinstance(request, LoglikelihoodRequest)
        assert isinstance(request.context, str)
        assert request.continuation == f" {choice}"
        woman = re.fullmatch(
            rf"{re.escape(SHOT)}Question: Why did (\w+) run\?\nAnswer:", request.context
        )
        assert woman is not None
        assert NAMES[woman[1]] == "f"
    same = {"requests": (), "choices": ()}
    assert after.model_copy(update=same) == before.model_copy(update=same)


def test_choices_that_stand_in_the_contexts() -> None:
    frames = ("Tom paid Kevin because Tom", "Tom paid Kevin because Kevin")
    asked = tuple(LoglikelihoodRequest(context=f, continuation=" lost his bet.") for f in frames)
    items = item_set([Item(item_id="w", cluster="w", requests=asked, gold=1, choices=frames)])
    (item,) = disturbed(items, [{"frames": frames, "gold": 1}], Asked(), spec()).items
    first, second = (re.fullmatch(r"(\w+) paid (\w+) because (\w+)", c) for c in item.choices)
    assert first is not None
    assert second is not None
    assert first[1] == first[3] == second[1] != second[3] == second[2] == first[2]
    for choice, request in zip(item.choices, item.requests, strict=True):
        assert request == LoglikelihoodRequest(context=choice, continuation=" lost her bet.")
    assert item.gold == 1
    with pytest.raises(UsageError, match="stand in the contexts"):
        disturbed(items, [{"frames": frames, "gold": 1}], Asked(), spec(perturb="typos"))


def test_answers_in_words_are_expected_with_the_other_name() -> None:
    prompt = "Question: Who lost his hat, Tom or Anna?\nAnswer:"
    asked = (GenerateRequest(prompt=prompt, max_tokens=4),)
    plain = Item(item_id="a", cluster="a", requests=asked, target="Tom")
    keyed = plain.model_copy(update={"item_id": "k", "target": '{"accepted": ["Tom"]}'})
    docs = [{"question": "Who lost his hat, Tom or Anna?"}] * 2
    found = disturbed(item_set([plain, keyed]), docs, Asked(), spec())
    assert found.items[1] == keyed
    assert "1 kept as their scorer's key holds a name" in found.source
    request = found.items[0].requests[0]
    assert isinstance(request, GenerateRequest)
    assert f"lost her hat, {found.items[0].target} or " in str(request.prompt)


def test_an_item_is_swapped_alike_in_any_sample() -> None:
    made = [cloze(n, "Why did Tom run?", "no", "yes") for n in range(40)]
    docs = [doc for _, doc in made]
    every = disturbed(item_set([item for item, _ in made]), docs, Asked(), spec())
    alone = disturbed(item_set([made[9][0]]), docs[:1], Asked(), spec())
    assert alone.items[0] == every.items[9]
    names = Counter(str(i.requests[0]) for i in every.items)
    assert len(names) > 10


def test_the_digest_covers_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    before = disturbed_definition("d", "names")
    others = {disturbed_definition("d", how) for how in ("typos", "synonyms")}
    assert before not in others
    monkeypatch.setattr(ns, "VERSION", ns.VERSION + 1)
    assert disturbed_definition("d", "names") != before
    assert {disturbed_definition("d", how) for how in ("typos", "synonyms")} == others
