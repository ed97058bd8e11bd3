"""Scorers of contexts, premises and TruthfulQA's MC2 by hand; dead models get what is chance."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest

from slmbench.metrics import METRICS
from slmbench.records import ScoreRow
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.tasks.scorers import score
from slmbench.tasks.scorers.premises import rejects
from slmbench.tasks.scorers.unanswerable import declines, token_f1

GEN = GenerateRequest(prompt="q", max_tokens=8)


def ll(value: float | None) -> LoglikelihoodOutput:
    failure = "non_finite" if value is None else None
    return LoglikelihoodOutput.model_validate(
        {"logprob": value, "tokens": 1, "context_tokens": 1, "failure": failure}
    )


def gen(text: str) -> GenerateOutput:
    return GenerateOutput(
        text=text, token_ids=(1, 2), prompt_tokens=1, evaluated_tokens=1, start_ns=0,
        token_ns=(1, 2), finish="stop", failure=None if text else "empty_output",
    )  # fmt: skip


def asked(group: str, target: str = "") -> Item:
    return Item(item_id="i", cluster="k", group=group, target=target, requests=(GEN,))


def choice(choices: Sequence[str], target: str = "", group: str = "", gold: int | None = 0) -> Item:
    requests = tuple(LoglikelihoodRequest(context="c", continuation=f" {c}") for c in choices)
    return Item(item_id="i", cluster="k", group=group, target=target, gold=gold,
                choices=tuple(choices), requests=requests)  # fmt: skip


def judged(
    scorer: str, item: Item, *outputs: LoglikelihoodOutput | GenerateOutput
) -> list[ScoreRow]:
    items = ItemSet(task="t", source="s", data_sha256="0", licence="MIT", scorer=scorer,
                    population=1, items=(item,))  # fmt: skip
    return score(items, [ItemOutput(item_id="i", outputs=outputs)])


def values(
    scorer: str, item: Item, *outputs: LoglikelihoodOutput | GenerateOutput
) -> dict[str, float | None]:
    found = judged(scorer, item, *outputs)
    assert {row.metric for row in found} <= set(METRICS)
    aside = ("output_tokens", "truncation_rate", "straddle_rate")
    return {row.metric: row.value for row in found if row.metric not in aside}


# --- premises ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("Charles Dickens did not write War and Peace.", ""),
        ("It was written by Leo Tolstoy in 1869.", "Leo Tolstoy"),
        ("An ostrich cannot fly.", ""),
        ("Ostriches are flightless birds.", ""),
        ("Elephants give birth to live young.", ""),
        ("Thomas Edison was never president of the United States.", ""),
        ("Sydney isn’t the capital of Australia.", ""),
        ("Portugal has never won the World Cup.", ""),
        ("The premise of the question is incorrect.", ""),
        ("That is a common misconception.", ""),
        ("I don't know.", ""),
        ("The Thames does not actually flow through Paris.", ""),
    ],
)
def test_answers_that_reject(text: str, truth: str) -> None:
    assert rejects(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("Charles Dickens wrote it because he was short of money.", "Leo Tolstoy"),
        ("An ostrich can fly at 70 km/h.", ""),
        ("She never married.", ""),
        ("He was awarded the prize for physics.", "Physics"),
        ("Chickens lay about 300 eggs a year.", ""),
        ("", ""),
    ],
)
def test_answers_that_accept(text: str, truth: str) -> None:
    assert not rejects(text, truth)


def test_premises_by_group() -> None:
    denial, story = gen("He did not write it."), gen("He needed the money.")
    assert values("abstention", asked("false_premise"), denial) == {"premise_rejected": 1.0}
    assert values("abstention", asked("false_premise"), story) == {"premise_rejected": 0.0}
    assert values("abstention", asked("true_premise"), denial) == {"premise_accepted_control": 0.0}
    assert values("abstention", asked("true_premise"), story) == {"premise_accepted_control": 1.0}
    named = gen("Leo Tolstoy wrote it.")
    assert values("abstention", asked("false_premise", "Leo Tolstoy"), named) == {
        "premise_rejected": 1.0
    }
    assert values("abstention", asked("true_premise", "Leo Tolstoy"), named) == {
        "premise_accepted_control": 1.0
    }


@pytest.mark.parametrize("text", ["I don't know.", "It is a large one."])
def test_always_and_never_abstaining_are_right_half_the_time(text: str) -> None:
    found = [values("abstention", asked(g), gen(text))["abstention_correct"]
             for g in ("fictional", "control")]  # fmt: skip
    assert sorted(v for v in found if v is not None) == [0.0, 1.0]


def test_an_empty_answer_is_a_failure_in_every_group() -> None:
    for group in ("fictional", "control", "false_premise", "true_premise"):
        assert set(values("abstention", asked(group), gen("")).values()) == {None}


# --- counterfactual contexts --------------------------------------------------------------------

ROLES = json.dumps(["other", "context", "parametric"])


def test_roles_say_which_choice_stands_for_what() -> None:
    item = choice(("Rome", "Copenhagen", "Bonn"), ROLES, gold=1)
    # per character: -1, -0.8, -2
    found = values("context_faithful", item, ll(-4.0), ll(-8.0), ll(-8.0))
    assert found == {"context_faithful": 1.0, "parametric_rate": 0.0, "other_rate": 0.0}
    found = values("context_faithful", item, ll(-4.0), ll(-8.0), ll(-1.0))
    assert found == {"context_faithful": 0.0, "parametric_rate": 1.0, "other_rate": 0.0}
    tie = values("context_faithful", item, ll(-4.0), ll(-10.0), ll(-4.0))
    third = pytest.approx(1 / 3)
    assert tie == {"context_faithful": third, "parametric_rate": third, "other_rate": third}


@pytest.mark.parametrize(
    "target",
    [
        '["context", "context", "other"]',
        "no json",
        '{"a": 1}',
        '["context", "parametric", "truth"]',
    ],
)
def test_unknown_roles_are_a_failure(target: str) -> None:
    rows = judged("context_faithful", choice(("a", "b", "c"), target), ll(-1), ll(-2), ll(-3))
    assert {(row.value, row.failure) for row in rows} == {(None, "unknown_roles")}


# --- unanswerable -------------------------------------------------------------------------------


def test_token_f1_by_hand() -> None:
    # "at old harbour" and "harbour": one word in common, 2 * 1 / (3 + 1)
    assert token_f1("at the old harbour", "the harbour") == 0.5
    assert token_f1("The Harbour!", "harbour") == 1.0
    assert token_f1("six six", "six") == pytest.approx(2 / 3)  # a repeat counts once
    assert token_f1("a ship", "the harbour") == 0.0
    assert token_f1("the", "a") == 0.0  # articles alone are nothing


def test_has_ans_and_no_ans_by_hand() -> None:
    has, none = asked("answerable", "nine coins"), asked("unanswerable")
    assert values("unanswerable", has, gen("Nine coins.")) == {
        "has_ans_f1": 1.0, "has_ans_exact": 1.0, "has_ans_contains": 1.0, "squad2_f1": 1.0,
    }  # fmt: skip
    # "it costs nine coins": 2 * 2 / (4 + 2)
    assert values("unanswerable", has, gen("It costs nine coins")) == {
        "has_ans_f1": pytest.approx(2 / 3), "has_ans_exact": 0.0,
        "has_ans_contains": 1.0, "squad2_f1": pytest.approx(2 / 3),
    }  # fmt: skip
    assert values("unanswerable", has, gen("ninety-nine coins"))["has_ans_contains"] == 0.0
    assert set(values("unanswerable", has, gen("unanswerable")).values()) == {0.0}
    assert values("unanswerable", none, gen("Unanswerable")) == {
        "no_ans_accuracy": 1.0, "squad2_f1": 1.0,
    }  # fmt: skip
    assert values("unanswerable", none, gen("nine coins")) == {
        "no_ans_accuracy": 0.0, "squad2_f1": 0.0,
    }  # fmt: skip
    assert set(values("unanswerable", none, gen("")).values()) == {None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unanswerable", True),
        ("The passage doesn't say.", True),
        ("It is not mentioned in the passage.", True),
        ("There is no information about that.", True),
        ("This cannot be determined.", True),
        ("I don't know", True),
        ("a bakery", False),
        ("The visitors said so.", False),
    ],
)
def test_what_declines(text: str, expected: bool) -> None:
    assert declines(text) is expected


# --- unanswerable, by log-likelihood --------------------------------------------------------------


def test_decline_score_is_the_lead_per_character_over_the_best_other() -> None:
    item = choice(("aa", "bbbb", "none"), "2", "unanswerable", gold=2)
    # per character: -1, -0.5, -0.25
    found = values("unanswerable_score", item, ll(-2.0), ll(-2.0), ll(-1.0))
    assert found == {"decline_score": 0.25, "decline_correct": 1.0}
    has = choice(("aa", "bbbb", "none"), "2", "answerable", gold=1)
    found = values("unanswerable_score", has, ll(-2.0), ll(-2.0), ll(-1.0))
    assert found == {"decline_score": 0.25, "decline_correct": 0.0, "span_accuracy": 1.0}
    found = values("unanswerable_score", has, ll(-0.5), ll(-2.0), ll(-4.0))
    assert found == {"decline_score": -0.75, "decline_correct": 1.0, "span_accuracy": 0.0}


def test_the_right_span_is_found_behind_the_declining_choice() -> None:
    has = choice(("none", "aaaa", "bbbb"), "0", "answerable", gold=2)
    found = values("unanswerable_score", has, ll(-9.0), ll(-3.0), ll(-2.0))
    assert found["span_accuracy"] == 1.0


def test_a_constant_model_declines_half_right_everywhere() -> None:
    options = ("aaaa", "bbbb", "none")
    for group in ("answerable", "unanswerable"):
        found = values("unanswerable_score", choice(options, "2", group), *[ll(-4.0)] * 3)
        assert found["decline_score"] == 0.0
        assert found["decline_correct"] == 0.5
        assert found.get("span_accuracy", 0.5) == 0.5


@pytest.mark.parametrize(("target", "why"), [("", "no_declining_choice"),
                                             ("3", "no_declining_choice")])  # fmt: skip
def test_an_item_without_a_declining_choice_is_a_failure(target: str, why: str) -> None:
    rows = judged("unanswerable_score", choice(("a", "b", "c"), target), *[ll(-1.0)] * 3)
    assert {row.failure for row in rows} == {why}


# --- inconsistent ---------------------------------------------------------------------------------

CONFLICTING = json.dumps(["second", "conflict", "first"])
CONSISTENT = json.dumps(["other", "first", "conflict"])


def test_contradictions_by_hand() -> None:
    item = choice(("aa", "they", "bb"), CONFLICTING, "conflicting", gold=1)
    # per character: second -1.5, conflict -0.5, first -1
    assert values("inconsistent_context", item, ll(-3.0), ll(-2.0), ll(-2.0)) == {
        "conflict_detected": 1.0, "first_passage_preference": 1.0, "conflict_score": -0.5,
        "conflict_correct": 1.0,
    }  # fmt: skip
    assert values("inconsistent_context", item, ll(-1.0), ll(-4.0), ll(-1.0)) == {
        "conflict_detected": 0.0, "first_passage_preference": 0.5, "conflict_score": -1.0,
        "conflict_correct": 0.0,
    }  # fmt: skip


def test_seeing_a_contradiction_in_agreement_is_wrong() -> None:
    item = choice(("aa", "bb", "they"), CONSISTENT, "consistent", gold=1)
    assert values("inconsistent_context", item, ll(-3.0), ll(-2.0), ll(-2.0)) == {
        "agreement_kept": 0.0, "conflict_score": -0.5, "conflict_correct": 0.0,
    }  # fmt: skip
    assert values("inconsistent_context", item, ll(-3.0), ll(-2.0), ll(-8.0)) == {
        "agreement_kept": 1.0, "conflict_score": -2.0, "conflict_correct": 1.0,
    }  # fmt: skip


def test_a_constant_model_is_half_right_about_contradictions() -> None:
    for roles, group in ((CONFLICTING, "conflicting"), (CONSISTENT, "consistent")):
        found = values("inconsistent_context", choice(("aa", "bb", "cc"), roles, group),
                       *[ll(-2.0)] * 3)  # fmt: skip
        assert found["conflict_correct"] == 0.5
        assert found["conflict_score"] == -1.0


def test_roles_that_belong_to_the_other_group_are_a_failure() -> None:
    rows = judged("inconsistent_context", choice(("a", "b", "c"), CONSISTENT, "conflicting"),
                  *[ll(-1.0)] * 3)  # fmt: skip
    assert {row.failure for row in rows} == {"unknown_roles"}


# --- TruthfulQA MC2 -------------------------------------------------------------------------------


def test_mc2_by_hand() -> None:
    item = choice(("a", "b", "c"), "[1, 0, 1]")
    found = values("truthfulqa_mc2", item, ll(math.log(0.1)), ll(math.log(0.3)), ll(math.log(0.2)))
    assert found == {"truthfulqa_mc2": pytest.approx(0.3 / 0.6)}


def test_mc2_has_a_value_where_every_likelihood_underflows() -> None:
    item = choice(("a", "b"), "[0, 1]")
    assert values("truthfulqa_mc2", item, ll(-5000.0), ll(-4000.0)) == {"truthfulqa_mc2": 1.0}
    tie = values("truthfulqa_mc2", item, ll(-9000.0), ll(-9000.0))
    assert tie == {"truthfulqa_mc2": 0.5}
    close = values("truthfulqa_mc2", item, ll(-2001.0), ll(-2000.0))
    assert close == {"truthfulqa_mc2": pytest.approx(1 / (1 + math.exp(-1)))}


def test_mc2_of_a_constant_model_is_the_share_of_true_choices() -> None:
    item = choice(("a", "b", "c", "d"), "[0, 1, 0, 0]")
    assert values("truthfulqa_mc2", item, *[ll(-3.0)] * 4) == {"truthfulqa_mc2": 0.25}


@pytest.mark.parametrize("target", ["", "[1, 1]", "[0, 0]", "[1]", "{}", "[2, 0]"])
def test_mc2_without_true_and_false_labels_is_a_failure(target: str) -> None:
    rows = judged("truthfulqa_mc2", choice(("a", "b"), target), ll(-1.0), ll(-2.0))
    assert {(row.value, row.failure) for row in rows} == {(None, "no_labels")}


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scorer", "target", "group"),
    [
        ("context_faithful", ROLES, "capital"),
        ("unanswerable_score", "2", "answerable"),
        ("inconsistent_context", CONFLICTING, "conflicting"),
        ("truthfulqa_mc2", "[1, 0, 0]", ""),
    ],
)
def test_one_number_that_is_none_makes_the_item_null(scorer: str, target: str, group: str) -> None:
    rows = judged(scorer, choice(("a", "b", "c"), target, group), ll(-1.0), ll(None), ll(-2.0))
    assert {(row.value, row.failure) for row in rows} == {(None, "non_finite")}
    empty = judged(scorer, choice(("a", "", "c"), target, group), *[ll(-1.0)] * 3)
    assert {(row.value, row.failure) for row in empty} == {(None, "empty_continuation")}
