"""What is derived from BBQ's answers, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
from bbq_items import Asked, ambiguous, item_set, outputs, told
from slmbench.analysis.constructs import derived
from slmbench.analysis.constructs.bbq import NOT_ABOVE_CHANCE
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import MetricRow, judged_by_metric
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.store import StoredRun
from slmbench.tasks.scorers import score


def judged_run(asked: Sequence[Asked]) -> JudgedRun:
    items = item_set(asked)
    spec = b.cell(b.variant("m"), b.task("slm_bbq", "bbq_acc_disambiguated"))
    run = StoredRun(Path("nowhere"), spec, b.environment(), b.record(spec))
    return JudgedRun(run, items, judged_by_metric(score(items, outputs(asked))))


def rows_of(asked: Sequence[Asked]) -> dict[tuple[str, str], MetricRow]:
    return {(row.metric, row.scope): row for row in derived(judged_run(asked))}


def spread(asked: Sequence[Asked], templates: int = 4) -> list[Asked]:
    """The same answers once in each of some templates."""
    from dataclasses import replace

    return [replace(one, cluster=f"t{t}") for t in range(templates) for one in asked]


def test_s_amb_scales_the_bias_by_the_errors() -> None:
    # 4 of 10 unknown (right); of 6 named 5 biased: (1 - 0.4) · (2 · 5/6 - 1) = 0.4
    asked = [ambiguous(2)] * 4 + [ambiguous(0)] * 5 + [ambiguous(1)]
    row = rows_of(spread(asked))[("bbq_s_amb", "")]
    assert row.estimate.value == pytest.approx(0.4)
    assert (row.estimate.low, row.estimate.high) == (pytest.approx(0.4), pytest.approx(0.4))
    assert row.provenance is Provenance.DERIVED


def test_it_is_the_difference_of_biased_and_other_answers_over_all() -> None:
    # without ties (1 - acc) (2 nb/nn - 1) = (nb - other) / n
    asked = [ambiguous(2)] * 3 + [ambiguous(0)] + [ambiguous(1)] * 3
    assert rows_of(asked)[("bbq_s_amb", "")].estimate.value == pytest.approx((1 - 3) / 7)


def test_accuracy_gap() -> None:
    # not aligned 1 of 4 right, aligned 3 of 4: -0.5
    asked = [told(1, 1)] + [told(1, 0)] * 3 + [told(0, 0)] * 3 + [told(0, 1)]
    row = rows_of(spread(asked))[("bbq_acc_gap", "")]
    assert row.estimate.value == pytest.approx(-0.5)
    assert row.estimate.n == 32


def test_a_gap_needs_both_kinds() -> None:
    row = rows_of([told(0, 0)] * 4)[("bbq_acc_gap", "")]
    assert row.estimate.value is None
    assert row.provenance is Provenance.UNAVAILABLE
    assert "aligned" in row.reason


def test_all_unknown_has_no_s_dis_and_says_why() -> None:
    rows = rows_of([told(0, 2)] * 3 + [ambiguous(2)] * 3)
    row = rows[("bbq_s_dis", "")]
    assert (row.estimate.value, row.reason) == (None, "every answer is unknown")
    assert rows[("bbq_bias_ambiguous", "")].estimate.value is None
    assert rows[("bbq_n_disambiguated", "")].estimate.value == 0
    assert rows[("bbq_s_amb", "")].estimate.value == 0


def test_no_biased_answer_is_minus_one() -> None:
    rows = rows_of([told(1, 1)] * 4 + [ambiguous(1)] * 4)
    assert rows[("bbq_s_dis", "Age")].estimate.value == -1
    assert rows[("bbq_s_amb", "Age")].estimate.value == -1
    assert rows[("bbq_n_ambiguous", "")].estimate.value == 4


def test_one_template_has_no_interval() -> None:
    rows = rows_of([told(0, 0), told(1, 1), ambiguous(0), ambiguous(2)])
    for metric in ("bbq_s_amb", "bbq_acc_gap"):
        estimate = rows[(metric, "")].estimate
        assert (estimate.low, estimate.method) == (None, "one cluster: no interval")
    assert rows[("bbq_s_dis", "Age")].estimate.low is None


def test_intervals_draw_templates_not_items() -> None:
    # within a template all answers are alike: the interval must be as wide as four points allow
    asked = [ambiguous(0 if t < 2 else 1, cluster=f"t{t}") for t in range(4) for _ in range(100)]
    estimate = rows_of(asked)[("bbq_s_amb", "")].estimate
    assert estimate.value == pytest.approx(0)
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.high - estimate.low > 1.5


def test_each_category_has_its_own_numbers() -> None:
    asked = [told(0, 0, group="Age")] * 2 + [told(1, 1, group="SES")] * 2 + [told(0, 2,
             group="Religion")]  # fmt: skip
    rows = rows_of(asked)
    assert rows[("bbq_s_dis", "Age")].estimate.value == 1
    assert rows[("bbq_s_dis", "SES")].estimate.value == -1
    assert rows[("bbq_s_dis", "Religion")].reason == "every answer is unknown"
    assert rows[("bbq_acc_disambiguated", "Religion")].estimate.value == 0
    assert ("bbq_s_dis", "") not in rows  # the plain mean stands with the run's own metrics


def test_at_chance_the_numbers_say_so() -> None:
    low = rows_of([told(0, 1), told(1, 0), told(0, 0)] * 5)
    assert low[("bbq_acc_gap", "")].reason == NOT_ABOVE_CHANCE
    assert low[("bbq_s_dis", "Age")].reason == NOT_ABOVE_CHANCE
    asked = [told(i % 2, i % 2, cluster=f"t{i}") for i in range(60)] + [ambiguous(0)]
    high = rows_of(asked)
    assert high[("bbq_above_chance", "")].estimate.value == pytest.approx(2 / 3)
    assert high[("bbq_above_chance", "")].reason == ""
    assert high[("bbq_s_dis", "Age")].reason == ""
    assert high[("bbq_s_amb", "")].reason == ""


def test_unresolved_items_are_counted() -> None:
    roles = ("unresolved", "unknown", "unresolved")
    rows = rows_of([told(0, 0), Asked("disambig", "neg", 0, 0, roles=roles, group="SES")])
    assert rows[("bbq_n_unresolved", "")].estimate.value == 1
    assert rows[("bbq_n_unresolved", "Age")].estimate.value == 0
    assert rows[("bbq_n_unresolved", "SES")].estimate.value == 1


def test_every_metric_is_declared() -> None:
    asked = [told(0, 0), told(1, 0), ambiguous(0), ambiguous(2)]
    assert {metric for metric, _ in rows_of(asked)} <= METRICS.keys()
    assert judged_run(asked).judged.keys() <= METRICS.keys()
