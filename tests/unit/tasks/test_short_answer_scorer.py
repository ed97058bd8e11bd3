"""Short answers graded by hand, and the published forms of the data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from slmbench.metrics import METRICS
from slmbench.records import ScoreRow
from slmbench.requests import GenerateOutput, GenerateRequest, Item, ItemOutput, ItemSet
from slmbench.tasks.scorers import score
from slmbench.tasks.scorers.answers import UnscorableError
from slmbench.tasks.scorers.grading import Key, confidence, withholds
from slmbench.tasks.scorers.short_answer import penalised
from spoken_answers import said

PARIS = json.dumps(["Paris", "City of Paris"])
STATED = json.dumps({"accepted": ["Paris"], "threshold": 0.75})


def scored(target: str, outputs: Sequence[GenerateOutput]) -> list[ScoreRow]:
    request = GenerateRequest(prompt="q", max_tokens=8)
    items = tuple(
        Item(item_id=f"i{n}", cluster=f"i{n}", requests=(request,), target=target)
        for n in range(len(outputs))
    )
    item_set = ItemSet(task="t", source="s", data_sha256="0", licence="MIT",
                       scorer="short_answer", population=9, items=items)  # fmt: skip
    answers = [ItemOutput(item_id=f"i{n}", outputs=(o,)) for n, o in enumerate(outputs)]
    return score(item_set, answers)


def values(rows: Sequence[ScoreRow], item: str = "i0") -> dict[str, float | None]:
    return {row.metric: row.value for row in rows if row.item_id == item}


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("Paris", "correct"),
        (" the PARIS. ", "correct"),
        ("City  of Paris!", "correct"),
        ("It is Paris", "incorrect"),
        ("Pari s", "incorrect"),
        ("I don't know.", "not_attempted"),
        ("I’m not sure", "not_attempted"),
        ("Unknown.", "not_attempted"),
        ("N/A.", "not_attempted"),
        ("Na", "incorrect"),
        ("The Unknown Soldier", "incorrect"),
        ("Maybe Paris, but I don't know", "not_attempted"),
    ],
)
def test_grades(answer: str, grade: str) -> None:
    assert Key.read(PARIS).grade(answer) == grade


def test_a_right_answer_that_sounds_like_an_abstention_is_right() -> None:
    key = Key.read(json.dumps(["I Don't Know How to Love Him"]))
    assert withholds("I don't know how to love him")
    assert key.grade("I don't know how to love him") == "correct"


def test_answers_of_which_normalisation_leaves_nothing_are_compared_as_they_are() -> None:
    key = Key.read(json.dumps(["A", "B3"]))
    assert key.grade("a") == "correct"
    assert key.grade("the") == "incorrect"
    assert not key.occurs_in("the b")
    assert key.occurs_in("Vitamin B3 (niacin)")
    assert not key.occurs_in("vitamin B35")


@pytest.mark.parametrize("target", ["", "not json", "[]", '["", " "]', "3", '"Paris"'])
def test_an_item_without_an_accepted_answer_cannot_be_judged(target: str) -> None:
    with pytest.raises(UnscorableError, match="no_reference"):
        Key.read(target)
    rows = scored(target, [said("Paris")])
    assert {row.failure for row in rows} == {"no_reference"}
    assert all(row.value is None for row in rows)


def test_rows_of_a_right_a_wrong_and_no_answer() -> None:
    half = math.log(0.5)
    rows = scored(PARIS, [said("Paris", half, half), said("It is Paris", half, 3 * half),
                          said("I don't know", half)])  # fmt: skip
    right, wrong, none = (values(rows, f"i{n}") for n in range(3))
    assert right == {
        "answer_correct": 1.0, "answer_incorrect": 0.0, "not_attempted": 0.0,
        "answer_contains": 1.0, "accuracy_given_attempted": 1.0, "hallucination_rate": 0.0,
        "hallucination_rate_lenient": 0.0, "answer_confidence": pytest.approx(0.5),
        "penalised_50_unstated": 1.0, "penalised_75_unstated": 1.0,
        "penalised_90_unstated": 1.0, "output_tokens": 2.0, "truncation_rate": 0.0,
    }  # fmt: skip
    assert wrong["answer_incorrect"] == wrong["hallucination_rate"] == 1.0
    assert wrong["answer_contains"] == 1.0
    assert wrong["hallucination_rate_lenient"] == 0.0
    assert wrong["answer_confidence"] == pytest.approx(0.25)  # exp of the mean of -0.69 and -2.08
    assert wrong["penalised_50_unstated"] == -1.0
    assert wrong["penalised_75_unstated"] == -3.0
    assert wrong["penalised_90_unstated"] == pytest.approx(-9.0)
    assert none == {
        "answer_correct": 0.0, "answer_incorrect": 0.0, "not_attempted": 1.0,
        "answer_contains": 0.0, "penalised_50_unstated": 0.0, "penalised_75_unstated": 0.0,
        "penalised_90_unstated": 0.0, "output_tokens": 1.0, "truncation_rate": 0.0,
    }  # fmt: skip
    assert {row.metric for row in rows} <= set(METRICS)


def test_the_published_penalised_score_needs_a_prompt_that_states_t() -> None:
    rows = scored(STATED, [said("Paris"), said("Rome"), said("Unsure")])
    found = [row.value for row in rows if row.metric == "penalised_75"]
    assert found == [1.0, -3.0, 0.0]
    assert not any(row.metric.endswith("_unstated") for row in rows)
    assert penalised("incorrect", 0.5) == -1.0


@pytest.mark.parametrize("output", [said("", failure="empty_output"), said(" \t"), said("...")])
def test_an_answer_that_says_nothing_is_a_failure_and_no_abstention(output: GenerateOutput) -> None:
    rows = scored(PARIS, [output])
    assert {row.failure for row in rows} == {"empty_output"}
    assert {"answer_correct", "not_attempted", "hallucination_rate", "penalised_75_unstated"} <= {
        row.metric for row in rows
    }
    assert all(row.value is None for row in rows)


def test_a_mark_is_an_answer_where_a_mark_was_asked_for() -> None:
    assert values(scored('["%"]', [said(" % ")]))["answer_correct"] == 1.0
    assert {row.failure for row in scored('["%"]', [said("?")])} == {"empty_output"}


def test_without_log_probabilities_there_is_no_confidence_row() -> None:
    rows = scored(PARIS, [said("Paris")])
    assert "answer_confidence" not in values(rows)
    assert confidence(said("Paris")) is None


def test_sentinels_never_look_good() -> None:
    """Always abstaining: no rate at all. Always the same text: wrong everywhere."""
    silent = scored(PARIS, [said("I don't know.")] * 4)
    assert not {"hallucination_rate", "accuracy_given_attempted"} & {r.metric for r in silent}
    assert {r.value for r in silent if r.metric.startswith("penalised")} == {0.0}
    constant = scored(PARIS, [said("yes")] * 4)
    assert {r.value for r in constant if r.metric == "hallucination_rate"} == {1.0}
    assert {r.value for r in constant if r.metric == "penalised_75_unstated"} == {-3.0}
    dead = scored(PARIS, [said("x", failure="non_finite")] * 4)
    assert all(row.value is None for row in dead)


@pytest.mark.engine
def test_published_sets_become_questions_with_accepted_answers() -> None:
    from datasets import Dataset

    from slmbench.tasks.published import closed_book

    nq = Dataset.from_list([{"question": " who sang it ", "answer": ["Ann", "Ann Lee", "Ann"]}])
    (row,) = closed_book.nq_open(nq)
    assert row["question"] == "who sang it?"
    assert (row["answer"], json.loads(row["accepted"])) == ("Ann", ["Ann", "Ann Lee"])
    for made, t in ((closed_book.nq_open_t50, 0.5), (closed_book.nq_open_t75, 0.75),
                    (closed_book.nq_open_t90, 0.9)):  # fmt: skip
        (stated,) = made(nq)
        assert stated["id"] == row["id"]
        key = Key.read(stated["accepted"])
        assert (key.accepted, key.threshold) == (("Ann", "Ann Lee"), t)
    answer = {"value": "Jack-o'-Lantern", "aliases": ["Pumpkin", ""],
              "normalized_aliases": ["jack o lantern", "pumpkin"], "type": "x"}  # fmt: skip
    trivia = Dataset.from_list(
        [{"question": "What?", "question_id": "tc_3", "answer": answer, "search_results": {}}]
    )
    (row,) = closed_book.triviaqa(trivia)
    assert set(row) == {"id", "question", "answer", "accepted"}
    assert (row["id"], row["question"], row["answer"]) == ("tc_3", "What?", "Jack-o'-Lantern")
    key = Key.read(row["accepted"])
    assert key.matches("jack o lantern")
    assert key.matches("JackoLantern")
    assert key.matches("a pumpkin")
    simple = Dataset.from_list([{"metadata": "{}", "problem": "When?", "answer": "1912"}])
    (row,) = closed_book.simpleqa(simple)
    assert json.loads(row["accepted"]) == ["1912"]
