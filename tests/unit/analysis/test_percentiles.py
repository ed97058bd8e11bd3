"""A tail percentile comes with an interval or not at all; the failed are slower than any."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.cost_columns import COST_COLUMNS, NOISE_COLUMNS, PERCENTILE_COLUMNS
from slmbench.analysis.percentiles import FEWEST, percentile, pooled_percentile
from slmbench.analysis.statistics import quantile_interval
from slmbench.records import MachinePeaks, ObserverCost
from slmbench.store.noise import NOISE, NoiseRatios, NoiseRecord, save_noise

BASE = b.variant("base")


def numbers(n: int) -> list[float]:
    """1 … n in disorder."""
    shuffled = [float(i + 1) for i in range(n)]
    random.Random(3).shuffle(shuffled)
    return shuffled


@pytest.mark.parametrize(("q", "n"), FEWEST.items())
def test_the_thresholds_are_where_the_interval_begins_to_exist(q: float, n: int) -> None:
    assert quantile_interval(numbers(n), q) is not None
    assert quantile_interval(numbers(n - 1), q) is None


def test_p90_of_36_by_hand() -> None:
    """P(Bin(36, .9) = 36) = .9^36 = 2.25 %, so the largest is the upper end; below,
    P(X < 29) = 2.35 % and P(X < 30) = 6.28 %, so that the 29th is the lower end."""
    estimate, why = percentile(numbers(36), 0.9)
    assert (estimate.value, estimate.low, estimate.high) == (32.5, 29.0, 36.0)
    assert (estimate.n, why) == (36, "")


def test_p90_of_100_by_hand() -> None:
    """P(X < 84) = 2.06 % and P(X < 85) = 3.99 %; P(X >= 96) = 2.37 % and P(X >= 95) = 5.76 %."""
    estimate, _ = percentile(numbers(100), 0.9)
    assert estimate.value == pytest.approx(90.1)
    assert (estimate.low, estimate.high) == (84.0, 96.0)


def test_p99_of_367_has_no_number() -> None:
    estimate, why = percentile(numbers(367), 0.99)
    assert (estimate.value, estimate.low, estimate.n) == (None, None, 367)
    assert why == "needs 368 requests for a 95 % interval, there are 367"
    assert percentile(numbers(368), 0.99)[0].value == pytest.approx(364.33)


def test_a_median_may_go_without_an_interval() -> None:
    estimate, why = percentile(numbers(5), 0.5)
    assert (estimate.value, estimate.low, why) == (3.0, None, "")


def test_failed_requests_are_slower_than_any() -> None:
    plain, _ = percentile(numbers(98), 0.9)
    with_failures, _ = percentile(numbers(98), 0.9, failed=2)
    assert plain.value == pytest.approx(88.3)
    assert with_failures.value == pytest.approx(90.1), "as if 99 and 100 had never ended"
    none, why = percentile(numbers(88), 0.9, failed=12)
    assert (none.value, why) == (None, "12 of 100 requests were not answered")
    edge, why = percentile(numbers(94), 0.9, failed=6)
    assert edge.value is None
    assert why == "its 95 % interval reaches the 6 of 100 requests that were not answered"


def test_gaps_between_tokens_are_pooled_and_get_no_interval() -> None:
    estimate, why = pooled_percentile(numbers(400), 0.99)
    assert (estimate.value, estimate.low) == (pytest.approx(396.01), None)
    assert estimate.method == "pooled over requests: no interval"
    none, why = pooled_percentile(numbers(40), 0.99)
    assert (none.value, why) == (None, "needs 368 gaps even if they were independent, there are 40")


def test_intervals_of_percentiles_cover() -> None:
    rng = random.Random(2)
    held = sum(
        (e.low or 9) <= 0.9 <= (e.high or 0)
        for e, _ in (percentile([rng.random() for _ in range(60)], 0.9) for _ in range(500))
    )
    assert held / 500 >= 0.93


def timings(shelf: b.Shelf) -> None:
    """A latency run with 40 requests, two of another load failed, watched and with peaks."""
    ttft = b.measurement("ttft", *numbers(40), point="poisson@2/s")
    itl = b.measurement("itl", *numbers(400), point="poisson@2/s")
    lost = [
        b.measurement("failed_requests", 1.0, point="poisson@2/s", scope=kind)
        for kind in ("timeout", "disconnect")
    ]
    warm = b.phase("warm_up", b.measurement("ttft", 9.0, point="poisson@2/s"))
    timed = b.phase("timed", ttft, itl, *lost).model_copy(update={"round": "s-0"})
    shelf.load(
        b.cell(BASE, b.workload(), suite="latency"),
        warm,
        timed,
        observer=ObserverCost(
            supervisor_cpu_s=0.5, supervisor_rss_bytes=10**8, wall_s=50.0, meters_s=0.2
        ),
        peaks=MachinePeaks(
            threads=2,
            read_bandwidth=2e10,
            gemm_flops={"float32": 1e11},
            llc_bytes=32 << 20,
            measured_utc="2026-01-01T00:00:00+00:00",
            method="made for tests",
        ),
    )


def test_the_table_of_percentiles(tmp_path: Path) -> None:
    timings(b.Shelf(tmp_path))
    table = load_results(tmp_path).percentiles()
    assert {n: str(d) for n, d in table.dtypes.items()} == {
        c.name: c.dtype for c in PERCENTILE_COLUMNS
    }
    ttft = table[table["metric"] == "ttft"].set_index("percentile")
    assert list(ttft.index) == [50.0, 90.0, 95.0, 99.0]
    assert set(ttft["failed"]) == {2}
    assert ttft.loc[50.0, "value"] == pytest.approx(21.5), "of 42, two of them slower than any"
    assert "not answered" in ttft.loc[90.0, "reason"], "the interval's end is among the failed"
    assert "72 requests" in ttft.loc[95.0, "reason"]
    itl = table[table["metric"] == "itl"].set_index("percentile")
    assert itl["ci_low"].isna().all()
    assert set(itl["failed"]) == {0}


def test_the_table_of_costs_shows_who_watched(tmp_path: Path) -> None:
    timings(b.Shelf(tmp_path))
    record = NoiseRecord(
        machine=b.MACHINE,
        target="fake-cpu",
        backend="fake",
        device="cpu",
        threads=2,
        variant="base",
        repeats=5,
        ratios=(NoiseRatios(metric="ttft", point="pp8+tg8", logs=(0.01, -0.01, 0.02)),),
        processes=6,
        disturbed=1,
    )
    save_noise(tmp_path / NOISE, record)
    results = load_results(tmp_path)
    table = results.costs()
    assert {n: str(d) for n, d in table.dtypes.items()} == {c.name: c.dtype for c in COST_COLUMNS}
    row = table[(table["metric"] == "ttft") & (table["phase"] == "timed")].iloc[0]
    assert (row["observer_cpu_share"], row["observer_memory"]) == (0.01, 10**8)
    assert (row["rounds"], row["processes"], row["kernel"]) == (1, 1, "real")
    assert 0.03 < row["noise_floor"] < 0.06
    runs = results.runs().iloc[0]
    assert (runs["read_bandwidth"], runs["meters_s"]) == (2e10, 0.2)
    floors = results.noise_floors()
    assert {n: str(d) for n, d in floors.dtypes.items()} == {c.name: c.dtype for c in NOISE_COLUMNS}
    assert floors.loc[0, "floor_1"] == pytest.approx(row["noise_floor"])
    assert floors.loc[0, "floor_15"] < floors.loc[0, "floor_5"]


def test_an_empty_store_has_the_same_columns(tmp_path: Path) -> None:
    results = load_results(tmp_path)
    assert list(results.percentiles().columns) == [c.name for c in PERCENTILE_COLUMNS]
    assert list(results.costs().columns) == [c.name for c in COST_COLUMNS]
    assert list(results.noise_floors().columns) == [c.name for c in NOISE_COLUMNS]


def test_simulated_kernels_get_no_credit_and_the_table_says_why(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    timed = b.phase("timed", b.measurement("ttft", *numbers(40), point="pp8+tg8"))
    spec = b.cell(BASE, b.workload(), suite="latency")
    shelf.load(spec, timed, model=b.model(kernel="simulated"))
    results = load_results(tmp_path)
    assert len(results.percentiles()) == 0
    row = results.costs().iloc[0]
    assert row["kernel"] == "simulated"
    assert row.isna()["value"]
    assert row["reason"].startswith("simulated kernel: speed, memory and energy mean nothing")
