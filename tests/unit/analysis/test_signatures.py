"""Failure signatures: each rule fires on what it is about, and says so when it cannot tell."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
import signature_store as s
from slmbench.analysis.results import load_results
from slmbench.analysis.signature_rules.findings import SIGNATURES, Thresholds
from slmbench.analysis.signature_rules.texts import repeated_share
from slmbench.analysis.signatures import (
    RULES,
    SIGNATURE_COLUMNS,
    badges,
    find_signatures,
    found_in,
)
from slmbench.spec import VariantRef

ROOT = b.variant("base")
CHILD = b.variant("child", parent="base")
GRANDCHILD = b.variant("grandchild", parent="child")


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def test_collapse_to_guessing_is_severe_and_shows_its_numbers(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.55))
    s.choice(shelf, CHILD, s.both(0.26))
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert (found.verdict, found.severity) == ("yes", "severe")
    first = found.evidence[0]
    assert first.what == "mean of 2 accuracy tasks"
    assert (first.value, first.threshold, first.reference) == (pytest.approx(0.26), 0.25, "base")
    assert first.low is not None
    assert first.low < 0.25 < 0.26
    assert "-29.0 points" in first.text
    assert "55.0 %" in first.text


def test_equal_scores_are_no_collapse(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.55))
    s.choice(shelf, CHILD, s.both(0.54))
    assert s.finding(shelf.root, "child", "accuracy collapse").verdict == "no"
    assert s.finding(shelf.root, "base", "accuracy collapse").verdict == "no"


def test_few_items_that_hold_guessing_are_not_a_collapse(shelf: b.Shelf) -> None:
    """Forty items a task: the interval reaches guessing although much of the skill is left."""
    s.choice(shelf, ROOT, s.both(0.45), items=40)
    s.choice(shelf, CHILD, s.both(0.33), items=40)
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert found.verdict == "not decidable"
    assert "more items" in found.reason
    assert found.evidence


def test_a_collapse_stays_one_further_down(shelf: b.Shelf) -> None:
    """The parent is at guessing already: the nearest ancestor above it stands in."""
    s.choice(shelf, ROOT, s.both(0.55))
    s.choice(shelf, CHILD, s.both(0.25))
    s.choice(shelf, GRANDCHILD, s.both(0.25))
    found = s.finding(shelf.root, "grandchild", "accuracy collapse")
    assert found.verdict == "yes"
    assert found.evidence[0].reference == "base"
    assert found.inherited == "child"


def test_recovery_from_a_collapse_is_no_collapse(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.55))
    s.choice(shelf, CHILD, s.both(0.25))
    s.choice(shelf, GRANDCHILD, s.both(0.53))
    assert s.finding(shelf.root, "grandchild", "accuracy collapse").verdict == "no"


def test_a_parent_that_only_guesses_decides_nothing(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.27))
    s.choice(shelf, CHILD, s.both(0.25))
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert found.verdict == "not decidable"
    assert "itself not above guessing" in found.reason
    assert s.finding(shelf.root, "base", "accuracy collapse").verdict == "does not apply"


def test_a_large_drop_above_guessing_is_moderate(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.9), items=200)
    s.choice(shelf, CHILD, s.both(0.7), items=200)
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert (found.verdict, found.severity) == ("yes", "moderate")
    assert found.evidence[0].threshold == pytest.approx(-0.1)
    lenient = Thresholds(collapse_drop=0.4)
    assert s.finding(shelf.root, "child", "accuracy collapse", lenient).verdict == "no"


def test_the_cliff_of_a_ladder_is_named_with_the_step_above(shelf: b.Shelf) -> None:
    """Four bits lose nothing, three lose it: two variants of one parent, ordered by bits."""
    s.choice(shelf, ROOT, s.both(0.9), items=300, bits=16)
    s.choice(shelf, b.variant("q4", parent="base"), s.both(0.88), items=300, bits=4.5)
    s.choice(shelf, b.variant("q3", parent="base"), s.both(0.7), items=300, bits=3.4)
    s.choice(shelf, b.variant("q8", parent="base"), s.both(0.9), items=300, bits=8.5)
    found = s.finding(shelf.root, "q3", "accuracy collapse")
    assert found.verdict == "yes"
    assert "q4, the step above" in {e.reference for e in found.evidence}
    assert s.finding(shelf.root, "q4", "accuracy collapse").verdict == "no"


def test_grids_stored_as_floats_stand_in_the_ladder_by_their_own_bits(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.9), items=300, bits=32)
    for name, bits, share in (("rtn4", 4.3, 0.89), ("rtn2", 2.3, 0.7)):
        ref = b.variant(name, parent="base")
        s.choice(shelf, ref, s.both(share), items=300, bits=32)
        s.on_grid(shelf.root, ref, bits)
    found = s.finding(shelf.root, "rtn2", "accuracy collapse")
    assert "rtn4, the step above" in {e.reference for e in found.evidence}


def test_without_results_nothing_is_decided_and_each_says_why(shelf: b.Shelf) -> None:
    shelf.load(b.cell(CHILD, b.workload(), suite="latency"), b.phase("load"))
    found = find_signatures(load_results(shelf.root))
    assert {f.signature for f in found} == set(SIGNATURES)
    assert all(f.verdict == "not decidable" and f.reason for f in found)


def test_children_as_good_as_the_parent_raise_no_alarm(shelf: b.Shelf) -> None:
    """Thirty variants of the parent's own skill at the size of the demo."""
    rng = random.Random(5)
    tasks = {"arc_easy": 0.45, "hellaswag": 0.4, "piqa": 0.42}
    truth = {name: [rng.random() < share for _ in range(40)] for name, share in tasks.items()}
    for i in range(31):
        ref = b.variant(f"v{i}", parent="v0") if i else b.variant("v0")
        for name, right in truth.items():
            again = [float(r if rng.random() < 0.8 else rng.random() < tasks[name]) for r in right]
            shelf.task(b.cell(ref, b.task(name, "acc")), b.choice_items(name, 40), {"acc": again})
    found = find_signatures(load_results(shelf.root))
    assert [f.text for f in found if f.found] == []


