"""Disturbed items: what changes, what never does, what is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench.errors import UsageError
from slmbench.requests import (
    ChatMessage,
    GenerateRequest,
    Item,
    ItemSet,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.spec import TaskSpec
from slmbench.tasks.perturbed import disturbed, disturbed_definition, question_columns
from slmbench.tasks.synonyms import SYNONYMS, with_synonyms
from slmbench.tasks.typing_errors import NEIGHBOURS, Draws, misspelt, with_typos

SHOT = "Question: Which planet is the largest of them all?\nAnswer: Jupiter\n\n"
DOCS: tuple[Mapping[str, Any], ...] = tuple(
    {"id": f"q{i}", "topic": "science", "question": text, "answer": i % 2}
    for i, text in enumerate(
        (
            "Which process releases energy from digested food?",
            "Where does the scientist usually keep 12 large samples of seawater?",
            'What does the word "photosynthesis" mean to a botanist?',
            "Is a whale among the mammals that permanently reside underwater?",
        )
    )
)


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question whose two answers are scored one by one."""

    choices: tuple[str, ...] = ("respiration", "erosion")

    def prompt(self, doc: Mapping[str, Any]) -> object:
        return f"Question: {doc['question'].strip()}\nAnswer:"

    def answers(self, doc: Mapping[str, Any]) -> str:
        return repr((self.choices, doc["answer"]))


@dataclass(frozen=True, slots=True)
class Lettered:
    """A question with a list of options, answered by letter."""

    def prompt(self, doc: Mapping[str, Any]) -> object:
        options = doc["choices"]
        if isinstance(options, dict):
            options = options["text"]
        return "\n".join((doc["question"], *(f"{'ABCD'[i]}. {o}" for i, o in enumerate(options))))

    def answers(self, doc: Mapping[str, Any]) -> str:
        return repr(("ABCD", doc["answer"]))


def spec(how: str, **changes: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {"task": "toy", "primary": "acc", "num_fewshot": 1, "chat_template": False, "items": None,
         "seed": 7, "perturb": how, **changes}
    )  # fmt: skip


def item_set(items: list[Item], scorer: str = "multiple_choice") -> ItemSet:
    return ItemSet(task="toy", source="made for tests", data_sha256="0" * 64, licence="CC0-1.0",
                   scorer=scorer, population=len(items), items=tuple(items))  # fmt: skip


def cloze(docs: tuple[Mapping[str, Any], ...] = DOCS) -> ItemSet:
    task = Cloze()
    return item_set(
        [
            Item(
                item_id=doc["id"],
                cluster=doc["question"],
                group=doc["topic"],
                requests=tuple(
                    LoglikelihoodRequest(context=f"{SHOT}{task.prompt(doc)}", continuation=f" {c}")
                    for c in task.choices
                ),
                gold=doc["answer"],
                choices=task.choices,
            )
            for doc in docs
        ]
    )


def lettered(options: list[str], gold: int = 0, *, nested: bool = False) -> tuple[ItemSet, Any]:
    """One item, and its document."""
    held: Any = {"text": options, "label": list("ABCD")} if nested else options
    doc = {"question": "Which one is a metal?", "choices": held, "answer": gold}
    prompt = Lettered().prompt(doc)
    asked = tuple(LoglikelihoodRequest(context=f"{SHOT}{prompt}", continuation=f" {letter}")
                  for letter in "ABCD"[: len(options)])  # fmt: skip
    letters = tuple("ABCD"[: len(options)])
    item = Item(item_id="m", cluster="m", requests=asked, gold=gold, choices=letters)
    return item_set([item]), doc


def contexts(items: ItemSet) -> list[str]:
    found = []
    for item in items.items:
        request = item.requests[0]
        assert isinstance(request, LoglikelihoodRequest)
        assert isinstance(request.context, str)
        found.append(request.context)
    return found


@pytest.mark.parametrize("how", ["typos", "case", "synonyms"])
def test_only_the_question_in_the_prompt_changes(how: str) -> None:
    plain = cloze()
    made = disturbed(plain, DOCS, Cloze(), spec(how))
    for before, after in zip(plain.items, made.items, strict=True):
        assert after.model_copy(update={"requests": before.requests}) == before
        for old, new in zip(before.requests, after.requests, strict=True):
            assert isinstance(old, LoglikelihoodRequest)
            assert isinstance(new, LoglikelihoodRequest)
            assert new.continuation == old.continuation
            assert str(new.context).startswith(f"{SHOT}Question: ")
            assert str(new.context).endswith("\nAnswer:")
    changed = sum(a != b for a, b in zip(contexts(plain), contexts(made), strict=True))
    assert f"; {how}: {changed} of 4 items changed" in made.source
    assert changed >= (4 if how != "synonyms" else 2)


