"""TruthfulQA in our columns: shuffled the same way everywhere, labels beside their choices."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from published_data import published
from slmbench.analysis.chance import chance_level
from slmbench.requests import Item, LoglikelihoodRequest
from slmbench.tasks.published.truthfulqa import shuffled

pytestmark = pytest.mark.engine

QUESTIONS = [f"Is {n} a lucky number?" for n in range(60)]


def rows(category: bool = False) -> list[dict[str, Any]]:
    """Sixty questions as published: the true answer first."""
    made = []
    for question in QUESTIONS:
        choices = [f"No, {question}", f"Yes, {question}", "On Fridays.", "Ask a wizard."]
        made.append(
            {
                "question": question,
                "mc1_targets": {"choices": choices, "labels": [1, 0, 0, 0]},
                "mc2_targets": {"choices": choices, "labels": [1, 0, 0, 1]},
                **({"category": "Superstitions"} if category else {}),
            }
        )
    return made


def converted(name: str, docs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import datasets

    from slmbench.tasks.published import truthfulqa

    return list(getattr(truthfulqa, name)(datasets.Dataset.from_list(docs)))


def test_the_order_depends_on_nothing_but_the_texts() -> None:
    pairs = (("a", 1), ("b", 0), ("c", 0), ("d", 0))
    assert shuffled("q", pairs) == shuffled("q", pairs[::-1])
    orders = {tuple(text for text, _ in shuffled(str(n), pairs)) for n in range(300)}
    assert len(orders) == 24


def test_gold_is_the_true_choice_and_stands_anywhere() -> None:
    made = converted("mc1", rows())
    for doc, question in zip(made, QUESTIONS, strict=True):
        assert doc["question"] == question
        assert doc["choices"][doc["gold"]] == f"No, {question}"
        assert json.loads(doc["labels"])[doc["gold"]] == 1
        assert doc["category"] == ""
    places = Counter(doc["gold"] for doc in made)
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) < 30
    assert len({doc["id"] for doc in made}) == 60


def test_mc2_keeps_all_labels_with_their_choices() -> None:
    for doc in converted("mc2", rows()):
        true = {c for c, label in zip(doc["choices"], json.loads(doc["labels"]), strict=True)
                if label}  # fmt: skip
        assert true == {f"No, {doc['question']}", "Ask a wizard."}
        assert json.loads(doc["labels"])[doc["gold"]] == 1


def test_ids_and_order_do_not_depend_on_the_copy() -> None:
    one, other = converted("mc1", rows()), converted("mc1", rows(category=True)[::-1])
    assert {d["id"]: d["choices"] for d in one} == {d["id"]: d["choices"] for d in other}
    assert {d["category"] for d in other} == {"Superstitions"}


def test_binary_pairs() -> None:
    docs = [{"question": q, "best_answer": "No.", "best_incorrect_answer": "Yes.",
             "category": "Superstitions"} for q in QUESTIONS]  # fmt: skip
    made = converted("binary", docs)
    assert all(doc["choices"][doc["gold"]] == "No." for doc in made)
    assert 15 < sum(doc["gold"] for doc in made) < 45


def test_the_prompt_is_lm_evals() -> None:
    from slmbench.tasks.published.truthfulqa import prompt

    text = prompt({"question": "Is 7 a lucky number?"})
    assert text.startswith("Q: What is human life expectancy in the United States?")
    assert text.endswith("\n\nQ: Is 7 a lucky number?\nA:")
    assert text.count("\nA:") == 7


def test_chance_of_mc2_is_the_share_of_true_choices() -> None:
    def item(target: str) -> Item:
        return Item(item_id=target, cluster="k", requests=(), target=target)

    items = [item("[1, 0, 0, 0]"), item("[1, 1, 0]"), item("")]
    assert chance_level("truthfulqa_mc2", items) == pytest.approx((1 / 4 + 2 / 3) / 2)
    assert chance_level("truthfulqa_mc2", [item("")]) is None


@pytest.mark.parametrize(("task", "items"), [("mc1", 817), ("mc2", 817), ("binary", 790)])
def test_published_files_through_the_bridge(
    task: str, items: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from slmbench.data.catalogue import by_hub
    from slmbench.data.providers import fetch
    from slmbench.spec import TaskSpec
    from slmbench.tasks.choices_only import without_questions
    from slmbench.tasks.definitions import dataset_of
    from slmbench.tasks.lm_eval_bridge import LocalData, build_items

    folder = published("truthfulqa")
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path))
    name = f"slm_truthfulqa_{task}"
    entry = by_hub(*(dataset_of(name) or ("", None)))
    assert entry is not None
    found = fetch(entry.name, folder.parent)
    data = LocalData(found.path, found.source, found.sha256, found.licence)
    spec = TaskSpec(task=name, primary="acc", num_fewshot=0, chat_template=False, items=None,
                    seed=1)  # fmt: skip
    made = build_items(spec, data)
    assert made.population == len(made.items) == items
    first = sum(item.gold == 0 for item in made.items) / items
    if task == "mc2":
        assert all(json.loads(i.target)[i.gold or 0] == 1 for i in made.items)
        assert all(len(json.loads(i.target)) == len(i.requests) for i in made.items)
        return
    expected = chance_level("acc", made.items)
    assert expected is not None
    assert abs(first - expected) < 4 * (expected * (1 - expected) / items) ** 0.5
    alone = without_questions(made)  # the shortcut baseline can be asked
    request = alone.items[0].requests[0]
    assert isinstance(request, LoglikelihoodRequest)
    assert request.context == "Answer:"
