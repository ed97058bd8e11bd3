"""Intervals count processes, not repetitions; one process keeps the numbers of old records."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import MetricRow, load_results
from slmbench.analysis.processes import process_estimate, process_medians, spread_of, t_interval
from slmbench.analysis.statistics import median_estimate, trend_p
from slmbench.analysis.steadiness import Seen, steadiness
from slmbench.records import PhaseRecord

QUIET = [0.0100, 0.0101, 0.0099, 0.0102, 0.0098, 0.0100, 0.0101]


def spread_over(samples: list[list[float]]) -> tuple[list[float], list[int]]:
    """Samples and the process of each."""
    return (
        [x for mine in samples for x in mine],
        [p for p, mine in enumerate(samples) for _ in mine],
    )


def test_one_process_is_the_old_estimate() -> None:
    assert process_estimate(QUIET, [0] * 7) == median_estimate(QUIET)
    assert process_estimate([1.0], [0]).method == "single reading"


def test_three_processes_by_hand() -> None:
    samples, processes = spread_over([[1.0, 2.0, 3.0], [4.0], [8.0, 9.0]])
    assert process_medians(samples, processes) == (2.0, 4.0, 8.5)
    e = process_estimate(samples, processes)
    logs = [math.log(v) for v in (2.0, 4.0, 8.5)]
    middle = sum(logs) / 3
    se = math.sqrt(sum((x - middle) ** 2 for x in logs) / 2 / 3)
    assert e.value == 3.5
    assert e.low == pytest.approx(math.exp(middle - 4.302653 * se))
    assert e.high == pytest.approx(math.exp(middle + 4.302653 * se))
    assert (e.n, e.method) == (6, "t of logs, 3 process medians")


def test_six_processes_go_by_rank() -> None:
    samples, processes = spread_over([[float(i)] * 5 for i in (3, 1, 2, 6, 5, 4)])
    e = process_estimate(samples, processes)
    assert (e.low, e.value, e.high) == (1.0, 3.5, 6.0)
    assert e.method == "order statistics of 6 process medians"


def test_the_interval_never_leaves_the_value_out() -> None:
    samples, processes = spread_over([[1.0] * 50, *[[2.0]] * 8])
    e = process_estimate(samples, processes)
    assert (e.value, e.low, e.high) == (1.0, 1.0, 2.0), "by rank alone it were 2 to 2"


def test_values_that_are_not_positive_stay_on_their_scale() -> None:
    e = process_estimate([-1.0, 1.0], [0, 1])
    assert (e.low, e.high) == (pytest.approx(-12.706205), pytest.approx(12.706205))
    assert e.method == "t, 2 process medians"
    assert t_interval([1.0]) is None


def test_coverage_holds_where_processes_differ() -> None:
    """Five processes of ten repetitions; what varies is the process: 95 % means 95 %."""
    rng = random.Random(5)
    held = naive = 0
    for _ in range(400):
        levels = [rng.gauss(0, 0.03) for _ in range(5)]
        samples, processes = spread_over(
            [[math.exp(m + rng.gauss(0, 0.005)) for _ in range(10)] for m in levels]
        )
        e, plain = process_estimate(samples, processes), median_estimate(samples)
        held += (e.low or 2) <= 1 <= (e.high or 0)
        naive += (plain.low or 2) <= 1 <= (plain.high or 0)
    assert 0.92 <= held / 400 <= 0.98
    assert naive / 400 < 0.85, "repetitions as units promise too much: that is why"


def test_a_drift_inside_every_process_is_seen_though_they_start_anew() -> None:
    rising = [[1.0, 1.01, 1.02, 1.03]] * 5
    assert (trend_p(*spread_over(rising)) or 1) < 0.01
    level = [[1.0 + p / 10] * 4 for p in range(5)]
    assert trend_p(*spread_over(level)) == 1.0, "levels of processes are no drift inside them"
    one = [1.0, 2.0, 1.5, 3.0, 2.5, 4.0, 3.5, 5.0]
    assert trend_p(one) == trend_p(one, [0] * 8)


def test_spread_within_and_between() -> None:
    s = spread_of(*spread_over([[1.0, 3.0], [2.0, 2.0]]))
    assert s.within == pytest.approx(math.sqrt(0.5 / 2))
    assert (s.between, s.processes) == (0.0, 2)


def test_the_gravest_word_wins() -> None:
    flat = [1.0, 1.0, 1.0, 1.0]
    told = steadiness("s", flat, [0, 0, 1, 1], [Seen(0, ()), Seen(1, (b.loaded(),))])
    assert (told.word, told.reason) == ("disturbed", "loaded machine in 1 of 2 processes")
    assert steadiness("s", flat, [0] * 4, [Seen(0, (b.loaded(),))]).reason == "loaded machine"
    rising = [1 + i / 1000 for i in range(12)]
    assert steadiness("s", rising, [0] * 12, []).word == "drifting"
    assert steadiness("s", [1.0, 1.2, 0.9, 1.1], [0] * 4, []).word == "noisy"
    apart = steadiness("s", [1.0, 1.0, 1.2, 1.2], [0, 0, 1, 1], [])
    assert (apart.word, "between 2 processes" in apart.reason) == ("noisy", True)
    assert steadiness("s", QUIET, [0] * 7, []).word == "steady"
    assert steadiness("s", [1.0, 1.0], [0, 0], []).word is None


def timed(process: int, samples: list[float], *, disturbed: bool = False) -> PhaseRecord:
    """The timed phase of one process."""
    seen = [b.loaded()] if disturbed else []
    plain = b.phase("timed", b.measurement("tpot", *samples, point="pp8+tg8"), seen=seen)
    return plain.model_copy(update={"process": process, "round": f"s-{process}"})


def row_of(root: Path) -> MetricRow:
    """The one row of TPOT."""
    (row,) = [r for r in load_results(root).metric_rows if r.metric == "tpot"]
    return row


def test_rows_gather_the_processes_of_a_run(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    spec = b.cell(b.variant("a"), b.workload("latency", (8, 8)), suite="latency")
    shelf.load(spec, *[timed(p, [t * (1 + p / 100) for t in QUIET]) for p in range(3)])
    row = row_of(tmp_path)
    assert (row.processes, row.estimate.n) == (3, 21)
    assert row.estimate.method == "t of logs, 3 process medians"
    assert "one process" not in row.flags
    assert row.steadiness is not None
    assert row.steadiness.word == "steady"
    table = load_results(tmp_path).metrics()
    found = table[table["metric"] == "tpot"].iloc[0]
    assert (found["processes"], found["stability"]) == (3, "steady")


def test_one_disturbed_process_is_a_badge_on_the_row(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    spec = b.cell(b.variant("a"), b.workload("latency", (8, 8)), suite="latency")
    shelf.load(spec, timed(0, QUIET), timed(1, QUIET, disturbed=True))
    row = row_of(tmp_path)
    assert "loaded machine" in row.flags
    assert row.steadiness is not None
    assert row.steadiness.word == "disturbed"


def test_an_old_record_says_that_it_is_of_one_process(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    spec = b.cell(b.variant("a"), b.workload("latency", (8, 8)), suite="latency")
    shelf.load(spec, b.phase("timed", b.measurement("tpot", *QUIET, point="pp8+tg8")))
    row = row_of(tmp_path)
    assert (row.estimate.value, row.estimate.low, row.estimate.high) == (0.01, 0.0098, 0.0102)
    assert (row.processes, row.flags) == (1, ("one process",))
