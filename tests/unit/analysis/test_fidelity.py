"""Text distances and changed answers, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import builders as b
from slmbench.analysis import compare_to_parents, load_results
from slmbench.analysis.answer_fidelity import first_difference
from slmbench.analysis.fidelity import FidelityRow, measure_fidelity
from slmbench.analysis.measures import MEASURES, TEXT_MEASURES
from slmbench.analysis.text_fidelity import window_bootstrap
from slmbench.errors import UsageError
from slmbench.records import Measurement, PhaseRecord, Provenance, ScoreRow, Status
from slmbench.requests import GenerateOutput, ItemOutput, ItemSet, LoglikelihoodOutput
from slmbench.spec import Reference, RunSpec, Target, VariantRef
from slmbench.store import FinishedRun, save_items, seal

BASE, SMALL = b.variant("base"), b.variant("small", parent="base")


def text_cell(what: VariantRef, against: VariantRef, on: Target | None = None) -> RunSpec:
    work = b.workload("fidelity", (16, 112)).model_copy(
        update={"text": b.sha("text"), "reference": Reference(variant=against, target=b.target())}
    )
    return b.cell(what, work, suite="fidelity", on=on)


def window(kld: Sequence[float], **changes: Any) -> PhaseRecord:
    scope, n = "against base on fake-cpu, 257 ids", len(kld)
    readings = {
        "kld": tuple(kld), "top1_agreement": (1.0,) * (n - 1) + (0.0,),
        "logprob_true_delta": (-0.5,) * n, "prob_true_delta": (0.3, -0.4) * (n // 2),
        "text_bpb_delta": (sum(kld),),
    } | changes  # fmt: skip
    return b.phase("window", *(b.measurement(m, *v, scope=scope) for m, v in readings.items()))


def found(rows: Sequence[FidelityRow], measure: str, variant: str = "small") -> FidelityRow:
    (row,) = [r for r in rows if (r.measure, r.variant) == (measure, variant)]
    return row


def test_text_measures_by_hand(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    windows = [window([0.1 * i, 0.2 * i]) for i in range(1, 9)]
    shelf.load(text_cell(SMALL, BASE), *windows)
    rows = measure_fidelity(load_results(tmp_path)).rows
    every = [0.1 * i * k for i in range(1, 9) for k in (1, 2)]
    mean = found(rows, "kld_mean").estimate
    assert mean.value == pytest.approx(np.mean(every))
    assert mean.n == 16
    assert mean.method == "t, clustered"
    assert found(rows, "kld_median").estimate.value == pytest.approx(np.median(every))
    assert found(rows, "kld_p99").estimate.value == pytest.approx(np.quantile(every, 0.99))
    assert found(rows, "kld_max").estimate.value == pytest.approx(1.6)
    assert found(rows, "top1_agreement").estimate.value == 0.5
    assert found(rows, "prob_rms").estimate.value == pytest.approx(np.sqrt((0.09 + 0.16) / 2))
    assert found(rows, "log_ppl_ratio").estimate.value == 0.5
    assert found(rows, "text_bpb_delta").estimate.value == pytest.approx(0.3 * 4.5)
    assert found(rows, "text_bpb_delta").estimate.n == 8
    assert {r.floor for r in rows} == {None}


def test_changes_of_either_sign_add_up_only_without_it(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    shelf.load(text_cell(SMALL, BASE), *[window([0.1, 0.1], logprob_true_delta=(0.3, -0.1))] * 6)
    rows = measure_fidelity(load_results(tmp_path)).rows
    assert found(rows, "log_ppl_ratio").estimate.value == pytest.approx(-0.1)
    assert found(rows, "logprob_abs_delta").estimate.value == pytest.approx(0.2)


def test_the_floor_is_the_parent_against_itself_on_the_same_target(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    shelf.load(text_cell(SMALL, BASE), *[window([0.4, 0.4])] * 6)
    shelf.load(text_cell(BASE, BASE), *[window([0.01, 0.01])] * 6)
    rows = measure_fidelity(load_results(tmp_path)).rows
    row, floor = found(rows, "kld_mean"), found(rows, "kld_mean", "base")
    assert row.floor is not None
    assert row.floor.value == pytest.approx(0.01)
    assert (row.is_floor, floor.is_floor, floor.floor) == (False, True, None)
    table = load_results(tmp_path).fidelity()
    assert list(table.query("measure == 'kld_mean' and not is_floor")["floor"]) == [
        pytest.approx(0.01)
    ]


def test_the_tokens_of_a_window_are_one_cluster(tmp_path: Path) -> None:
    """All spread is between windows: 200 tokens are no surer than 10 windows."""
    shelf = b.Shelf(tmp_path)
    shelf.load(text_cell(SMALL, BASE), *[window([0.1 * i] * 20) for i in range(1, 11)])
    results = load_results(tmp_path)
    mean = found(measure_fidelity(results).rows, "kld_mean").estimate
    assert mean.se == pytest.approx(np.std(np.arange(0.1, 1.05, 0.1), ddof=1) / np.sqrt(10))
    row = next(r for r in results.metric_rows if r.metric == "kld")
    assert row.estimate.se == mean.se
    assert not row.primary


def test_few_windows_have_no_bootstrap_interval() -> None:
    one = np.array([1.0, 2.0, 3.0])
    five = window_bootstrap([one] * 5, lambda x: float(np.median(x)))
    assert (five.value, five.low) == (2.0, None)
    six = window_bootstrap([one + i for i in range(6)], lambda x: float(np.median(x)))
    assert six.low is not None
    assert six.high is not None
    assert six.low < (six.value or 0.0) < six.high


def test_a_refused_divergence_says_why_and_keeps_the_rest(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    refused = Measurement(
        metric="kld", samples=(), provenance=Provenance.UNAVAILABLE, method="derived",
        reason="vocabulary mismatch: …",
    )  # fmt: skip
    phases = [b.phase("window", refused, b.measurement("text_bpb_delta", 0.1 * i)) for i in (1, 3)]
    shelf.load(text_cell(SMALL, BASE), *phases)
    rows = measure_fidelity(load_results(tmp_path)).rows
    assert found(rows, "kld_mean").estimate.value is None
    assert found(rows, "kld_mean").reason == "vocabulary mismatch: …"
    assert found(rows, "text_bpb_delta").estimate.value == pytest.approx(0.2)


def test_a_failed_run_and_another_backend_are_said(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    other = b.target("torch", backend="transformers")
    shelf.failure(text_cell(SMALL, BASE, other), Status.OOM, "too large")
    rows = measure_fidelity(load_results(tmp_path)).rows
    assert {r.reason for r in rows} == {"oom: too large"}
    assert {r.measure for r in rows} == set(TEXT_MEASURES)
    assert {r.flags for r in rows} == {("backend differs",)}


def test_distances_are_not_compared_with_the_parents_own(tmp_path: Path) -> None:
    """The parent's distance from itself is a floor, not a score that the variant lost."""
    shelf = b.Shelf(tmp_path)
    shelf.load(text_cell(SMALL, BASE), *[window([0.4, 0.4])] * 6)
    shelf.load(text_cell(BASE, BASE), *[window([0.01, 0.01])] * 6)
    assert compare_to_parents(load_results(tmp_path)).deltas == ()


