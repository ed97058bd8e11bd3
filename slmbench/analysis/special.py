"""Distribution functions that the intervals need, typed: Student t, binomial, normal."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

_NORMAL = NormalDist()


def normal_quantile(probability: float) -> float:
    """z with P(Z <= z) = probability, standard normal."""
    return _NORMAL.inv_cdf(probability)


def normal_cdf(z: float) -> float:
    """P(Z <= z), standard normal."""
    return _NORMAL.cdf(z)


def t_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for Student's t with ``freedom`` >= 1 degrees."""
    return float(stdtr(freedom, t))


def t_quantile(probability: float, freedom: float) -> float:
    """t with P(T <= t) = probability; ``freedom`` >= 1, whole or not."""
    return float(stdtrit(freedom, probability))


@lru_cache(maxsize=1024)
def binomial_cdf(trials: int, chance: float) -> tuple[float, ...]:
    """P(X <= k) for k = 0 … trials, X ~ Binomial(trials, chance), 0 < chance < 1."""
    return tuple(float(p) for p in bdtr(np.arange(trials + 1.0), trials, chance))