def test_empty_answers_are_dead(shelf: b.Shelf) -> None:
    s.talk(shelf, ROOT, [range(i, i + 12) for i in range(30)])
    s.talk(shelf, CHILD, [[] if i % 2 else range(i, i + 12) for i in range(30)])
    found = s.finding(shelf.root, "child", "dead outputs")
    assert (found.verdict, found.severity) == ("yes", "severe")
    assert "15 of 30 answers are empty" in found.text
    assert s.finding(shelf.root, "base", "dead outputs").verdict == "no"


def test_one_token_for_ever_is_dead_and_loops(shelf: b.Shelf) -> None:
    s.talk(shelf, ROOT, [range(i, i + 40) for i in range(30)])
    s.talk(shelf, CHILD, [[7 + i] * 40 for i in range(30)])
    dead = s.finding(shelf.root, "child", "dead outputs")
    assert dead.verdict == "yes"
    assert "one token again and again" in dead.text
    loops = s.finding(shelf.root, "child", "repetition loops")
    assert (loops.verdict, loops.severity) == ("yes", "severe")


def test_numbers_that_are_not_finite_are_dead(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, {"arc_easy": 0.6})
    asked = b.choice_items("arc_easy", 100)
    scores: list[float | None] = [None if i < 60 else 1.0 for i in range(100)]
    shelf.task(b.cell(CHILD, b.task("arc_easy", "acc")), asked, {"acc": scores})
    found = s.finding(shelf.root, "child", "dead outputs")
    assert (found.verdict, found.severity) == ("yes", "severe")
    assert found.evidence[0].value == pytest.approx(0.6)


def same_text(count: int, varied: int) -> list[list[int]]:
    return [[i, i + 1] if i < varied else [1, 2] for i in range(count)]


def test_one_answer_for_everything_counts_where_the_parent_did_not_give_it(
    shelf: b.Shelf,
) -> None:
    """A habit of the base in one task of three is no failure of the step; a new one is."""
    for task, mine, theirs in (("a", 1, 1), ("b", 1, 40), ("c", 40, 40)):
        s.talk(shelf, ROOT, same_text(40, theirs), task=task)
        s.talk(shelf, CHILD, same_text(40, mine), task=task)
    root = s.finding(shelf.root, "base", "dead outputs")
    assert root.verdict == "no"
    assert "a: 39 of 40" in root.text
    child = s.finding(shelf.root, "child", "dead outputs")
    assert child.verdict == "yes"
    assert any(e.what.startswith("b:") for e in child.evidence)


def test_a_lost_format_is_told_from_a_kept_one(shelf: b.Shelf) -> None:
    answers = [range(i, i + 12) for i in range(200)]
    s.talk(shelf, ROOT, answers, failures=[float(i < 10) for i in range(200)])
    s.talk(shelf, CHILD, answers, failures=[float(i < 80) for i in range(200)])
    s.talk(shelf, b.variant("kept", parent="base"), answers,
           failures=[float(i < 11) for i in range(200)])  # fmt: skip
    lost = s.finding(shelf.root, "child", "format loss")
    assert (lost.verdict, lost.severity) == ("yes", "moderate")
    assert lost.evidence[0].value == pytest.approx(0.35)
    assert s.finding(shelf.root, "kept", "format loss").verdict == "no"
    assert s.finding(shelf.root, "base", "format loss").verdict == "does not apply"


def test_loops_rise_against_the_parent(shelf: b.Shelf) -> None:
    plain = [list(range(i, i + 40)) for i in range(100)]
    looped = [[i, i + 1, i + 2] * 13 if i < 30 else tokens for i, tokens in enumerate(plain)]
    s.talk(shelf, ROOT, plain)
    s.talk(shelf, CHILD, looped)
    s.talk(shelf, b.variant("same", parent="base"), plain)
    found = s.finding(shelf.root, "child", "repetition loops")
    assert (found.verdict, found.severity) == ("yes", "moderate")
    assert found.evidence[0].value == pytest.approx(0.3)
    assert s.finding(shelf.root, "same", "repetition loops").verdict == "no"


