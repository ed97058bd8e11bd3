"""Gates are read strictly, and judged by intervals: pass, fail, or undecided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import Results, load_results
from slmbench.analysis.acceptance import parse_gate, parse_margin
from slmbench.analysis.checks import Check, judge, mapped, overall
from slmbench.analysis.compare import Asked
from slmbench.analysis.rows import MetricRow
from slmbench.errors import UnknownNameError, UsageError
from slmbench.records import Status

BASE, CHILD = b.variant("base"), b.variant("child", parent="base")


@pytest.mark.parametrize(
    ("text", "metric", "kind", "bound", "unit"),
    [
        ("acc_norm:-1pp", "acc_norm", "change", -0.01, "fraction"),
        ("acc_norm:−1pp", "acc_norm", "change", -0.01, "fraction"),
        (" acc : - 0.5 pp ", "acc", "change", -0.005, "fraction"),
        ("acc:-0.01", "acc", "change", -0.01, "fraction"),
        ("truncation_rate:+2pp", "truncation_rate", "change", 0.02, "fraction"),
        ("gold_bpb:+0.02", "gold_bpb", "change", 0.02, "bits/byte"),
        ("ttft:+10%", "ttft", "relative", 0.10, "fraction"),
        ("decode_rate:-5%", "decode_rate", "relative", -0.05, "fraction"),
        ("ttft:+50ms", "ttft", "change", 0.05, "s"),
        ("flips:<3%", "flips", "below", 0.03, "fraction"),
        ("acc:>0.4", "acc", "above", 0.4, "fraction"),
        ("acc:>40%", "acc", "above", 0.4, "fraction"),
        ("peak_memory:<600MB", "peak_memory", "below", 600e6, "bytes"),
        ("ttft:<.25", "ttft", "below", 0.25, "s"),
    ],
)
def test_grammar(text: str, metric: str, kind: str, bound: float, unit: str) -> None:
    gate = parse_gate(text)
    assert (gate.metric, gate.kind, gate.unit) == (metric, kind, unit)
    assert gate.bound == pytest.approx(bound)
    assert gate.text == text


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("acc_norm-1pp", 9, "':'"),
        ("", 1, "name of a metric"),
        (":-1pp", 1, "name of a metric"),
        ("acc:", 5, "< > + -"),
        ("acc:1pp", 5, "< > + -"),
        ("acc:<", 6, "a number"),
        ("acc:-pp", 6, "a number"),
        ("acc:-1pp now", 10, "the end"),
        ("acc:-1%", 7, "acc:-1pp"),
        ("acc:>40pp", 8, "level"),
        ("ttft:+10pp", 9, "no unit 'pp'"),
        ("gold_bpb:-1pp", 12, "allowed: no unit, bits/byte"),
        ("flips:-3%", 7, "level"),
        ("stereotype_preference:-1pp", 23, "no better side"),
    ],
)
def test_bad_grammar_names_the_column(text: str, column: int, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_gate(text)
    assert f"column {column}:" in refused.value.message
    assert words in refused.value.message
    assert "acc_norm:-1pp, flips:<3%" in (refused.value.hint or "")


def test_an_unknown_metric_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match="did you mean acc_norm"):
        parse_gate("acc_nrm:-1pp")
    with pytest.raises(UnknownNameError, match="did you mean flips"):
        parse_gate("flip:<1%")


@pytest.mark.parametrize(("text", "value"), [("1pp", 0.01), ("2 %", 0.02), ("0.005", 0.005)])
def test_margins(text: str, value: float) -> None:
    assert parse_margin(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "-1pp", "0", "100pp", "1", "1pt"])
def test_bad_margins(text: str) -> None:
    with pytest.raises(UsageError, match="--margin"):
        parse_margin(text)


# --- judging --------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def answers(shelf: b.Shelf, down: int, up: int, n: int, task: str = "arc_easy") -> None:
    """The child loses and gains so many answers."""
    before = [1.0] * down + [0.0] * up + [1.0] * (n - down - up)
    after = [0.0] * down + [1.0] * up + [1.0] * (n - down - up)
    items = b.choice_items(task, n)
    shelf.task(b.cell(BASE, b.task(task)), items, {"acc": before, "gold_bpb": before})
    shelf.task(b.cell(CHILD, b.task(task)), items, {"acc": after, "gold_bpb": after})


def check(shelf: b.Shelf, *gates: str) -> tuple[Check, ...]:
    """Judge a store."""
    return judge(load_results(shelf.root), [parse_gate(g) for g in gates], Asked(strict=False))


@pytest.mark.parametrize(
    ("down", "up", "n", "outcome"),
    [(5, 5, 2000, "pass"), (90, 10, 2000, "fail"), (30, 20, 1000, "inconclusive"),
     (0, 40, 2000, "pass")],
)  # fmt: skip
def test_a_loss_of_at_most_a_point(
    shelf: b.Shelf, down: int, up: int, n: int, outcome: str
) -> None:
    answers(shelf, down, up, n)
    (found,) = check(shelf, "acc:-1pp")
    assert (found.outcome, found.variant, found.reference) == (outcome, "child", "base")
    assert found.value == pytest.approx((up - down) / n)
    if outcome == "inconclusive":
        assert "reaches across" in found.reason
        assert "items settle it" not in found.reason, "the difference is the bound itself"


def test_an_undecided_gate_says_how_many_items_would_do(shelf: b.Shelf) -> None:
    answers(shelf, 24, 20, 1000)
    (found,) = check(shelf, "acc:-1pp")
    # (1.96 + 0.8416)² · 0.044 / 0.006²
    assert "about 9,594 items settle it" in found.reason


@pytest.mark.parametrize(
    ("bound", "outcome"), [("<10%", "pass"), ("<2%", "fail"), ("<5%", "inconclusive")]
)
def test_flips_by_their_wilson_interval(shelf: b.Shelf, bound: str, outcome: str) -> None:
    answers(shelf, 25, 20, 1000)
    (found,) = check(shelf, f"flips:{bound}")
    assert (found.outcome, found.value) == (outcome, pytest.approx(0.045))
    assert found.low == pytest.approx(0.0338, abs=1e-4)
    assert found.high == pytest.approx(0.0597, abs=1e-4)


def test_levels_do_not_look_at_the_reference(shelf: b.Shelf) -> None:
    answers(shelf, 400, 0, 1000)
    assert [c.outcome for c in check(shelf, "acc:>0.5", "acc:>70%", "acc:<59%")] == [
        "pass", "fail", "inconclusive",
    ]  # fmt: skip


def timings(shelf: b.Shelf, factor: float, count: int = 8) -> None:
    base = [0.0100, 0.0101, 0.0099, 0.0100, 0.0102, 0.0098, 0.0100, 0.0101][:count]
    for what, scale in ((BASE, 1.0), (CHILD, factor)):
        times = b.measurement("ttft", *[t * scale for t in base], point="pp128+tg32")
        peak = b.measurement("peak_memory", 1e9 * scale)
        shelf.load(b.cell(what, b.workload(), suite="latency"), b.phase("timed", times, peak))


@pytest.mark.parametrize(
    ("factor", "outcome"), [(1.05, "pass"), (1.2, "fail"), (1.1, "inconclusive")]
)
def test_a_cost_may_grow_by_a_share(shelf: b.Shelf, factor: float, outcome: str) -> None:
    timings(shelf, factor)
    (found,) = check(shelf, "ttft:+10%")
    assert (found.outcome, found.point) == (outcome, "pp128+tg32")
    assert found.value == pytest.approx(factor - 1)


def test_too_few_repetitions_decide_nothing_and_exact_figures_do(shelf: b.Shelf) -> None:
    timings(shelf, 1.5, count=3)
    time, memory = check(shelf, "ttft:+10%", "peak_memory:+60%")
    assert (time.outcome, memory.outcome) == ("inconclusive", "pass")
    assert "no interval" in time.reason
    assert "by its value" in memory.reason


def test_a_crash_never_helps_to_pass(shelf: b.Shelf) -> None:
    answers(shelf, 0, 0, 1000)
    items = b.choice_items("piqa", 50)
    shelf.task(b.cell(BASE, b.task("piqa")), items, {"acc": [1.0] * 50})
    assert [c.reason for c in check(shelf, "acc:-1pp")] == [
        "", "child has no such result: it was not run",
    ]  # fmt: skip
    shelf.failure(b.cell(CHILD, b.task("piqa")), Status.CRASHED, "the worker died of SIGILL")
    for gate in ("acc:-1pp", "flips:<3%", "acc:>0.1"):
        good, bad = check(shelf, gate)
        assert (good.outcome, bad.outcome, bad.task) == ("pass", "inconclusive", "piqa")
        assert "SIGILL" in bad.reason


def test_a_pair_that_must_not_be_compared_is_undecided(shelf: b.Shelf) -> None:
    shelf.task(b.cell(BASE, b.task()), b.choice_items("a", 80), {"acc": [1.0] * 80})
    shelf.task(b.cell(CHILD, b.task()), b.choice_items("a", 60), {"acc": [1.0] * 60})
    (found,) = check(shelf, "acc:-5pp")
    assert found.outcome == "inconclusive"
    assert "item_set" in found.reason


def test_a_suspect_row_decides_nothing(shelf: b.Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(shelf, 300, 0, 1000)
    results = load_results(shelf.root)
    (before,) = results.compare().deltas
    assert before.verdict == "worse"

    rows = tuple(replace(r, flags=(*r.flags, "suspect")) for r in results.metric_rows)

    def doubted(_: Results) -> tuple[MetricRow, ...]:
        return rows

    monkeypatch.setattr(Results, "metric_rows", property(doubted))
    fresh = load_results(shelf.root)
    (d,) = fresh.compare().deltas
    assert (d.verdict, d.p_holm, d.equivalence, d.recovered) == ("not resolved", None, None, None)
    assert "suspect" in d.flags
    gates = [parse_gate(g) for g in ("acc:-1pp", "acc:>0.1", "flips:<3%")]
    assert {c.outcome for c in judge(fresh, gates, Asked(strict=False))} == {"inconclusive"}


def test_a_metric_that_is_not_there(shelf: b.Shelf) -> None:
    answers(shelf, 0, 0, 10)
    with pytest.raises(UsageError, match="no result here can be judged by exact_match") as refused:
        check(shelf, "exact_match:-1pp")
    assert refused.value.hint == "there are: acc, gold_bpb"


def test_a_relative_bound_on_a_judged_metric_is_refused(shelf: b.Shelf) -> None:
    answers(shelf, 0, 0, 10)
    with pytest.raises(UsageError, match="relative changes are for costs"):
        check(shelf, "gold_bpb:+2%")


def test_a_change_of_a_derived_metric_is_refused(shelf: b.Shelf) -> None:
    items = b.choice_items("pairs", 40)
    for what in (BASE, CHILD):
        spec = b.cell(what, b.task("pairs", "stereotype_distance"), suite="bias")
        shelf.task(spec, items, {"stereotype_preference": [1.0, 0.0] * 20})
    with pytest.raises(UsageError, match="has no better side"):
        check(shelf, "stereotype_distance:+1pp")
    assert check(shelf, "stereotype_distance:<40%")[0].outcome == "pass"


def test_a_change_of_perplexity_is_tested_through_its_logarithm(shelf: b.Shelf) -> None:
    items = b.choice_items("texts", 40)
    for what in (BASE, CHILD):
        spec = b.cell(what, b.task("texts", "ppl_rolling"), suite="perplexity")
        shelf.task(spec, items, {"nll_rolling": [1.0, 2.0] * 20})
    with pytest.raises(UsageError, match="tested through nll_rolling"):
        check(shelf, "ppl_rolling:+1")


def test_the_worst_outcome_stands_for_all(shelf: b.Shelf) -> None:
    answers(shelf, 45, 35, 1000)
    checks = check(shelf, "acc:-1pp", "acc:-9pp", "flips:<1%")
    assert [c.outcome for c in checks] == ["inconclusive", "pass", "fail"]
    assert overall(checks) == "fail"
    assert overall(checks[:2]) == "inconclusive"
    assert overall(mapped(checks[:2], "pass")) == "pass"
    assert overall(mapped(checks[:2], "fail")) == "fail"
    assert overall(()) == "pass"
