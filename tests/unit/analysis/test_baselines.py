"""Shortcuts through the choices: computed from items alone, compared item by item."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.baselines import SHORTCUTS, item_baselines, picks_of
from slmbench.requests import ItemSet


def _values(items: ItemSet) -> dict[str, float | None]:
    return {f.shortcut: f.estimate.value for f in item_baselines(items)}


def test_a_case_done_by_hand() -> None:
    items = b.choice_set([("a", "bbb", "cc"), ("aaa", "bbb", "c"), ("a", "bb", "c")], [1, 0, 2])
    assert _values(items) == {
        "longest answer": pytest.approx((1 + 0.5 + 0) / 3),
        "shortest answer": pytest.approx((0 + 0 + 0.5) / 3),
        "first answer": pytest.approx(1 / 3),
        "last answer": pytest.approx(1 / 3),
        "majority position": pytest.approx(1 / 3),
    }


def test_letters_say_nothing_about_length() -> None:
    items = b.choice_set([("A", "B")] * 4, [0, 0, 0, 1])
    found = {f.shortcut: f for f in item_baselines(items)}
    assert picks_of("longest answer", items.items) is None
    assert found["longest answer"].estimate.value is None
    assert "equally long" in found["longest answer"].estimate.method
    assert found["majority position"].estimate.value == 0.75
    assert found["first answer"].estimate.low is not None


def test_items_without_a_right_answer_and_other_tasks_are_left_out() -> None:
    items = b.choice_set([("a", "bb")] * 3, [1, None, 1])
    assert {f.estimate.n for f in item_baselines(items)} == {2}
    assert item_baselines(items.model_copy(update={"scorer": "stereotype_pairs"})) == ()


def test_a_run_is_told_from_a_shortcut_item_by_item(tmp_path: Path) -> None:
    n = 60
    items = b.choice_set([("aa", "b")] * n, [i % 2 for i in range(n)])
    shelf = b.Shelf(tmp_path)
    able = [float(i % 5 > 0) for i in range(n)]
    shelf.task(b.cell(b.variant("able"), b.task()), items, {"acc": able})
    lazy = [float(i % 2 == 0) for i in range(n)]
    shelf.task(b.cell(b.variant("lazy"), b.task()), items, {"acc": lazy})
    table = load_results(tmp_path).baselines().set_index(["variant", "baseline"])
    assert len(table) == 2 * len(SHORTCUTS)
    assert table.loc[("able", "longest answer"), "told"] == "above"
    assert table.loc[("lazy", "longest answer"), "told"] == "not told apart"
    assert table.loc[("lazy", "longest answer"), "delta"] == 0
    assert table.loc[("able", "longest answer"), "delta"] == pytest.approx(0.3)
    assert (table["chance"] == 0.5).all()
    assert (table["n"].drop("choices only", level="baseline") == n).all()
    assert (table["ci_low"].dropna() < table["value"].dropna()).all()
    alone = table.xs("choices only", level="baseline")
    assert alone["value"].isna().all()
    assert alone["reason"].str.contains("set choices_only on the task").all()


def test_the_primary_accuracy_is_what_is_compared(tmp_path: Path) -> None:
    items = b.choice_set([("aa", "b")] * 8, [0] * 8)
    scores = {"acc": [0.0] * 8, "acc_norm": [1.0] * 8}
    b.Shelf(tmp_path).task(b.cell(b.variant("m"), b.task(primary="acc_norm")), items, scores)
    table = load_results(tmp_path).baselines()
    assert set(table["metric"]) == {"acc_norm"}
    assert (table["score"] == 1.0).all()


def test_a_store_without_multiple_choice_has_none(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    shelf.load(b.cell(b.variant("m"), b.workload(), suite="latency"))
    assert len(load_results(tmp_path).baselines()) == 0