# --- answers ------------------------------------------------------------------------------------

ITEMS = b.choice_items("arc_easy", 8, choices=2)
PARENT = [(-1, -2), (-1, -3), (-2, -1), (-3, -1), (-1, -1.1), (-1, -1.2), (-1.1, -1), (-1, -9)]
VARIANT = [(-1, -2), (-1, -3), (-2, -1), (-3, -1), (-1.2, -1), (-1, -1.2), (-1, -1.1), (-1, -9)]
"""Items 4 (right to wrong) and 6 (wrong to right) change; the gold choice is the first."""


def seal_answers(
    root: Path, what: VariantRef, logprobs: Sequence[tuple[float, ...]], items: ItemSet = ITEMS,
    **model: Any,
) -> None:  # fmt: skip
    outputs = tuple(
        ItemOutput(
            item_id=item.item_id,
            outputs=tuple(
                LoglikelihoodOutput(logprob=lp, tokens=1, context_tokens=1) for lp in row
            ),
        )
        for item, row in zip(items.items, logprobs, strict=True)
    )
    scores = [float(row[0] == max(row)) for row in logprobs]
    _seal(root, what, items, outputs, scores, **model)


def _seal(
    root: Path, what: VariantRef, items: ItemSet, outputs: tuple[ItemOutput, ...],
    scores: Sequence[float], **model: Any,
) -> None:  # fmt: skip
    spec = b.cell(what, b.task(items.task))
    rows = tuple(
        ScoreRow(item_id=i.item_id, cluster=i.cluster, group="", metric="acc", value=v)
        for i, v in zip(items.items, scores, strict=True)
    )
    made = b.record(spec, item_set=save_items(root, items), model=b.model(**model))
    run = FinishedRun(spec, b.environment(), made, outputs, rows, "multiple_choice")
    seal(root, run)


def test_flips_and_changed_answers_by_hand(tmp_path: Path) -> None:
    seal_answers(tmp_path, BASE, PARENT)
    seal_answers(tmp_path, SMALL, VARIANT)
    results = load_results(tmp_path)
    rows = measure_fidelity(results).rows
    value = {r.measure: r.estimate.value for r in rows}
    assert value["flips_up"] == value["flips_down"] == 1 / 8
    assert value["flips"] == value["answers_changed"] == 2 / 8
    assert value["wrong_to_wrong"] == 0
    assert value["answers_agree"] == 6 / 8
    assert value["choice_logprob_shift"] == pytest.approx((0.15 + 0.1) / 8)
    assert value["changed_at_small_margin"] == 1
    assert found(rows, "flips").parent_run is not None
    (margins,) = measure_fidelity(results).margins
    assert [(g.items, g.changed) for g in margins.groups] == [(2, 2), (2, 0), (2, 0), (2, 0)]


