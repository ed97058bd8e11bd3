"""Fits of time against length: exact curves come back, intervals cover, words fit the numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import nnls

from slmbench.analysis.scaling import Curve, exponents, fit_curve, held_out, non_negative

LENGTHS = (256.0, 362.0, 512.0, 724.0, 1024.0, 1448.0, 2048.0)


def curve_of(
    time: Callable[[float], float],
    *,
    processes: int = 3,
    repetitions: int = 5,
    noise: float = 0.0,
    seed: int = 0,
) -> Curve:
    """Times with relative noise: half of it shared by a process, half by the repetition."""
    numbers = np.random.default_rng(seed)
    samples = []
    for _ in range(processes):
        shared = 1 + noise * numbers.standard_normal()
        samples.append(
            tuple(
                tuple(
                    time(t) * shared * (1 + noise * numbers.standard_normal())
                    for _ in range(repetitions)
                )
                for t in LENGTHS
            )
        )
    return Curve(LENGTHS, tuple(samples))


def attention(t: float) -> float:
    return 0.02 + 1e-3 * t + 5e-7 * t * t


def recurrent(t: float) -> float:
    return 0.0005 + 1e-3 * t


def test_an_exact_curve_is_recovered() -> None:
    fit = fit_curve(curve_of(attention))
    assert fit.per_pair is not None
    assert fit.crossover is not None
    assert fit.pair_share is not None
    found = (fit.fixed.value, fit.per_token.value, fit.per_pair.value, fit.crossover.value)
    assert found == pytest.approx((0.02, 1e-3, 5e-7, 2000.0), rel=1e-6)
    assert fit.pair_share.value == pytest.approx(5e-7 * 2048**2 / attention(2048), rel=1e-6)
    assert fit.held_out_r2 == pytest.approx(1.0)
    assert fit.held_out_error == pytest.approx(0.0, abs=1e-6)
    assert fit.verdict == "quadratic term resolved"


def test_a_linear_model_has_no_quadratic_term() -> None:
    fit = fit_curve(curve_of(recurrent, noise=0.01, seed=3))
    assert fit.verdict == "linear within error"
    assert fit.crossover is None
    assert fit.per_pair is not None
    assert fit.per_pair.low == 0.0
    exact = fit_curve(curve_of(recurrent))
    assert exact.per_pair is not None
    assert exact.per_pair.value == pytest.approx(0.0, abs=1e-15)
    for found in exponents(curve_of(recurrent)):
        assert found.estimate.value == pytest.approx(1.0, abs=0.005)


def test_a_resolved_bend_within_a_tenth_of_a_line_is_nearly_linear() -> None:
    fit = fit_curve(curve_of(lambda t: 1e-3 * t * (1 + 0.12 * t / 2048)))
    assert fit.per_pair is not None
    assert fit.per_pair.low
    assert fit.verdict == "nearly linear"
    assert fit.crossover is not None


def test_local_exponents_rise_from_one_to_two() -> None:
    slopes = [e.estimate.value or 0.0 for e in exponents(curve_of(attention))]
    assert slopes == sorted(slopes)
    assert 1.0 < slopes[0] < slopes[-1] < 2.0
    pure = exponents(curve_of(lambda t: 1e-6 * t * t))
    assert [e.estimate.value for e in pure] == pytest.approx([2.0] * 6)
    assert (pure[0].shorter, pure[0].longer) == (256.0, 362.0)


def test_non_negative_fits_equal_scipys() -> None:
    numbers = np.random.default_rng(5)
    for _ in range(200):
        times = np.abs(numbers.normal(1.0, 0.5, len(LENGTHS))) + 0.05
        design = np.vander(np.asarray(LENGTHS) / LENGTHS[-1], 3, increasing=True)
        wanted = nnls(design / times[:, None], np.ones(len(times)))[0]
        assert non_negative(LENGTHS, times, 2) == pytest.approx(wanted, abs=1e-8)


@pytest.mark.parametrize("processes", [3, 5])
def test_intervals_cover_the_truth(processes: int) -> None:
    """95 % nominal; in 200 data sets at least 90 % of each coefficient's intervals hold it."""
    held = np.zeros(4)
    tries = 200
    for seed in range(tries):
        curve = curve_of(attention, processes=processes, noise=0.01, seed=seed)
        fit = fit_curve(curve)
        local = exponents(curve)[-1].estimate
        assert fit.per_pair is not None
        slope = np.log(attention(2048) / attention(1448)) / np.log(2048 / 1448)
        wanted = ((fit.fixed, 0.02), (fit.per_token, 1e-3), (fit.per_pair, 5e-7), (local, slope))
        for i, (estimate, truth) in enumerate(wanted):
            assert estimate.low is not None
            assert estimate.high is not None
            held[i] += estimate.low <= truth <= estimate.high
    assert (held / tries >= 0.90).all(), held / tries


def test_a_straight_line_is_rarely_called_quadratic() -> None:
    tries = 200
    wrong = sum(
        fit_curve(curve_of(recurrent, noise=0.01, seed=seed)).verdict == "quadratic term resolved"
        for seed in range(tries)
    )
    assert wrong / tries <= 0.05


def test_one_process_draws_its_repetitions_and_one_reading_decides_nothing() -> None:
    alone = fit_curve(curve_of(attention, processes=1, noise=0.002, repetitions=7))
    assert "repetitions of one process" in alone.per_token.method
    assert alone.per_token.low is not None
    single = fit_curve(curve_of(attention, processes=1, repetitions=1))
    assert single.verdict == "no interval"
    assert single.per_token.low is None
    assert single.crossover is None


def test_degree_one_says_whether_decoding_grows() -> None:
    grows = fit_curve(curve_of(lambda t: 0.02 + 2e-6 * t, noise=0.001), 1)
    assert grows.verdict == "grows with context"
    assert grows.per_pair is None
    flat = fit_curve(curve_of(lambda _: 0.02, noise=0.01), 1)
    assert flat.verdict == "flat within error"
    constant = fit_curve(curve_of(lambda _: 0.02, noise=0.01))
    assert constant.verdict == "no growth resolved"


def test_held_out_lengths_show_a_wrong_model() -> None:
    times = np.asarray([attention(t) for t in LENGTHS])
    good, error = held_out(LENGTHS, times, 2)
    bad, worse = held_out(LENGTHS, times, 1)
    assert good is not None
    assert bad is not None
    assert error is not None
    assert worse is not None
    assert good > bad
    assert worse > 10 * error
    assert held_out(LENGTHS[:4], times[:4], 2) == (None, None)


def test_too_few_lengths_are_refused() -> None:
    curve = Curve(LENGTHS[:3], (((1.0,), (2.0,), (3.0,)),))
    with pytest.raises(ValueError, match="3 lengths"):
        fit_curve(curve)
