"""Ratios of sums: perplexity and bits per byte, with intervals over windows and documents."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import builders as b
from slmbench.analysis import compare_to_parents, load_results
from slmbench.analysis.rows import JUDGED_OF, judged_by_metric
from slmbench.analysis.statistics import exp_estimate, mean_estimate, pooled_estimate
from slmbench.metrics import METRICS
from slmbench.records import Provenance, ScoreRow
from slmbench.requests import ItemOutput, LoglikelihoodOutput
from slmbench.store import FinishedRun, save_items, seal


def test_a_pooled_value_is_a_ratio_of_sums_by_hand() -> None:
    found = pooled_estimate([1.0, 4.0, 2.0], [10.0, 5.0, 5.0])
    assert found.value == 40 / 20  # not 7 / 3, the mean of the three
    # residuals w (v - R) = -10, 10, 0: SE = sqrt(200) / 20 · sqrt(3 / 2)
    assert found.se == pytest.approx(math.sqrt(200) / 20 * math.sqrt(1.5))
    assert found.low is not None
    assert found.value - found.low == pytest.approx(4.3026527 * found.se)  # t with 2 degrees


def test_with_equal_weights_it_is_the_clustered_mean() -> None:
    values, clusters = [1.0, 2.0, 4.0, 3.0, 9.0], ["a", "a", "b", "c", "c"]
    left = pooled_estimate(values, [7.0] * 5, clusters)
    right = mean_estimate(values, clusters)
    assert left.value == pytest.approx(right.value)
    assert left.se == pytest.approx(right.se)
    assert (left.low, left.high) == (pytest.approx(right.low), pytest.approx(right.high))
    assert (left.method, left.n) == ("t of a ratio, clustered", 5)


def test_what_allows_no_interval_says_so() -> None:
    assert pooled_estimate([], []).value is None
    one = pooled_estimate([2.0], [3.0])
    assert (one.value, one.low, one.method) == (2.0, None, "single reading")
    same = pooled_estimate([2.0, 4.0], [1.0, 1.0], ["a", "a"])
    assert (same.value, same.low, same.method) == (3.0, None, "all items in one cluster")


def test_the_interval_covers_the_ratio_of_the_population() -> None:
    """Long documents are harder here, so the mean of the documents' values would be wrong."""
    random = np.random.default_rng(4)
    hits = misses = 0
    for _ in range(400):
        tokens = random.integers(20, 400, size=40)
        values = 2 + tokens / 400 + random.normal(0, 0.5, size=40)
        found = pooled_estimate(values.tolist(), tokens.astype(float).tolist())
        every = np.arange(20, 400)
        truth = float(((2 + every / 400) * every).sum() / every.sum())
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
        simple = mean_estimate(values.tolist())
        assert simple.low is not None
        assert simple.high is not None
        misses += not simple.low <= truth <= simple.high
    assert 0.92 < hits / 400 < 0.98
    assert misses > 100


def test_exp_maps_value_interval_and_error() -> None:
    log = pooled_estimate([2.0, 3.0, 2.5], [100.0, 100.0, 80.0])
    ppl = exp_estimate(log)
    assert log.value is not None
    assert log.low is not None
    assert log.se is not None
    assert ppl.value == math.exp(log.value)
    assert ppl.low == math.exp(log.low)
    assert ppl.se == pytest.approx(math.exp(log.value) * log.se)
    assert (ppl.n, ppl.method) == (3, "t of a ratio, mapped")
    assert exp_estimate(pooled_estimate([], [])).value is None
    huge = exp_estimate(pooled_estimate([800.0, 900.0], [1.0, 1.0]))
    assert (huge.value, huge.method) == (None, "larger than a number can be")
    assert exp_estimate(pooled_estimate([1.0], [1.0])).value == pytest.approx(math.e)


def test_a_weight_is_written_only_where_there_is_one() -> None:
    row = ScoreRow(item_id="a", cluster="a", group="", metric="acc", value=0.00001)
    assert row.model_dump_json() == (
        '{"item_id":"a","cluster":"a","group":"","metric":"acc","value":0.00001,"failure":null}'
    )
    weighed = row.model_copy(update={"weight": 3.0})
    assert ScoreRow.model_validate_json(weighed.model_dump_json()) == weighed
    assert judged_by_metric([row])["acc"].weights == ()
    assert judged_by_metric([weighed, row])["acc"].weights == (3.0, None)


