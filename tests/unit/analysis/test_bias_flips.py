"""Answers to stereotype probes that changed from the parent, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import columns, load_results
from slmbench.analysis.constructs.bias_flips import BiasFlips, Paired, moves_of
from slmbench.records import Status
from slmbench.requests import ItemSet
from slmbench.store.gates import (
    FLOOR_FLIPS,
    FLOOR_MAX,
    FLOOR_MEAN,
    GateNumber,
    GateRecord,
    save_gate,
)

BASE = b.variant("base")
SMALL = b.variant("small", parent="base")
TINY = b.variant("tiny", parent="base")
Values = Sequence[float | None]

BEFORE = [1.0, 1.0, 1.0, -1.0, -1.0, 0.0, 0.0, 1.0]
AFTER = [1.0, -1.0, 0.0, 1.0, -1.0, 1.0, 0.0, 1.0]
GROUPS = ["a", "a", "a", "a", "b", "b", "b", "b"]


def probe(groups: Sequence[str] = GROUPS, clusters: int | None = None) -> ItemSet:
    plain = b.choice_items("pairs", len(groups), choices=2, clusters=clusters)
    named = [i.model_copy(update={"group": g}) for i, g in zip(plain.items, groups, strict=True)]
    return plain.model_copy(update={"scorer": "stereotype_pairs", "items": tuple(named)})


def put(shelf: b.Shelf, what, values: Values, items: ItemSet | None = None, **changes) -> None:  # type: ignore[no-untyped-def]
    spec = b.cell(what, b.task("pairs", "stereotype_preference"), suite="bias")
    scores: dict[str, Values] = {
        "stereotype_preference": [None if v is None else (v + 1) / 2 for v in values],
        "bias_direction": values,
    }
    shelf.task(spec, items or probe(), scores, **changes)


def flips(root: Path, variant: str = "small") -> dict[str, BiasFlips]:
    found = load_results(root).flips
    return {row.group: row for row in found if row.run.spec.variant.name == variant}


def test_moves_by_hand(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, BEFORE)
    put(shelf, SMALL, AFTER, model=b.model(3.5))
    found = flips(tmp_path)
    assert set(found) == {"", "a", "b"}
    every = found[""]
    assert (every.n, every.clusters, every.bits_per_weight) == (8, 8, pytest.approx(3.5))
    moves = every.moves
    assert moves is not None
    shares = {
        "flips": 4 / 8,  # 1→-1, 1→0, -1→1, 0→1
        "to_stereotype": 2 / 8,
        "from_stereotype": 2 / 8,
        "anti_to_stereotype": 1 / 8,
        "stereotype_to_anti": 1 / 8,
        "to_neither": 1 / 8,
        "from_neither": 1 / 8,
        "net": 0.0,
        "neither_delta": 0.0,
        "parent_rate": 4 / 8,
        "rate": 4 / 8,
    }
    assert {name: getattr(moves, name).value for name in shares} == shares
    assert moves.flips.low is not None
    assert moves.flips.low < 0.5 < (moves.flips.high or 0)


def test_groups_move_where_the_whole_does_not(tmp_path: Path) -> None:
    """Half of the answers flip and the mean stays: the table must show what the mean hides."""
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, [1.0] * 4 + [-1.0] * 4)
    put(shelf, SMALL, [-1.0] * 4 + [1.0] * 4)
    found = {group: row.moves for group, row in flips(tmp_path).items()}
    nets = {group: moves.net.value for group, moves in found.items() if moves}
    assert nets == {"": 0.0, "a": -1.0, "b": 1.0}
    assert found[""] is not None
    assert found[""].flips.value == 1.0


def test_the_same_answers_are_no_flips_and_zero_stays_uncertain(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, BEFORE)
    put(shelf, SMALL, BEFORE)
    moves = flips(tmp_path)[""].moves
    assert moves is not None
    assert (moves.flips.value, moves.net.value) == (0.0, 0.0)
    assert moves.flips.high is not None
    assert moves.flips.high > 0.1  # eight items cannot show that nothing flips
    assert moves.net.low == pytest.approx(-moves.flips.high)
    assert moves.net.high == pytest.approx(moves.flips.high)


def test_unscored_items_are_left_out_of_both(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, [None, *BEFORE[1:]])
    put(shelf, SMALL, [*AFTER[:-1], None])
    found = flips(tmp_path)
    assert found[""].n == 6
    assert found["a"].n == 3


def test_nothing_answered_by_both_is_said(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, [1.0, None], probe(["a", "b"]))
    put(shelf, SMALL, [None, 1.0], probe(["a", "b"]))
    row = flips(tmp_path)[""]
    assert (row.n, row.moves, row.reason) == (0, None, "no item of this group was answered by both")


def test_intervals_are_by_cluster() -> None:
    before, after = (1.0,) * 40, (1.0,) * 20 + (-1.0,) * 20
    alone = moves_of(Paired(before, after, tuple(map(str, range(40)))))
    ten = moves_of(Paired(before, after, tuple(str(i // 4) for i in range(40))))
    one = moves_of(Paired(before, after, ("t",) * 40))
    assert alone.net.value == ten.net.value == one.net.value == -0.5
    assert (ten.net.se or 0) > 1.8 * (alone.net.se or 0)
    assert one.net.low is None
    assert one.net.method == "all items in one cluster"
    assert (ten.flips.high or 0) > (alone.flips.high or 0)


def test_a_variant_without_a_parents_run_says_so(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, SMALL, AFTER)
    row = flips(tmp_path)[""]
    assert (row.moves, row.reason) == (None, "no run of the parent on the same items")
    put(shelf, BASE, BEFORE[:4], probe(GROUPS[:4]))  # other items: still none
    assert flips(tmp_path)[""].reason == "no run of the parent on the same items"


def test_failed_runs_and_other_tasks_are_no_probes(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, BEFORE)
    spec = b.cell(TINY, b.task("pairs", "stereotype_preference"), suite="bias")
    shelf.failure(spec, Status.OOM, "no memory")
    shelf.task(b.cell(SMALL, b.task()), b.choice_items("arc_easy", 4), {"acc": [1, 0, 1, 0]})
    assert load_results(tmp_path).flips == ()


def test_suspect_runs_are_left_out_with_the_reason(tmp_path: Path) -> None:
    """Two artefacts that answer alike to the last bit: one was not loaded."""
    shelf, items = b.Shelf(tmp_path), probe(["a"] * 40)
    values = [1.0, -1.0] * 20
    same = b.answered(items, [(-1.25 - i, -2.5 - i / 3) for i in range(40)])
    for what, bits in ((BASE, 16.0), (SMALL, 4.5)):
        put(shelf, what, values, items, outputs=same, model=b.model(bits))
    row = flips(tmp_path)[""]
    assert row.moves is None
    assert "suspect" in row.reason


@pytest.mark.parametrize(("floor", "within"), [(0.5, True), (0.001, False), (None, None)])
def test_flips_stand_beside_the_floor_of_the_parent(
    tmp_path: Path, floor: float | None, within: bool | None
) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, BEFORE * 25, probe(GROUPS * 25))
    put(shelf, SMALL, AFTER * 25, probe(GROUPS * 25))
    if floor is not None:
        numbers = {FLOOR_MAX: 0.1, FLOOR_MEAN: 0.01, FLOOR_FLIPS: floor, "items": 400.0}
        save_gate(tmp_path, _gate(numbers))
    row = flips(tmp_path)[""]
    assert (row.floor, row.within_floor) == (floor, within)


def _gate(numbers: dict[str, float]) -> GateRecord:
    return GateRecord(
        gate="G3", title="A/A", subject=BASE.digest, variant="base", backend="fake",
        verdict="passed", reason="measured",
        numbers=tuple(GateNumber(name=n, value=v) for n, v in numbers.items()),
        artefact_sha256=b.sha("artefact"), machine=b.MACHINE, measured_utc="2026-01-01T00:00:00",
        slmbench_version="0.1.0",
    )  # fmt: skip


def test_the_table_has_the_declared_columns_and_orders_by_compression(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    put(shelf, BASE, BEFORE)
    put(shelf, SMALL, AFTER, model=b.model(4.5))
    put(shelf, TINY, AFTER, model=b.model(2.5))
    table = load_results(tmp_path).bias_flips()
    assert list(table.columns) == [c.name for c in columns.BIAS_FLIP_COLUMNS]
    every = table[table["group"] == ""]
    assert list(every["variant"]) == ["small", "tiny"]
    assert set(every["parent"]) == {"base"}
    assert list(every["flips"]) == [0.5, 0.5]
    assert every["floor"].isna().all()
    empty = load_results(tmp_path, only=[]).bias_flips()
    assert (len(empty), list(empty.columns)) == (0, list(table.columns))
