"""Every estimator against figures worked out by hand or printed in its source."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench.analysis import statistics as s


def test_wilson_as_in_the_measurement_definitions() -> None:
    assert s.wilson(45 / 50, 50) == pytest.approx((0.786, 0.957), abs=5e-4)
    assert s.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-4)


def test_mean_of_unbounded_values_has_a_t_interval() -> None:
    estimate = s.mean_estimate([1.0, 2.0, 3.0, 4.0])
    se = math.sqrt((2.25 + 0.25 + 0.25 + 2.25) / 3 / 4)
    assert estimate.value == 2.5
    assert estimate.se == pytest.approx(se)
    assert estimate.low == pytest.approx(2.5 - 3.1824 * se, abs=1e-4)
    assert estimate.high == pytest.approx(2.5 + 3.1824 * se, abs=1e-4)


def test_clustered_error_by_hand() -> None:
    """Two clusters that agree within: deviations sum to +1 and -1, so SE = sqrt(2)/4*sqrt(2)."""
    estimate = s.mean_estimate([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert estimate.se == pytest.approx(math.sqrt(1 + 1) / 4 * math.sqrt(2 / 1))
    alone = s.mean_estimate([1, 1, 0, 0], ["a", "b", "c", "d"])
    assert alone.se == pytest.approx(math.sqrt(0.25 * 4 / 3 / 4))
    assert estimate.se > alone.se


def test_clusters_widen_a_bounded_interval() -> None:
    values = [1.0] * 20 + [0.0] * 20
    apart = s.mean_estimate(values, [str(i) for i in range(40)], bounded=True)
    together = s.mean_estimate(values, [str(i // 10) for i in range(40)], bounded=True)
    assert (apart.low, apart.high) == pytest.approx(s.wilson(0.5, 40))
    assert together.low < apart.low
    assert together.high > apart.high


def test_all_right_is_not_certain() -> None:
    estimate = s.mean_estimate([1.0] * 12, bounded=True)
    assert estimate.high == 1.0
    assert estimate.low == pytest.approx(s.wilson(1.0, 12)[0])
    clustered = s.mean_estimate([1.0] * 12, [str(i // 6) for i in range(12)], bounded=True)
    assert clustered.low == pytest.approx(s.wilson(1.0, 2)[0])


def test_large_samples_use_t() -> None:
    estimate = s.mean_estimate([0.0, 1.0] * 200, bounded=True)
    se = math.sqrt(0.25 / 399)
    assert estimate.method == "t"
    assert estimate.high - estimate.low == pytest.approx(2 * 1.966 * se, rel=1e-3)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_too_little_gives_no_interval(values: list[float]) -> None:
    estimate = s.mean_estimate(values)
    assert (estimate.low, estimate.high) == (None, None)
    assert estimate.method in ("no samples", "single reading")
    assert s.mean_estimate([1, 2], ["a", "a"]).low is None


@pytest.mark.parametrize(("q", "least"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_quantile_intervals_exist_from_the_known_n_on(q: float, least: int) -> None:
    assert s.quantile_interval(range(least - 1), q) is None
    assert s.quantile_interval(range(least), q) is not None


def test_median_interval_by_hand() -> None:
    """n = 10: P(Bin(10, 1/2) <= 1) = 0.0107 <= 0.025 < P(<= 2), so the 2nd and the 9th."""
    estimate = s.median_estimate([10, 1, 9, 2, 8, 3, 7, 4, 6, 5])
    assert (estimate.value, estimate.low, estimate.high) == (5.5, 2, 9)
    assert s.median_estimate([1, 2, 3, 4, 5]).low is None
    assert s.median_estimate([]).value is None


def test_distance_maps_the_interval() -> None:
    across = s.distance_estimate(s.Estimate(0.55, 60, 0.42, 0.68, 0.06), 0.5)
    assert (across.value, across.low, across.high) == pytest.approx((0.05, 0.0, 0.18))
    beside = s.distance_estimate(s.Estimate(0.3, 60, 0.2, 0.4, 0.05), 0.5)
    assert (beside.low, beside.high) == pytest.approx((0.1, 0.3))
    assert s.distance_estimate(s.Estimate(None, 0), 0.5).value is None
    assert s.distance_estimate(s.Estimate(0.4, 1), 0.5).low is None


def test_mean_of_means_combines_errors_in_quadrature() -> None:
    parts = [s.Estimate(0.4, 60, 0.3, 0.5, 0.03), s.Estimate(0.6, 40, 0.5, 0.7, 0.04)]
    mean = s.mean_of_means(parts)
    assert (mean.value, mean.n) == (0.5, 100)
    assert mean.se == pytest.approx(0.05 / 2)
    assert s.mean_of_means([*parts, s.Estimate(None, 0)]).value is None
    assert s.mean_of_means([]).value is None
    without = s.mean_of_means([s.Estimate(0.4, 1)])
    assert (without.value, without.low) == (0.4, None)


def test_a_perfect_task_does_not_pass_for_certain() -> None:
    mean = s.mean_of_means([s.mean_estimate([1.0] * 20, bounded=True)])
    assert mean.se is not None
    assert mean.se > 0.02


def test_mcnemar_by_hand() -> None:
    assert s.mcnemar_exact(0, 0) == 1.0
    assert s.mcnemar_exact(0, 6) == pytest.approx(2 / 64)
    assert s.mcnemar_exact(1, 9) == pytest.approx(2 * 11 / 1024)
    assert s.mcnemar_exact(4, 4) == 1.0


@pytest.mark.parametrize(
    ("psi", "n", "mde"), [(0.05, 200, 0.044), (0.05, 1000, 0.020), (0.1, 1000, 0.028)]
)
def test_mde_table(psi: float, n: int, mde: float) -> None:
    assert s.mde_paired(psi, n) == pytest.approx(mde, abs=5e-4)


def test_holm_by_hand() -> None:
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert s.holm([]) == ()


def test_paired_t_of_table() -> None:
    assert s.t_test_p(2.2622, 1.0, 9) == pytest.approx(0.05, abs=1e-4)
    assert s.t_test_p(0.0, 0.0, 9) == 1.0
    assert s.t_test_p(1.0, 0.0, 9) == 0.0


def test_trend_sees_a_drift_and_no_ghost() -> None:
    assert s.trend_p(list(range(10))) == pytest.approx(8.3e-5, rel=0.05)
    assert s.trend_p([1, 2, 1, 2, 1, 2, 1, 2]) > 0.3
    assert s.trend_p([5.0] * 8) == 1.0
    assert s.trend_p([1, 2, 3]) is None
    assert s.trend_p(range(50_000)) < 1e-9, "long series are thinned, not squared"


def test_median_shift_is_seeded_and_needs_six() -> None:
    left, right = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95], [2.0, 2.1, 1.9, 2.0, 2.05, 1.95]
    found = s.median_shift_interval(left, right)
    assert found == s.median_shift_interval(left, right)
    assert found is not None
    assert 0.8 < found[0] < 1.0 < found[1] < 1.2
    assert s.median_shift_interval(left[:5], right) is None


def test_variation() -> None:
    assert s.variation([1.0, 3.0]) == pytest.approx(math.sqrt(2) / 2)
    assert s.variation([1.0]) is None
    assert s.variation([-1.0, 1.0]) is None


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=40),
    st.lists(st.integers(0, 5), min_size=40, max_size=40),
)
def test_bounded_means_stay_bounded(values: list[float], clusters: list[int]) -> None:
    names = [str(c) for c in clusters[: len(values)]]
    estimate = s.mean_estimate(values, names, bounded=True)
    assert estimate.value is not None
    if estimate.low is not None and estimate.high is not None:
        assert 0 <= estimate.low <= estimate.value + 1e-9
        assert estimate.value - 1e-9 <= estimate.high <= 1


@given(st.lists(st.floats(0.001, 1), max_size=12))
def test_holm_never_lowers_a_p(p_values: list[float]) -> None:
    adjusted = s.holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    assert all(a <= 1 for a in adjusted)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=60))
def test_median_lies_in_its_interval(samples: list[float]) -> None:
    e = s.median_estimate(samples)
    assert e.low is not None
    assert e.high is not None
    assert e.low <= e.value <= e.high
