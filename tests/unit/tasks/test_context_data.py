"""The generated sets about contexts and premises: repeatable, large enough, balanced."""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from slmbench.tasks.index import own_tasks_dir
from slmbench.tasks.scorers.abstention_phrases import abstains
from slmbench.tasks.scorers.premises import rejects
from slmbench.tasks.scorers.unanswerable import declines

DATA = own_tasks_dir() / "data"
SETS = (
    "slm_nonexistent", "slm_counterfactual_context", "slm_unanswerable_context",
    "slm_inconsistent_context",
)  # fmt: skip
Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SETS)
def test_the_generator_makes_the_committed_bytes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DATA / "generators"))
    text: Callable[[], str] = importlib.import_module(name).text
    assert text() == (DATA / f"{name}.jsonl").read_text("utf-8")
    assert text() == text()


@pytest.mark.parametrize("name", SETS)
def test_at_least_300_items_without_duplicates_and_a_card(name: str) -> None:
    data = rows(name)
    asked = [(r["question"], r.get("context"), r.get("passage"), str(r.get("passages")))
             for r in data]  # fmt: skip
    assert len(data) >= 300
    assert len({row["id"] for row in data}) == len(data)
    assert len(set(asked)) == len(data)
    card = (DATA / "cards" / f"{name}.md").read_text("utf-8")
    assert f"{len(data)} items" in card
    assert "Apache-2.0" in card


def test_every_invented_question_has_its_real_twin() -> None:
    data = rows("slm_nonexistent")
    shares = {g: Counter(r["template"] for r in data if r["group"] == g)
              for g in ("fictional", "control", "false_premise", "true_premise")}  # fmt: skip
    assert shares["fictional"] == shares["control"]
    assert shares["false_premise"] == shares["true_premise"]
    assert (shares["fictional"].total(), shares["false_premise"].total()) == (320, 120)
    assert set(shares["fictional"].values()) == {8}
    assert set(shares["false_premise"].values()) == {10}
    invented = [r["entity"] for r in data if r["group"] == "fictional"]
    assert len(set(invented)) == len(invented)
    assert not set(invented) & {r["entity"] for r in data if r["group"] != "fictional"}


def test_no_question_gives_away_what_is_looked_for() -> None:
    for row in rows("slm_nonexistent"):
        assert row["entity"] in row["question"], row
        assert not abstains(row["question"]), row
        assert not rejects(row["question"], row["truth"]), row
        assert (row["truth"] != "") <= (row["group"] == "false_premise"), row
    for row in rows("slm_unanswerable_context"):
        assert not declines(row["passage"]), row
        assert not declines(row["question"]), row


def test_a_false_premise_differs_from_the_true_one_in_what_is_false() -> None:
    data = {r["id"]: r for r in rows("slm_nonexistent")}
    swapped = [r for r in data.values() if r["truth"]]
    assert len(swapped) == 70
    for row in swapped:
        true = data[row["id"].replace("false", "true")]
        assert row["truth"] in true["question"], row
        assert row["truth"] not in row["question"], row


def test_counterfactual_passages_say_their_answer_and_not_the_true_one() -> None:
    data = rows("slm_counterfactual_context")
    for row in data:
        roles = dict(zip(json.loads(row["labels"]), row["choices"], strict=True))
        assert set(roles) == {"context", "parametric", "other"}, row
        assert len(set(roles.values())) == 3, row
        assert row["choices"][row["gold"]] == roles["context"], row
        assert roles["context"] in row["context"], row
        for absent in ("parametric", "other"):
            rest = row["context"].replace(roles["context"], "")
            assert not re.search(rf"\b{re.escape(roles[absent])}\b", rest), row
        assert roles["context"] not in row["question"].split(), row


def test_counterfactual_positions_are_balanced_and_facts_have_two_contexts() -> None:
    data = rows("slm_counterfactual_context")
    assert set(Counter((r["relation"], r["gold"]) for r in data).values()) == {8}
    assert len({r["relation"] for r in data}) == 16
    told: dict[str, set[str]] = {}
    for row in data:
        told.setdefault(row["fact"], set()).add(row["choices"][row["gold"]])
    assert {len(answers) for answers in told.values()} == {2}


def test_a_passage_answers_one_question_and_not_the_other() -> None:
    pairs: dict[str, dict[str, Row]] = {}
    for row in rows("slm_unanswerable_context"):
        pairs.setdefault(row["id"].rpartition("-")[0], {})[row["group"]] = row
    assert len(pairs) == 180
    for pair in pairs.values():
        has, none = pair["answerable"], pair["unanswerable"]
        assert has["passage"] == none["passage"]
        assert has["choices"] == none["choices"]
        assert len(set(has["choices"])) == 6
        assert has["answer"] in has["passage"]
        assert has["choices"][has["gold"]] == has["answer"]
        assert none["answer"] == ""
        assert none["gold"] == none["declines"] == has["declines"]
        missing = [c for c in none["choices"] if c not in none["passage"]]
        assert len(missing) == 2, (none, missing)  # the one that declines, and one unstated value


def test_the_question_alone_does_not_tell_whether_it_is_answered() -> None:
    def form(row: Row) -> tuple[str, str]:
        return row["kind"], " ".join(row["question"].split()[:2])

    data = rows("slm_unanswerable_context")
    by_group = [Counter(form(r) for r in data if r["group"] == g)
                for g in ("answerable", "unanswerable")]  # fmt: skip
    assert by_group[0] == by_group[1]


def test_conflicting_passages_disagree_and_consistent_ones_do_not() -> None:
    data = rows("slm_inconsistent_context")
    assert Counter(r["group"] for r in data) == {"conflicting": 180, "consistent": 180}
    for row in data:
        roles = dict(zip(json.loads(row["labels"]), row["choices"], strict=True))
        first, second = row["passages"]
        assert roles["first"] in first, row
        if row["group"] == "conflicting":
            assert roles["second"] in second, row
            assert roles["second"] not in first, row
            assert roles["first"] not in second, row
            assert row["choices"][row["gold"]] == roles["conflict"], row
        else:
            assert roles["first"] in second, row
            assert roles["other"] not in first + second, row
            assert row["choices"][row["gold"]] == roles["first"], row


def test_conflicting_and_consistent_twins_differ_in_one_value() -> None:
    data = {r["id"]: r for r in rows("slm_inconsistent_context")}
    for name, row in data.items():
        if row["group"] == "consistent":
            continue
        twin = data[name.replace("conflicting", "consistent")]
        roles = dict(zip(json.loads(row["labels"]), row["choices"], strict=True))
        told = row["passages"][1].replace(roles["second"], roles["first"])
        assert [row["passages"][0], told] == twin["passages"], row
        assert row["choices"] == twin["choices"], row


@pytest.mark.parametrize(
    ("name", "places"), [("slm_unanswerable_context", 6), ("slm_inconsistent_context", 3)]
)
def test_the_right_choice_stands_everywhere(name: str, places: int) -> None:
    by_group: dict[str, Counter[int]] = {}
    for row in rows(name):
        by_group.setdefault(row["group"], Counter())[row["gold"]] += 1
    for found in by_group.values():
        assert set(found) == set(range(places))
        expected = found.total() / places
        # 4 standard deviations of a multinomial cell
        slack = 4 * (expected * (1 - 1 / places)) ** 0.5
        assert all(abs(n - expected) < slack for n in found.values()), found
