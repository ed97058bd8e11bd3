"""Distribution functions against printed tables."""

from __future__ import annotations

import pytest

from slmbench.analysis.special import binomial_cdf, normal_quantile, t_cdf, t_quantile


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.7062), (2, 4.3027), (5, 2.5706), (9, 2.2622), (30, 2.0423), (120, 1.9799)],
)
def test_t_quantile_agrees_with_the_usual_table(freedom: int, t: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(t, abs=5e-5)
    assert t_quantile(0.025, freedom) == pytest.approx(-t, abs=5e-5)
    assert t_cdf(t, freedom) == pytest.approx(0.975, abs=1e-5)


def test_t_tends_to_the_normal() -> None:
    assert t_quantile(0.975, 10**6) == pytest.approx(normal_quantile(0.975), abs=1e-5)
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


def test_binomial_cdf_by_hand() -> None:
    assert binomial_cdf(3, 0.5) == pytest.approx((1 / 8, 4 / 8, 7 / 8, 1.0))
    assert binomial_cdf(2, 0.1) == pytest.approx((0.81, 0.99, 1.0))
