"""Agreement of sampled answers, worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from slmbench.metrics import METRICS
from slmbench.records import ScoreRow
from slmbench.requests import ChatMessage, GenerateRequest, Item, ItemOutput, ItemSet
from slmbench.tasks.scorers import agreement, score
from slmbench.tasks.scorers.agreement import by_form, entropy, largest, surprises
from spoken_answers import said

GREEDY = GenerateRequest(prompt=(ChatMessage(role="user", content="Capital?"),), max_tokens=8)


def scored(greedy: str, samples: Sequence[str], *logprobs: float) -> dict[str, ScoreRow]:
    drawn = tuple(GREEDY.model_copy(update={"temperature": 1.0, "seed": n})
                  for n in range(len(samples)))  # fmt: skip
    item = Item(item_id="i", cluster="k", requests=(GREEDY, *drawn), target=json.dumps(["Paris"]))
    item_set = ItemSet(task="t", source="s", data_sha256="0", licence="MIT",
                       scorer="self_consistency", population=9, items=(item,))  # fmt: skip
    outputs = (said(greedy, *logprobs), *map(said, samples))
    return {row.metric: row for row in score(item_set, [ItemOutput(item_id="i", outputs=outputs)])}


def test_entropy_by_hand() -> None:
    assert entropy([0, 0, 0, 1]) == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert entropy([0, 0, 0]) == 0.0
    assert entropy([0, 1, 2, 3, 4, 5, 6, 7]) == pytest.approx(math.log(8))
    assert largest([2, 1, 1, 2, 0]) == (2, 1)


def test_surprises_are_those_of_the_smoothed_unigram_model() -> None:
    # counts: paris 4, rome 1; 5 words, 3 kinds with the unseen one: p(paris) = 5 / 8
    assert surprises("Paris", ["Paris", "paris.", "Rome", "Paris"]) == (
        pytest.approx(math.log(8 / 5)),
    )
    # counts: the 1, paris 4, rome 1; 6 words, 4 kinds: p(the) = 2 / 10, p(paris) = 5 / 10
    found = surprises("The Paris", ["Paris", "Rome", "paris", "PARIS"])
    assert found == (pytest.approx(math.log(5)), pytest.approx(math.log(2)))
    assert surprises("?!", ["Paris"]) == ()


def test_rows_by_hand() -> None:
    rows = scored("The Paris", ["Paris", "Rome", "paris.", "Paris"], math.log(0.25))
    found = {metric: row.value for metric, row in rows.items()}
    assert found == {
        "greedy_correct": 1.0,
        "greedy_contains": 1.0,
        "not_attempted": 0.0,
        "semantic_entropy": pytest.approx(0.5623351446),
        "consistency": 0.75,
        "majority_correct": 1.0,
        "selfcheck_ngram": pytest.approx((math.log(5) + math.log(2)) / 2),
        "selfcheck_ngram_max": pytest.approx(math.log(5)),
        "answer_confidence": pytest.approx(0.25),
        "sample_failure_rate": 0.0,
        "output_tokens": 1.0,
        "truncation_rate": 0.0,
    }
    assert set(found) <= set(METRICS)


def test_ties_for_the_majority_share_the_credit() -> None:
    rows = scored("Rome", ["Paris", "Rome", "paris", "rome"])
    assert rows["majority_correct"].value == 0.5
    assert rows["consistency"].value == 0.5
    assert rows["semantic_entropy"].value == pytest.approx(math.log(2))
    assert rows["greedy_correct"].value == 0.0


def test_abstentions_are_one_cluster_and_no_greedy_grade() -> None:
    assert by_form(["I don't know.", "Paris", "Unknown", "the paris"]) == (0, 1, 0, 1)
    rows = scored("I don't know", ["I'm not sure", "Unknown", "No idea"])
    assert rows["not_attempted"].value == 1.0
    assert rows["consistency"].value == 1.0
    assert rows["majority_correct"].value == 0.0
    assert not {"greedy_correct", "greedy_contains", "answer_confidence"} & set(rows)


def test_failed_samples_are_left_out_and_counted() -> None:
    rows = scored("Paris", ["", "Paris", "  ", "Rome"])
    assert rows["sample_failure_rate"].value == 0.5
    assert rows["consistency"].value == 0.5
    few = scored("Paris", ["", "Paris", "..."])
    assert {row.failure for row in few.values()} == {"too_few_samples"}
    assert all(row.value is None for row in few.values())


def test_a_failed_greedy_answer_makes_every_row_null() -> None:
    rows = scored(" ", ["Paris", "Paris"])
    assert {row.failure for row in rows.values()} == {"empty_output"}


def test_a_model_that_repeats_one_text_is_consistent_and_wrong() -> None:
    rows = scored("yes", ["yes"] * 8)
    assert (rows["consistency"].value, rows["semantic_entropy"].value) == (1.0, 0.0)
    assert rows["greedy_correct"].value == rows["majority_correct"].value == 0.0


def test_an_installed_clusterer_stands_beside_and_is_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class OneCluster:
        def names(self) -> tuple[str, ...]:
            return ("toy",)

        def targets(self) -> dict[str, str]:
            return {"toy": "toy:same"}

        def load(self, name: str) -> agreement.Clusterer:
            def same(question: str, answers: Sequence[str]) -> Sequence[int]:
                asked.append(question)
                return [0] * len(answers)

            return same

    monkeypatch.setattr("slmbench.tasks.scorers.self_consistency.CLUSTERERS", OneCluster())
    rows = scored("Paris", ["Paris", "Paris, France"])
    assert rows["semantic_entropy_estimated"].value == 0.0
    assert rows["semantic_entropy"].value == pytest.approx(math.log(2))
    assert asked == ["Capital?"]
    assert "estimated(classifier)" in METRICS["semantic_entropy_estimated"].label