def test_wrong_to_another_wrong_is_a_change_but_no_flip(tmp_path: Path) -> None:
    items = b.choice_items("arc_easy", 2, choices=3)
    seal_answers(tmp_path, BASE, [(-3, -1, -2), (-1, -2, -3)], items)
    seal_answers(tmp_path, SMALL, [(-3, -2, -1), (-1, -2, -3)], items)
    value = {r.measure: r.estimate.value for r in measure_fidelity(load_results(tmp_path)).rows}
    assert (value["flips"], value["answers_changed"], value["wrong_to_wrong"]) == (0, 0.5, 0.5)


def test_tasks_of_a_suite_are_also_put_together(tmp_path: Path) -> None:
    """Margins of the second task are ten times larger: each is judged in its own task."""
    other = b.choice_items("piqa", 8, choices=2)
    for what, rows in ((BASE, PARENT), (SMALL, VARIANT)):
        seal_answers(tmp_path, what, rows)
        seal_answers(tmp_path, what, [(10 * a, 10 * c) for a, c in rows], other)
    measured = measure_fidelity(load_results(tmp_path))
    pooled = {r.measure: r.estimate for r in measured.rows if r.work == "all tasks"}
    assert (pooled["flips"].value, pooled["flips"].n) == (4 / 16, 16)
    assert pooled["changed_at_small_margin"].value == 1
    assert {r.work for r in measured.rows} == {"arc_easy", "piqa", "all tasks"}
    (margins,) = measured.margins
    assert [(g.items, g.changed) for g in margins.groups] == [(4, 4), (4, 0), (4, 0), (4, 0)]


def test_flips_need_no_common_vocabulary(tmp_path: Path) -> None:
    seal_answers(tmp_path, BASE, PARENT, vocab_size=100)
    seal_answers(tmp_path, SMALL, VARIANT, vocab_size=200)
    assert found(measure_fidelity(load_results(tmp_path)).rows, "flips").estimate.value == 0.25


def test_two_runs_of_the_parent_are_the_floor_of_answers(tmp_path: Path) -> None:
    seal_answers(tmp_path, BASE, VARIANT)
    seal_answers(tmp_path, BASE, PARENT)
    seal_answers(tmp_path, SMALL, PARENT)
    row = found(measure_fidelity(load_results(tmp_path)).rows, "answers_changed")
    assert row.estimate.value == 0
    assert row.floor is not None
    assert row.floor.value == 0.25


def test_another_item_set_is_not_compared(tmp_path: Path) -> None:
    seal_answers(tmp_path, BASE, PARENT)
    seal_answers(tmp_path, SMALL, PARENT[:4], b.choice_items("arc_easy", 4, choices=2))
    assert measure_fidelity(load_results(tmp_path)).rows == ()


def test_against_a_named_variant(tmp_path: Path) -> None:
    other = b.variant("other")
    seal_answers(tmp_path, other, PARENT)
    seal_answers(tmp_path, SMALL, VARIANT)
    results = load_results(tmp_path)
    assert measure_fidelity(results).rows == ()
    assert found(measure_fidelity(results, "other").rows, "flips").estimate.value == 0.25
    with pytest.raises(UsageError, match="no results of variant 'nobody'"):
        results.fidelity("nobody")


def generated(*ids: int) -> ItemOutput:
    return ItemOutput(
        item_id="",
        outputs=(
            GenerateOutput(
                text="x", token_ids=ids, prompt_tokens=1, evaluated_tokens=1, start_ns=0,
                token_ns=ids, finish="length",
            ),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("same_vocabulary", [True, False])
def test_first_divergent_token(tmp_path: Path, same_vocabulary: bool) -> None:
    items = b.choice_items("arc_easy", 4, choices=2)
    left = [(1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2)]
    right = [(1, 2, 3), (1, 9, 3), (9, 2, 3), (1, 2, 3)]
    sizes = (100, 100 if same_vocabulary else 101)
    for what, answers, size in zip((BASE, SMALL), (left, right), sizes, strict=True):
        outputs = tuple(
            generated(*ids).model_copy(update={"item_id": item.item_id})
            for item, ids in zip(items.items, answers, strict=True)
        )
        _seal(tmp_path, what, items, outputs, [1.0] * 4, vocab_size=size)
    rows = measure_fidelity(load_results(tmp_path)).rows
    at, same = found(rows, "first_divergent_token"), found(rows, "outputs_identical")
    if same_vocabulary:
        assert (at.estimate.value, at.estimate.n, same.estimate.value) == (1, 3, 0.25)
    else:
        assert at.estimate.value is None
        assert "vocabulary mismatch" in at.reason
    assert found(rows, "flips").estimate.value == 0


def test_first_difference_of_equal_and_shortened_outputs() -> None:
    assert first_difference((1, 2), (1, 2)) is None
    assert first_difference((1, 2, 3), (1, 2)) == 2


def test_every_measure_is_defined_once() -> None:
    assert len(MEASURES) == 19
    assert all(m.label and m.definition and m.unit for m in MEASURES.values())
