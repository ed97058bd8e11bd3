"""Differences of runs that stopped early: the interval of the record, with a flag."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import Delta, compare_to_parents, load_results
from slmbench.records import AdaptiveStop, Look
from slmbench.sequential import Pair, Schedule, replay
from slmbench.spec import digest_of
from slmbench.spec.suite import Until
from slmbench.store import save_items

PARENT, CHILD = b.variant("parent"), b.variant("child", parent="parent")
UNTIL = Until(halfwidth=0.06, every=50)
TOTAL = 300
BEFORE = [1.0] * TOTAL
AFTER = [0.0 if i % 20 == 0 else 1.0 for i in range(TOTAL)]


def looks() -> tuple[Look, ...]:
    """What the watcher would have seen."""
    pairs = [
        Pair(y - x, b.choice_items("arc_easy", TOTAL).items[i].cluster)
        for i, (x, y) in enumerate(zip(BEFORE, AFTER, strict=True))
    ]
    return replay(Schedule(UNTIL, TOTAL), pairs)


def stopped(root: Path, until: Until = UNTIL) -> b.Shelf:
    """Parent asked in full, child stopped at its last look."""
    shelf, items = b.Shelf(root), b.choice_items("arc_easy", TOTAL)
    save_items(root, items)
    shelf.task(
        b.cell(PARENT, b.task()), items, {"acc": BEFORE, "gold_bpb": BEFORE}, run_id="parents-run"
    )
    seen = looks()
    asked = seen[-1].asked
    stop = AdaptiveStop(
        parent_run="parents-run", asked=asked, available=TOTAL, reason="enough", looks=seen
    )
    values = {"acc": AFTER[:asked], "gold_bpb": AFTER[:asked]}
    shelf.task(
        b.cell(CHILD, b.task(until=until)),
        items.first(asked),
        values,
        item_set=digest_of(items),
        adaptive=stop,
    )
    return shelf


def the_delta(shelf: b.Shelf, metric: str = "acc") -> Delta:
    (found,) = compare_to_parents(load_results(shelf.root), metrics=[metric]).deltas
    return found


def test_the_interval_is_that_of_the_last_look(tmp_path: Path) -> None:
    last = looks()[-1]
    assert last.asked < TOTAL
    d = the_delta(stopped(tmp_path))
    assert d.difference.n == last.asked
    assert d.difference.delta == pytest.approx(last.estimate)
    assert d.difference.low == pytest.approx(last.low)
    assert d.difference.high == pytest.approx(last.high)
    assert d.difference.p == pytest.approx(min(one.p for one in looks() if one.p is not None))
    assert d.difference.p_method == "sequential t"
    assert "sequential" in d.flags
    assert d.difference.flips_down == last.asked // 20


def test_only_the_asked_items_count_and_the_row_says_so(tmp_path: Path) -> None:
    results = load_results(stopped(tmp_path).root)
    (row,) = [
        r for r in results.metric_rows if r.run.spec.variant.name == "child" and r.metric == "acc"
    ]
    assert row.estimate.n == looks()[-1].asked
    assert row.n_failed == 0
    assert "stopped early" in row.flags
    assert all(
        "stopped early" not in r.flags
        for r in results.metric_rows
        if r.run.spec.variant.name == "parent"
    )


def test_one_sided_tests_pay_for_the_looks_too(tmp_path: Path) -> None:
    d = the_delta(stopped(tmp_path)).difference
    assert d.looks is not None
    assert d.looks.factor == pytest.approx(1 / 0.9)
    assert d.low is not None
    at_low, p_half = d.p_above(d.low), 0.025
    assert at_low == pytest.approx(p_half)
    above, below = d.p_above(-0.5), d.p_below(0.5)
    assert above is not None
    assert below is not None
    assert above < 0.001 > below


def test_a_metric_that_is_no_share_keeps_its_interval(tmp_path: Path) -> None:
    d = the_delta(stopped(tmp_path), "gold_bpb")
    assert d.difference.looks is None
    assert "sequential" in d.flags


def test_another_confidence_of_the_stop_does_not_change_the_tables(tmp_path: Path) -> None:
    """Tables say 95 %, whatever the stop was decided with."""
    usual = the_delta(stopped(tmp_path / "a"))
    loose = the_delta(stopped(tmp_path / "b", UNTIL.model_copy(update={"confidence": 0.8})))
    assert loose.difference.low == usual.difference.low
    assert loose.difference.high == usual.difference.high


def test_a_run_without_looks_is_compared_as_ever(tmp_path: Path) -> None:
    shelf, items = b.Shelf(tmp_path), b.choice_items("arc_easy", TOTAL)
    shelf.task(b.cell(PARENT, b.task()), items, {"acc": BEFORE})
    whole = AdaptiveStop(parent_run=None, asked=TOTAL, available=TOTAL, reason="no parent's run")
    shelf.task(b.cell(CHILD, b.task(until=UNTIL)), items, {"acc": AFTER}, adaptive=whole)
    d = the_delta(shelf)
    assert d.difference.looks is None
    assert "sequential" not in d.flags
    assert d.difference.p_method == "exact McNemar"