def test_derived_metrics_are_of_metrics_in_the_table() -> None:
    for derived, judged in JUDGED_OF.items():
        assert METRICS[derived].aggregate == "single"
        assert METRICS[judged].aggregate in ("mean", "pooled")


def _row(metric: str, item: str, value: float | None, weight: float | None) -> ScoreRow:
    failure = None if value is not None else "truncated_context"
    return ScoreRow(item_id=item, cluster=item, group="", metric=metric, value=value,
                    failure=failure, weight=weight)  # fmt: skip


def test_results_pool_texts_and_derive_their_perplexity(tmp_path: Path) -> None:
    spec = b.cell(b.variant("base"), b.task("slm_text_boolq_rolling", "ppl_rolling"))
    rows = (
        _row("nll_rolling", "a", 1.0, 10.0),
        _row("nll_rolling", "b", 4.0, 5.0),
        _row("nll_rolling", "c", None, None),
    )
    crossed = LoglikelihoodOutput(logprob=-1, tokens=1, context_tokens=1, straddle=True)
    plain = crossed.model_copy(update={"straddle": False})
    outputs = (
        ItemOutput(item_id="a", outputs=(crossed, plain)),
        ItemOutput(item_id="b", outputs=(crossed,)),
    )
    seal(tmp_path, FinishedRun(spec, b.environment(), b.record(spec), outputs, rows, "perplexity"))
    results = load_results(tmp_path)
    found = {row.metric: row for row in results.metric_rows}
    assert found["nll_rolling"].estimate.value == 2.0
    ppl = found["ppl_rolling"]
    assert (ppl.estimate.value, ppl.primary) == (pytest.approx(math.exp(2.0)), True)
    assert (ppl.provenance, ppl.n_failed, ppl.estimate.n) == (Provenance.DERIVED, 1, 2)
    assert "unscored items" in ppl.flags
    assert results.runs()["straddles"].tolist() == [2]


@pytest.mark.parametrize(
    ("metric", "compared"), [("ppl_rolling", False), ("nll_rolling", False), ("bpb_rolling", True)]
)
def test_numbers_per_token_are_compared_for_one_tokenizer_only(
    tmp_path: Path, metric: str, compared: bool
) -> None:
    items = b.choice_items("slm_text_boolq_rolling", 3)
    digest = save_items(tmp_path, items)
    for name, parent, ids in (("base", None, (1, 2)), ("small", "base", (7, 8))):
        spec = b.cell(b.variant(name, parent=parent), b.task("slm_text_boolq_rolling", metric))
        rows = tuple(
            _row(m, item.item_id, 1.0 + n, 10.0)
            for m in ("nll_rolling", "bpb_rolling")
            for n, item in enumerate(items.items)
        )
        made = b.record(spec, item_set=digest, items_total=3, model=b.model(first_ids=ids))
        seal(tmp_path, FinishedRun(spec, b.environment(), made, (), rows, "perplexity"))
    found = compare_to_parents(load_results(tmp_path), strict=False)
    assert [d.metric for d in found.deltas] == ([metric] if compared else [])
    assert [("tokenizer" in r.reason) for r in found.refused] == ([] if compared else [True])
    allowed = compare_to_parents(load_results(tmp_path), strict=False, vary="tokenizer")
    assert [d.metric for d in allowed.deltas] == [metric.replace("ppl", "nll")]


def test_straddles_are_counted_in_answers_and_not_in_texts(tmp_path: Path) -> None:
    spec = b.cell(b.variant("base"), b.task())
    from slmbench.requests import GenerateOutput

    said = GenerateOutput(
        text='{"straddle":true}', token_ids=(), prompt_tokens=1, evaluated_tokens=1, start_ns=0,
        token_ns=(), finish="stop",
    )  # fmt: skip
    outputs = (ItemOutput(item_id="a", outputs=(said,)),)
    seal(tmp_path, FinishedRun(spec, b.environment(), b.record(spec), outputs))
    other = b.cell(b.variant("other"), b.workload())
    seal(tmp_path, FinishedRun(other, b.environment(), b.record(other)))
    frame = load_results(tmp_path).runs().set_index("variant")["straddles"]
    assert frame["base"] == 0
    assert frame.isna()["other"]
