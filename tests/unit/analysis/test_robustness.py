"""Disturbed runs beside plain ones: drops, flips, and the drop beside the parent's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import builders as b
from slmbench.analysis import Results, load_results
from slmbench.analysis.columns import ROBUSTNESS_COLUMNS
from slmbench.analysis.constructs.robustness import drop_difference, flip_share
from slmbench.analysis.rows import Judged
from slmbench.records import Status
from slmbench.report import leaderboard_rows
from slmbench.requests import ItemSet, LoglikelihoodRequest
from slmbench.spec import VariantRef

N = 40
TASK = b.task(primary="acc", num_fewshot=2)
TYPOS = TASK.disturbed("typos").model_copy(update={"definition": "other"})
BASE, CHILD = b.variant("base"), b.variant("child", parent="base")
PLAIN = [1.0] * 30 + [0.0] * 10


def _items(*, disturbed: bool = False, changed: int = N) -> ItemSet:
    plain = b.choice_items("arc_easy", N, clusters=20)
    if not disturbed:
        return plain
    return plain.model_copy(
        update={
            "items": tuple(
                item.model_copy(
                    update={
                        "requests": tuple(
                            LoglikelihoodRequest(context="qusetion", continuation=r.continuation)
                            if i < changed and isinstance(r, LoglikelihoodRequest)
                            else r
                            for r in item.requests
                        )
                    }
                )
                for i, item in enumerate(plain.items)
            )
        }
    )


def _flipped(down: int, up: int = 0) -> list[float]:
    """The plain answers with so many rights gone wrong, and wrongs gone right."""
    return [0.0] * down + PLAIN[down:30] + [1.0] * up + PLAIN[30 + up :]


def _put(shelf: b.Shelf, ref: VariantRef, down: int, up: int = 0, *, changed: int = N) -> None:
    shelf.task(b.cell(ref, TASK), _items(), {"acc": PLAIN})
    shelf.task(
        b.cell(ref, TYPOS), _items(disturbed=True, changed=changed), {"acc": _flipped(down, up)}
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The base loses 4 of 40 and gains 2; the child loses 12."""
    shelf = b.Shelf(tmp_path_factory.mktemp("robust") / "r")
    _put(shelf, BASE, 4, 2, changed=30)
    _put(shelf, CHILD, 12, changed=30)
    return load_results(shelf.root)


def test_the_table_by_hand(results: Results) -> None:
    table = results.robustness()
    assert {n: str(d) for n, d in table.dtypes.items()} == {
        c.name: c.dtype for c in ROBUSTNESS_COLUMNS
    }
    rows = table.set_index("variant")
    assert set(rows["perturbation"]) == {"typos"}
    assert set(rows["task"]) == {"arc_easy (typos)"}
    assert (rows["n"] == N).all()
    assert list(rows["changed"]) == [0.75, 0.75]
    assert list(rows["plain"]) == [0.75, 0.75]
    base, child = rows.loc["base"], rows.loc["child"]
    assert (base["disturbed"], base["drop"], base["flip_rate"]) == pytest.approx((0.7, 0.05, 0.15))
    assert (base["flips_down"], base["flips_up"]) == (4, 2)
    assert (child["disturbed"], child["drop"], child["flip_rate"]) == pytest.approx(
        (0.45, 0.3, 0.3)
    )
    assert base["drop_low"] < 0 < base["drop"] < base["drop_high"]
    assert 0 < child["drop_low"] < 0.3 < child["drop_high"]
    assert child["flip_rate_low"] < 0.3 < child["flip_rate_high"]
    assert pd.isna(base["drop_delta"])
    assert (child["parent_drop"], child["drop_delta"]) == pytest.approx((0.05, 0.25))
    assert child["drop_delta_low"] < 0.25 < child["drop_delta_high"]
    assert child["drop_delta_n"] == N
    assert child["plain_run_id"] != base["plain_run_id"]
    assert child["parent_run_id"] == base["run_id"]


def test_they_are_constructs_of_the_disturbed_run_and_scores_of_none(results: Results) -> None:
    table = results.constructs()
    assert set(table["scope"]) == {"typos"}
    found = {(r.variant, r.metric): r.value for r in table.itertuples()}
    assert found == pytest.approx(
        {
            ("base", "perturbed_acc"): 0.7,
            ("base", "robustness_drop"): 0.05,
            ("base", "perturbation_flip_rate"): 0.15,
            ("child", "perturbed_acc"): 0.45,
            ("child", "robustness_drop"): 0.3,
            ("child", "perturbation_flip_rate"): 0.3,
            ("child", "robustness_drop_delta"): 0.25,
        }
    )
    assert set(table["provenance"]) == {"derived"}
    assert set(results.metrics()["task"]) == {"arc_easy"}
    assert [r.accuracy.value for r in leaderboard_rows(results)] == [0.75, 0.75]
    assert set(results.compare().table()["task"]) == {"arc_easy"}
    shortcuts = results.baselines()
    alone = shortcuts[shortcuts["baseline"] == "choices only"]
    assert alone["value"].isna().all()
    assert set(alone["reason"]) == {"not asked: set choices_only on the task in its suite"}