def test_an_item_does_not_depend_on_the_others() -> None:
    every = disturbed(cloze(), DOCS, Cloze(), spec("typos"))
    alone = disturbed(cloze(DOCS[2:3]), DOCS[2:3], Cloze(), spec("typos"))
    assert alone.items[0] == every.items[2]
    again = disturbed(cloze(), DOCS, Cloze(), spec("typos", seed=8))
    assert contexts(again) != contexts(every)


def test_a_chat_keeps_its_turns_and_samples_their_seeds() -> None:
    doc = {"id": "g", "question": "Which process releases energy?", "answer": "respiration"}
    turns = (
        ChatMessage(role="user", content="Question: Which process releases energy?\nAnswer:"),
        ChatMessage(role="assistant", content="respiration"),
        ChatMessage(role="user", content="Question: Which process releases energy?\nAnswer:"),
    )
    asked = tuple(GenerateRequest(prompt=turns, max_tokens=4, seed=s) for s in (0, 5))
    plain = item_set([Item(item_id="g", cluster="g", requests=asked, target="x")], "exact_match")
    (item,) = disturbed(plain, [doc], Cloze(), spec("typos", chat_template=True)).items
    for old, new in zip(asked, item.requests, strict=True):
        assert isinstance(new, GenerateRequest)
        assert new.prompt[:2] == turns[:2]
        assert new.prompt[2] != turns[2]
        assert new.model_copy(update={"prompt": turns}) == old


def test_an_unasked_item_and_one_without_such_words_stay_and_are_counted() -> None:
    docs = (*DOCS[:1], {"id": "q9", "question": "1 + 1 = ?", "topic": "science", "answer": 0},
            {"id": "u", "question": "Which process?", "topic": "science", "answer": 0})  # fmt: skip
    plain = cloze(docs)
    unasked = plain.items[2].model_copy(update={"requests": (), "gold": None})
    plain = plain.model_copy(update={"items": (*plain.items[:2], unasked)})
    made = disturbed(plain, docs, Cloze(), spec("typos"))
    assert made.items[1:] == plain.items[1:]
    assert made.source.endswith("typos: 1 of 2 items changed")


def test_case_says_which() -> None:
    docs = tuple({**DOCS[0], "id": f"c{i}"} for i in range(40))
    made = disturbed(cloze(docs), docs, Cloze(), spec("case"))
    counts = Counter("upper" if "WHICH PROCESS" in c else "lower" for c in contexts(made))
    assert min(counts.values()) > 10
    assert f"40 of 40 items changed, {counts['lower']} in lower case" in made.source
    small = tuple({**d, "question": d["question"].lower()} for d in docs)
    upper = disturbed(cloze(small), small, Cloze(), spec("case"))
    assert "40 of 40 items changed, 40 in upper case" in upper.source


def test_options_move_and_the_right_answer_with_them() -> None:
    options = ["wood", "iron", "water", "glass"]
    for nested in (False, True):
        plain, doc = lettered(options, 1, nested=nested)
        (item,) = disturbed(plain, [doc], Lettered(), spec("option_order")).items
        (context,) = {str(r.context) for r in item.requests if r.kind == "loglikelihood"}
        shown = re.findall(r"[A-D]\. (\w+)", context)
        assert sorted(shown) == sorted(options)
        assert shown != options
        assert item.gold is not None
        assert shown[item.gold] == "iron"
        assert context.startswith(SHOT)
        assert item.choices == plain.items[0].choices
        assert [r.continuation for r in item.requests if r.kind == "loglikelihood"] == [
            " A", " B", " C", " D"
        ]  # fmt: skip


def test_every_order_but_the_old_one_is_drawn() -> None:
    plain, doc = lettered(["wood", "iron", "glass"])
    seen = Counter()
    for seed in range(300):
        made = disturbed(plain, [doc], Lettered(), spec("option_order", seed=seed))
        seen[tuple(re.findall(r"[A-D]\. (\w+)", contexts(made)[0]))] += 1
    assert len(seen) == 5
    assert min(seen.values()) > 30


def test_options_written_for_their_place() -> None:
    options = ["wood", "iron", "None of the above", "glass"]
    plain, doc = lettered(options)
    for seed in range(20):
        made = disturbed(plain, [doc], Lettered(), spec("option_order", seed=seed))
        assert "C. None of the above" in contexts(made)[0]
        assert contexts(made) != contexts(plain)
    plain, doc = lettered(["wood", "iron", "glass", "Both A and B"])
    made = disturbed(plain, [doc], Lettered(), spec("option_order"))
    assert made.items == plain.items
    assert made.source.endswith("0 of 1 items changed, 1 kept as their options name one another")


