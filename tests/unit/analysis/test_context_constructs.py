"""Numbers made of two kinds of items: balanced rates, ratios, areas; by hand and at the edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.constructs.contrasts import of_groups, of_metrics
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.requests import Item, ItemSet

Values = Sequence[float | None]


def column(values: Values, clusters: str = "", groups: Sequence[str] = ()) -> Judged:
    n = len(values)
    return Judged(
        tuple(f"i{k}" for k in range(n)),
        tuple(clusters) if clusters else tuple(f"c{k}" for k in range(n)),
        tuple(groups) if groups else ("",) * n,
        tuple(values),
        tuple(None if v is not None else "empty_output" for v in values),
    )


# --- balanced means ---------------------------------------------------------------------------


def test_balanced_is_the_mean_of_two_rates_whatever_their_sizes() -> None:
    found = of_metrics({"a": column([1, 1, 1, 0]), "c": column([0, 1])}, "a", "c").balanced()
    assert found.value == pytest.approx((0.75 + 0.5) / 2)
    assert found.n == 6


@pytest.mark.parametrize(("abstains", "answers"), [(1.0, 0.0), (0.0, 1.0)])
def test_always_and_never_abstaining_are_one_half(abstains: float, answers: float) -> None:
    judged = {"a": column([abstains] * 9), "c": column([answers] * 5)}
    found = of_metrics(judged, "a", "c").balanced()
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_failures_are_left_out_and_one_kind_alone_has_no_value() -> None:
    judged = {"a": column([1, None, 0]), "c": column([1, None])}
    assert of_metrics(judged, "a", "c").balanced().value == 0.75
    assert of_metrics({"a": column([1, 0])}, "a", "c").balanced().value is None
    assert of_metrics({"a": column([1]), "c": column([None])}, "a", "c").balanced().value is None


def test_one_cluster_has_a_value_and_no_interval() -> None:
    judged = {"a": column([1, 0], "kk"), "c": column([1, 1], "kk")}
    found = of_metrics(judged, "a", "c").balanced()
    assert (found.value, found.low) == (0.75, None)
    assert "one cluster" in found.method


# --- areas --------------------------------------------------------------------------------------


def test_auroc_by_hand() -> None:
    # second kind 3, 1; first kind 2, 0: pairs (3,2) (3,0) (1,0) won of four
    judged = {"s": column([3, 2, 1, 0], groups=("no", "yes", "no", "yes"))}
    assert of_groups(judged, "s", "no").auroc().value == 0.75
    tied = {"s": column([1, 1, 1, 0], groups=("no", "yes", "no", "yes"))}
    # (1,1) half twice, (1,0) twice: (0.5 + 1 + 0.5 + 1) / 4
    assert of_groups(tied, "s", "no").auroc().value == 0.75


def test_auroc_of_a_constant_is_one_half_and_of_one_kind_none() -> None:
    judged = {"s": column([7, 7, 7, 7], groups=("no", "yes", "no", "yes"))}
    assert of_groups(judged, "s", "no").auroc().value == 0.5
    assert of_groups({"s": column([1, 2], groups=("no", "no"))}, "s", "no").auroc().value is None
    assert of_groups({}, "s", "no").auroc().value is None


# --- from stored runs -----------------------------------------------------------------------------


def derived(
    tmp_path: Path, scorer: str, groups: Sequence[str], scores: dict[str, Values]
) -> dict[str, MetricRow]:
    """Store one run of items with these groups and scores; its derived numbers by name."""
    made = b.choice_items("slm_nonexistent", len(groups), choices=3)
    items: list[Item] = [
        item.model_copy(update={"group": group, "cluster": f"k{n // 2}"})
        for n, (item, group) in enumerate(zip(made.items, groups, strict=True))
    ]
    asked = ItemSet.model_validate(
        made.model_dump() | {"items": [i.model_dump() for i in items], "scorer": scorer}
    )
    primary = next(iter(scores))
    spec = b.cell(b.variant("m"), b.task("slm_nonexistent", primary))
    b.Shelf(tmp_path).task(spec, asked, scores)
    rows = load_results(tmp_path).construct_rows
    return {row.metric: row for row in rows if not row.scope}


def test_abstention_of_a_stored_run(tmp_path: Path) -> None:
    groups = ["fictional"] * 4 + ["control"] * 2 + ["false_premise", "true_premise"]
    nothing: list[float | None] = [None] * 8
    scores = {
        "abstention_rate": [1, 1, 1, 0, *nothing[4:]],
        "answer_rate_control": [*nothing[:4], 1, 0, None, None],
        "premise_rejected": [*nothing[:6], 1, None],
        "premise_accepted_control": [*nothing[:7], 0],
    }
    found = derived(tmp_path, "abstention", groups, scores)
    assert found["abstention_balanced"].estimate.value == pytest.approx(0.625)
    assert found["premise_balanced"].estimate.value == 0.5
    assert found["abstention_balanced"].provenance == "derived"


def test_without_premises_there_is_a_reason(tmp_path: Path) -> None:
    found = derived(tmp_path, "abstention", ["fictional"] * 4, {"abstention_rate": [1, 1, 0, 0]})
    for name in ("abstention_balanced", "premise_balanced"):
        assert found[name].estimate.value is None
        assert found[name].provenance == "unavailable"
        assert "one kind" in found[name].reason


def test_memorization_ratio(tmp_path: Path) -> None:
    scores: dict[str, Values] = {
        "context_faithful": [1, 0.5, 0, 0, None],
        "parametric_rate": [0, 0.5, 1, 0, None],
    }
    found = derived(tmp_path, "context_faithful", ["capital"] * 5, scores)
    assert found["memorization_ratio"].estimate.value == pytest.approx(1.5 / 3)


def test_memorization_ratio_where_only_other_answers_were_given(tmp_path: Path) -> None:
    scores: dict[str, Values] = {"context_faithful": [0, 0], "parametric_rate": [0, 0]}
    row = derived(tmp_path, "context_faithful", ["capital"] * 2, scores)["memorization_ratio"]
    assert row.estimate.value is None
    assert "neither" in row.reason


@pytest.mark.parametrize(
    ("scorer", "metric", "name", "group"),
    [
        ("unanswerable_score", "decline_score", "abstain_auroc", "unanswerable"),
        ("inconsistent_context", "conflict_score", "conflict_auroc", "conflicting"),
    ],
)
def test_areas_of_stored_runs(
    tmp_path: Path, scorer: str, metric: str, name: str, group: str
) -> None:
    groups = [group, "else", group, "else", group, "else"]
    found = derived(tmp_path, scorer, groups, {metric: [2, 1, 3, 0, -1, -2]})
    # 2 beats 1, 0, -2; 3 beats all; -1 beats -2: 7 of 9
    assert found[name].estimate.value == pytest.approx(7 / 9)
    assert found[name].estimate.low is not None
