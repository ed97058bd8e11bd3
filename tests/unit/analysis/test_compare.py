"""Differences are paired with the right parent, or refused with the field that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import Delta, compare_to_parents, load_results
from slmbench.analysis.paired import Difference, quality_verdict
from slmbench.errors import IncomparableRunsError, UsageError
from slmbench.spec import Target

PARENT, CHILD = b.variant("parent"), b.variant("child", parent="parent")
OTHER = b.target("other-cpu", backend="other")


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def pair(
    shelf: b.Shelf, before: list[float | None], after: list[float | None], name: str = "arc_easy"
) -> None:
    """Seal the same task for parent and child."""
    items = b.choice_items(name, len(before))
    shelf.task(b.cell(PARENT, b.task(name)), items, {"acc": before})
    shelf.task(b.cell(CHILD, b.task(name)), items, {"acc": after})


def the_delta(shelf: b.Shelf) -> Delta:
    """The one difference of a store."""
    (found,) = compare_to_parents(load_results(shelf.root)).deltas
    return found


def test_flips_p_and_mde_by_hand(shelf: b.Shelf) -> None:
    pair(shelf, [1.0] * 50 + [0.0] * 50, [0.0] * 9 + [1.0] * 41 + [1.0] * 1 + [0.0] * 49)
    d = the_delta(shelf)
    assert (d.variant, d.parent, d.metric) == ("child", "parent", "acc")
    assert d.difference.delta == pytest.approx(-0.08)
    assert (d.difference.flips_up, d.difference.flips_down, d.difference.n) == (1, 9, 100)
    assert d.difference.p == pytest.approx(2 * 11 / 1024)
    assert d.difference.mde == pytest.approx(2.80 * (0.1 / 100) ** 0.5)
    assert d.verdict == "not resolved", "p is small, yet the change is below the MDE"


def test_a_large_loss_is_worse_and_a_gain_better(shelf: b.Shelf) -> None:
    pair(shelf, [1.0] * 60 + [0.0] * 40, [0.0] * 40 + [1.0] * 20 + [0.0] * 40)
    assert the_delta(shelf).verdict == "worse"
    table = compare_to_parents(load_results(shelf.root)).table()
    assert table.loc[0, "verdict"] == "worse"
    assert table.loc[0, "flips_down"] == 40


def test_a_gain_is_better(shelf: b.Shelf) -> None:
    pair(shelf, [0.0] * 60 + [1.0] * 40, [1.0] * 100)
    assert the_delta(shelf).verdict == "better"


def test_equal_answers_are_not_resolved_and_not_certain(shelf: b.Shelf) -> None:
    pair(shelf, [1.0, 0.0] * 20, [1.0, 0.0] * 20)
    d = the_delta(shelf)
    assert (d.difference.delta, d.difference.p, d.verdict) == (0, 1.0, "not resolved")
    assert d.difference.low is not None
    assert d.difference.low < 0


def test_unscored_items_leave_both_sides(shelf: b.Shelf) -> None:
    pair(shelf, [1.0, None, 0.0, 1.0], [None, 1.0, 0.0, 0.0])
    d = the_delta(shelf)
    assert (d.difference.n, d.difference.excluded) == (2, 2)
    assert "unscored items" in d.flags
    assert d.difference.delta == -0.5


def test_holm_is_over_the_suite(shelf: b.Shelf) -> None:
    pair(shelf, [1.0] * 30, [0.0] * 7 + [1.0] * 23, "arc_easy")
    pair(shelf, [1.0] * 30, [0.0] * 1 + [1.0] * 29, "piqa")
    found = {
        d.row.run.spec.work_name: d for d in compare_to_parents(load_results(shelf.root)).deltas
    }
    assert found["arc_easy"].difference.p == pytest.approx(2 / 128)
    assert found["arc_easy"].p_holm == pytest.approx(4 / 128)
    assert found["piqa"].p_holm == 1.0


def test_clusters_widen_the_difference(shelf: b.Shelf) -> None:
    items = b.choice_items("passages", 40, clusters=4)
    before: list[float | None] = [1.0] * 40
    after: list[float | None] = [0.0 if i % 4 == 0 else 1.0 for i in range(40)]
    shelf.task(b.cell(PARENT, b.task("passages")), items, {"acc": before})
    shelf.task(b.cell(CHILD, b.task("passages")), items, {"acc": after})
    d = the_delta(shelf).difference
    assert d.p_method == "t, clustered"
    assert d.p is not None
    assert d.p > 0.05, "all ten losses are in one passage"


def test_another_item_set_is_refused(shelf: b.Shelf) -> None:
    shelf.task(b.cell(PARENT, b.task()), b.choice_items("a", 8), {"acc": [1] * 8})
    shelf.task(b.cell(CHILD, b.task()), b.choice_items("a", 6), {"acc": [1] * 6})
    results = load_results(shelf.root)
    with pytest.raises(IncomparableRunsError) as refused:
        compare_to_parents(results)
    assert refused.value.field == "item_set"
    assert compare_to_parents(results, vary="item_set").deltas[0].difference.n == 6
    lenient = compare_to_parents(results, strict=False)
    assert (len(lenient.deltas), len(lenient.refused)) == (0, 1)
    assert "item_set" in lenient.refused[0].reason


def test_another_artefact_of_the_parent_is_refused(shelf: b.Shelf) -> None:
    items = b.choice_items("a", 8)
    stale = b.variant("parent", digest=b.sha("older"))
    shelf.task(b.cell(stale, b.task()), items, {"acc": [1] * 8})
    shelf.task(b.cell(CHILD, b.task()), items, {"acc": [1] * 8})
    with pytest.raises(IncomparableRunsError, match="parent_digest"):
        compare_to_parents(load_results(shelf.root))


def test_another_backend_is_compared_and_flagged(shelf: b.Shelf) -> None:
    items = b.choice_items("a", 8)
    shelf.task(b.cell(PARENT, b.task(), on=OTHER), items, {"acc": [1] * 8})
    shelf.task(b.cell(CHILD, b.task()), items, {"acc": [1] * 8})
    assert the_delta(shelf).flags == ("backend differs",)
    shelf.task(b.cell(PARENT, b.task()), items, {"acc": [1] * 8})
    assert the_delta(shelf).flags == (), "the parent on the same backend is preferred"


def timings(
    shelf: b.Shelf, scale: float, machine: str = b.MACHINE, on: Target | None = None
) -> None:
    """Seal the latency of parent and child; the child takes ``scale`` times as long."""
    base = [0.0100, 0.0101, 0.0099, 0.0100, 0.0102, 0.0098, 0.0100, 0.0101]
    for what, factor, where, place in ((PARENT, 1.0, None, b.MACHINE), (CHILD, scale, on, machine)):
        spec = b.cell(what, b.workload(), suite="latency", on=where)
        times = b.measurement("tpot", *[t * factor for t in base], point="pp128+tg32")
        shelf.load(spec, b.phase("timed", times), machine=place)


def test_a_slower_child_is_worse(shelf: b.Shelf) -> None:
    timings(shelf, 1.5)
    d = the_delta(shelf)
    assert (d.verdict, d.flags) == ("worse", ("one process",))
    assert d.difference.delta == pytest.approx(0.005)


def test_a_change_of_two_per_cent_is_not_resolved(shelf: b.Shelf) -> None:
    timings(shelf, 1.02)
    assert the_delta(shelf).verdict == "not resolved"


def test_timings_of_another_machine_are_refused(shelf: b.Shelf) -> None:
    timings(shelf, 1.0, machine="f" * 16)
    with pytest.raises(IncomparableRunsError) as refused:
        compare_to_parents(load_results(shelf.root))
    assert refused.value.field == "machine"
    assert compare_to_parents(load_results(shelf.root), vary=["machine"]).deltas


def test_timings_with_other_threads_are_refused(shelf: b.Shelf) -> None:
    timings(shelf, 1.0, on=b.target(threads=1))
    with pytest.raises(IncomparableRunsError, match="threads"):
        compare_to_parents(load_results(shelf.root))


def test_a_missing_parent_and_an_unknown_name(shelf: b.Shelf) -> None:
    shelf.task(b.cell(CHILD, b.task()), b.choice_items("a", 4), {"acc": [1] * 4})
    results = load_results(shelf.root)
    assert "no such result" in compare_to_parents(results).refused[0].reason
    with pytest.raises(UsageError, match="no results of variant 'chid'"):
        compare_to_parents(results, variants=["chid"])


def test_against_another_variant(shelf: b.Shelf) -> None:
    items = b.choice_items("a", 8)
    for ref in (PARENT, CHILD, b.variant("rival")):
        shelf.task(b.cell(ref, b.task()), items, {"acc": [1] * 8})
    found = compare_to_parents(load_results(shelf.root), against="rival").deltas
    assert {(d.variant, d.parent) for d in found} == {("parent", "rival"), ("child", "rival")}


def test_unranked_metrics_have_no_better_side() -> None:
    moved = Difference(0.3, 100, 0.2, 0.4, 0.001, mde=0.1)
    assert quality_verdict(moved, 0.001, "none") == "higher"
    assert quality_verdict(moved, 0.001, "lower") == "worse"
    assert quality_verdict(moved, 0.2, "higher") == "not resolved"