def test_short_answers_decide_nothing_about_loops(shelf: b.Shelf) -> None:
    items = s.questions("short", 40, max_tokens=8)
    shelf.task(b.cell(ROOT, b.task("short", "exact_match")), items, {"exact_match": [1.0] * 40},
               outputs=s.spoken(items, [[1] * 8] * 40))  # fmt: skip
    assert s.finding(shelf.root, "base", "repetition loops").verdict == "not decidable"


@pytest.mark.parametrize(
    ("tokens", "share"), [((), 0.0), ((1, 2, 3), 0.0), ((1,) * 8, 0.8), (tuple(range(9)), 0.0)]
)
def test_repeated_share_counts_four_grams(tokens: tuple[int, ...], share: float) -> None:
    """Eight equal tokens: five 4-grams, one of them distinct."""
    assert repeated_share(tokens) == pytest.approx(share)


def test_the_table_has_a_row_for_every_system_and_rule(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.55))
    s.choice(shelf, CHILD, s.both(0.25))
    results = load_results(shelf.root)
    table = results.signatures()
    assert list(table.columns) == [c.name for c in SIGNATURE_COLUMNS]
    assert len(table) == 2 * len(RULES)
    assert set(table["verdict"]) <= {"yes", "no", "not decidable", "does not apply"}
    told = table[table["verdict"] != "no"]
    assert told["evidence"].notna().all()
    fired = table[table["verdict"] == "yes"]
    assert fired["severity"].notna().all()
    assert fired["value"].notna().all()
    assert badges(results.findings, "child") == ("collapse",)
    (system,) = {f.system for f in results.findings if f.system.variant == "child"}
    assert [f.signature for f in found_in(results.findings, system)] == ["accuracy collapse"]


def test_runs_that_were_mismeasured_prove_nothing(shelf: b.Shelf) -> None:
    """The child has the parent's log-likelihoods in every digit: it was not loaded."""
    asked = b.choice_items("arc_easy", 60)
    numbers = [[-1.0 - i / 7, -2.0, -3.0, -4.0] for i in range(60)]
    for ref, share in ((ROOT, 1.0), (CHILD, 0.2)):
        shelf.task(
            b.cell(ref, b.task("arc_easy", "acc")), asked,
            {"acc": [float(i < share * 60) for i in range(60)]},
            outputs=b.answered(asked, numbers), model=b.model(artefact_sha256=b.sha(ref.name)),
        )  # fmt: skip
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert (found.verdict, found.reason) == ("not decidable", "no results of accuracy tasks")


def scored(shelf: b.Shelf, ref: VariantRef, right: Sequence[bool]) -> None:
    asked = b.choice_items("arc_easy", len(right))
    shelf.task(b.cell(ref, b.task("arc_easy", "acc")), asked, {"acc": [float(r) for r in right]})


def test_a_loss_that_is_not_resolved_is_no_collapse(shelf: b.Shelf) -> None:
    """At guessing, next to nothing left, but on other items than the parent: 11 down, 5 up."""
    scored(shelf, ROOT, [i < 12 for i in range(24)])
    scored(shelf, CHILD, [i < 1 or 12 <= i < 17 for i in range(24)])
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert found.verdict == "not decidable"
    assert found.evidence[0].value == pytest.approx(0.25)


def test_a_drop_near_the_margin_is_not_decided(shelf: b.Shelf) -> None:
    s.choice(shelf, ROOT, s.both(0.9), items=60)
    s.choice(shelf, CHILD, s.both(0.82), items=60)
    found = s.finding(shelf.root, "child", "accuracy collapse")
    assert found.verdict == "not decidable"
    assert "neither shown nor ruled out" in found.reason


def test_one_answer_for_everything_everywhere_is_dead_even_in_a_root(shelf: b.Shelf) -> None:
    for task in ("a", "b"):
        s.talk(shelf, ROOT, same_text(40, 1), task=task)
    found = s.finding(shelf.root, "base", "dead outputs")
    assert (found.verdict, found.severity) == ("yes", "severe")


def test_loops_that_rise_in_one_task_are_not_ruled_out_by_the_mean(shelf: b.Shelf) -> None:
    plain = [list(range(i, i + 20)) for i in range(300)]
    looped = [[i, i + 1] * 10 if i < 21 else tokens for i, tokens in enumerate(plain)]
    for task, mine in (("a", looped), ("b", plain)):
        s.talk(shelf, ROOT, plain, task=task)
        s.talk(shelf, CHILD, mine, task=task)
    found = s.finding(shelf.root, "child", "repetition loops")
    assert found.verdict == "not decidable"
    assert {e.what for e in found.evidence} == {"mean of 2 tasks", "a"}