def test_question_columns_are_found_by_trying() -> None:
    doc = {"ind": 4, "label": 0, "key": "a", "passage": "Long ago.", "question": "Which?",
           "empty": " ", "ans0": "wood", "ans1": "iron", "url": "http://x"}  # fmt: skip

    class Read:
        def prompt(self, d: Mapping[str, Any]) -> object:
            place = [d["ans0"], d["ans1"]].index(d["label"]) if d["label"] else 0
            return (
                f"{d['passage']} {d['question']}? A {d['ans0']} B {d['ans1']} {place}{d['empty']}"
            )

        def answers(self, d: Mapping[str, Any]) -> str:
            return repr(d["label"])

    assert question_columns(doc, Read(), lettered=True) == ("passage", "question")

    class Scored(Read):
        def answers(self, d: Mapping[str, Any]) -> str:
            return repr([d["ans0"], d["ans1"]])

    assert question_columns(doc, Scored()) == ("passage", "question")


@pytest.mark.parametrize(
    ("how", "items", "why"),
    [
        ("option_order", cloze(), "no lettered list of options"),
        ("typos", cloze().model_copy(update={"items": (
            cloze().items[0].model_copy(update={"requests": (
                LoglikelihoodRequest(context="The cat", continuation=" slept"),
                LoglikelihoodRequest(context="The dog", continuation=" slept"))}),)}),
         "stand in the contexts"),
        ("case", item_set([Item(item_id="q0", cluster="t", requests=(
            RollingRequest(text="Long ago."),))], "perplexity"), "measures a text"),
    ],
)  # fmt: skip
def test_what_cannot_be_disturbed_is_refused(how: str, items: ItemSet, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        disturbed(items, DOCS[: len(items.items)], Cloze(), spec(how))
    assert caught.value.hint == f"leave {how} out of the task's perturb in its suite"
    assert f"'toy' cannot be asked with {how}" in caught.value.message


def test_no_question_and_no_two_baselines_at_once() -> None:
    class Blank(Cloze):
        def prompt(self, doc: Mapping[str, Any]) -> object:
            return ""

    with pytest.raises(UsageError, match="no column of its documents"):
        disturbed(cloze(), DOCS, Blank(), spec("typos"))
    with pytest.raises(UsageError, match="no question to disturb"):
        disturbed(cloze(), DOCS, Cloze(), spec("typos", choices_only=True))
    with pytest.raises(UsageError, match="does not hold its question"):
        disturbed(cloze(DOCS[:1]), DOCS[1:2], Cloze(), spec("typos"))


def test_a_digest_covers_how() -> None:
    kinds = ("typos", "case", "synonyms", "option_order")
    digests = {disturbed_definition("d", how) for how in kinds}
    assert len(digests) == 4
    assert disturbed_definition("e", "case") not in digests


def words_of(text: str) -> list[str]:
    return re.findall(r"\S+", text)


@given(st.lists(st.sampled_from(
    ["which", "process", "Energy", "NASA", "H2O", "1234", "don't", "of", "a", "well-known"]),
    min_size=1, max_size=60), st.integers(0, 99))  # fmt: skip
def test_typos_hit_a_tenth_of_the_longer_words_and_no_others(words: list[str], seed: int) -> None:
    text = " ".join(words)
    found = words_of(with_typos(text, Draws(seed)))
    open_words = [w for w in words if w in ("which", "process", "Energy")]
    changed = [(a, b) for a, b in zip(words, found, strict=True) if a != b]
    assert len(changed) == (max(1, round(0.1 * len(open_words))) if open_words else 0)
    for before, after in changed:
        assert before in ("which", "process", "Energy")
        assert after[0] == before[0]
        assert 1 <= edits(before, after) <= 2
    assert with_typos(text, Draws(seed)) == " ".join(found)


def edits(left: str, right: str) -> int:
    """Levenshtein distance: a swap of neighbours counts two."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def test_all_four_errors_happen_and_quotes_are_left_alone() -> None:
    kinds = Counter()
    for seed in range(200):
        wrong = misspelt("planet", Draws(seed))
        assert wrong != "planet"
        if len(wrong) != 6:
            kinds["longer" if len(wrong) == 7 else "shorter"] += 1
        else:
            kinds["swapped" if sorted(wrong) == sorted("planet") else "neighbour"] += 1
    assert min(kinds[k] for k in ("longer", "shorter", "swapped", "neighbour")) > 25
    assert misspelt("aaaa", Draws(3)) != "aaaa"
    for seed in range(20):
        text = with_typos("the “quoted words” and 'others' stay, planets do not", Draws(seed))
        assert "“quoted words”" in text
        assert "'others'" in text
    assert set(NEIGHBOURS["s"]) == set("adwezx")


def test_synonyms_are_whole_known_and_keep_capitals() -> None:
    assert len(SYNONYMS) > 250
    assert all(key == key.lower() and key != other for key, other in SYNONYMS.items())
    assert with_synonyms("Often the physicians yelled.") == "Frequently the doctors shouted."
    assert with_synonyms("thusly, beginning, Usually") == "thusly, beginning, Usually"
    assert with_synonyms("due to THE rain, “due to”") == "because of THE rain, “due to”"
    assert with_synonyms("an illness, a huge error") == "an illness, a very large error"
    assert with_synonyms("the Big Apple") == "the Big Apple"