def test_what_is_missing_has_a_reason(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "r")
    disturbed = _items(disturbed=True)
    shelf.task(b.cell(CHILD, TYPOS), disturbed, {"acc": PLAIN})
    shelf.failure(b.cell(BASE, TYPOS), Status.TIMEOUT, "no end within 9 s")
    shelf.task(b.cell(BASE, TASK), _items(), {"acc": PLAIN})
    other = TASK.disturbed("case")
    shelf.task(b.cell(BASE, other), disturbed, {"acc": [None] * N})
    rows = {
        (r.variant, r.perturbation): r for r in load_results(shelf.root).robustness().itertuples()
    }
    assert rows["child", "typos"].reason == "the same model has no finished run on the plain items"
    assert rows["child", "typos"].parent_reason == rows["child", "typos"].reason
    assert rows["base", "typos"].reason == "arc_easy (typos) ended timeout: no end within 9 s"
    assert rows["base", "case"].reason == "no item was scored in both runs"
    assert all(pd.isna(r.drop) and pd.isna(r.flip_rate) for r in rows.values())
    missing = load_results(shelf.root).construct_rows
    assert {r.provenance.value for r in missing} == {"unavailable"}
    assert all(r.reason for r in missing)


def test_another_size_suite_target_or_machine_is_no_pair(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "r")
    disturbed = _items(disturbed=True)
    shelf.task(b.cell(BASE, TYPOS), disturbed, {"acc": PLAIN})
    for cell in (
        b.cell(BASE, TASK, suite="other"),
        b.cell(BASE, TASK, size="full"),
        b.cell(BASE, TASK, on=b.target("other")),
        b.cell(BASE, b.task(primary="acc")),
    ):
        shelf.task(cell, _items(), {"acc": PLAIN})
    shelf.task(b.cell(BASE, TASK), _items(), {"acc": PLAIN}, machine="f" * 16)
    (row,) = load_results(shelf.root).disturbances
    assert row.plain_run is None


def _judged(values: list[float | None], clusters: list[str] | None = None) -> Judged:
    ids = tuple(map(str, range(len(values))))
    groups = tuple(clusters) if clusters else ids
    return Judged(ids, groups, ("",) * len(ids), tuple(values), (None,) * len(ids))


def test_differences_of_drops_by_hand() -> None:
    """Drops 1, 0, 0, 1 of the variant and 0, 0, 1, 0 of the parent, on items all four scored."""
    variant = _judged([1, 1, 0, 1, 1]), _judged([0, 1, 0, 0, None])
    parent = _judged([1, 0, 1, 1, 1]), _judged([1, 0, 0, 1, 1])
    lost, more = drop_difference(variant, parent)
    assert lost == pytest.approx(0.25)
    assert more.n == 4
    assert more.value == pytest.approx((1 + 0 - 1 + 1) / 4)
    deviations = [0.75, -0.25, -1.25, 0.75]
    assert more.se == pytest.approx((sum(d * d for d in deviations) / 12) ** 0.5)
    one = [_judged([1.0, 0.0], ["a", "a"])] * 2
    assert drop_difference(one, one)[1].low is None
    nothing = _judged([None, None])
    assert drop_difference([nothing, nothing], one)[1].value is None


def test_flips_count_shared_credit_too() -> None:
    found = flip_share(_judged([1, 0.5, 0.5, 0, None]), _judged([1, 0.5, 1, 1, 1]))
    assert (found.value, found.n) == (0.5, 4)
    assert flip_share(_judged([None]), _judged([1])).value is None


def test_a_model_that_always_says_the_same_has_no_drop_and_no_rank() -> None:
    from slmbench.metrics import METRICS

    for name in ("robustness_drop", "perturbation_flip_rate", "robustness_drop_delta"):
        assert METRICS[name].direction == "none"
        assert METRICS[name].unit == "fraction"


def test_swapped_names_count_only_items_that_hold_one(tmp_path: Path) -> None:
    """Of 40 items 10 were changed, 4 of which went wrong and 1 right; the child's: 6 wrong."""
    shelf = b.Shelf(tmp_path / "r")
    names = TASK.disturbed("names").model_copy(update={"definition": "other"})
    plain = [1.0] * 6 + [0.0] * 4 + [1.0] * 30
    after = [0.0] * 4 + [1.0] * 3 + [0.0] * 3 + [0.5] * 30  # what was not changed counts nowhere
    worse = [0.0] * 10 + [1.0] * 30
    for ref, scores in ((BASE, after), (CHILD, worse)):
        shelf.task(b.cell(ref, TASK), _items(), {"acc": plain})
        shelf.task(b.cell(ref, names), _items(disturbed=True, changed=10), {"acc": scores})
    rows = load_results(shelf.root).robustness().set_index("variant")
    assert list(rows["n"]) == [10, 10]
    assert list(rows["changed"]) == [0.25, 0.25]
    base, child = rows.loc["base"], rows.loc["child"]
    assert (base["plain"], base["disturbed"], base["flip_rate"]) == pytest.approx((0.6, 0.3, 0.5))
    assert (base["drop"], child["drop"]) == pytest.approx((0.3, 0.6))
    assert (base["flips_down"], base["flips_up"]) == (4, 1)
    assert (child["parent_drop"], child["drop_delta"]) == pytest.approx((0.3, 0.3))
    assert child["drop_delta_n"] == 10


def test_where_no_name_could_be_swapped_nothing_is_said(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "r")
    names = TASK.disturbed("names").model_copy(update={"definition": "other"})
    shelf.task(b.cell(BASE, TASK), _items(), {"acc": PLAIN})
    shelf.task(b.cell(BASE, names), _items(), {"acc": PLAIN})
    (row,) = load_results(shelf.root).disturbances
    assert row.flips.value is None
    assert row.reason == "no item of the sample could be changed"
