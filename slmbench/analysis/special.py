"""Distribution functions that the intervals need: Student t, binomial, normal.

Written out because the core has no scipy; ``tests/unit/analysis/test_special.py`` holds them
to printed tables.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_ENOUGH = 3e-15
_TINY = 1e-300


def normal_quantile(probability: float) -> float:
    """z with P(Z <= z) = probability, standard normal."""
    return _NORMAL.inv_cdf(probability)


def normal_cdf(z: float) -> float:
    """P(Z <= z), standard normal."""
    return _NORMAL.cdf(z)


def t_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for Student's t; by the regularised incomplete beta function.

    P(T > t) = I_x(freedom/2, 1/2) / 2 with x = freedom / (freedom + t²), t >= 0
    (Abramowitz & Stegun 26.7.1).
    """
    upper = _beta_regularised(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return 1 - upper if t >= 0 else upper


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: int) -> float:
    """t with P(T <= t) = probability, by bisection on :func:`t_cdf`; ``freedom`` >= 1."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    if freedom > 100_000:
        return normal_quantile(probability)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if t_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@lru_cache(maxsize=1024)
def binomial_cdf(trials: int, chance: float) -> tuple[float, ...]:
    """P(X <= k) for k = 0 … trials, X ~ Binomial(trials, chance), 0 < chance < 1."""
    log_p, log_q = math.log(chance), math.log1p(-chance)
    total = math.lgamma(trials + 1)
    cumulated, table = 0.0, []
    for k in range(trials + 1):
        ways = total - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        cumulated += math.exp(ways + k * log_p + (trials - k) * log_q)
        table.append(min(1.0, cumulated))
    return tuple(table)


def _beta_regularised(x: float, a: float, b: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of Abramowitz & Stegun 26.5.8, evaluated by Lentz's method."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
