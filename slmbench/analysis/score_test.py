"""Tango's score test of a shift in paired binary data, and the interval that inverts it."""

from __future__ import annotations

import math

from slmbench.analysis.special import normal_quantile
from slmbench.analysis.statistics import LEVEL


def score_z(down: int, up: int, n: float, shift: float) -> float:
    """Tango's score statistic of (p_up - p_down) = ``shift``, -1 < shift < 1 (paired binary data).

    Of ``n`` pairs ``down`` were right only before and ``up`` only after. With q the estimate of
    p_down under the constraint (the positive root of A q² + B q + C = 0)::

        A = 2n,  B = (2n - up + down)·shift - (up + down),  C = -down·shift·(1 - shift)
        z = (up - down - n·shift) / sqrt( n·(2q + shift·(1 - shift)) )

    (Tango 1998, Stat Med 17:891, equations 9 and 14.) It falls as ``shift`` grows; at 0 it is
    McNemar's (up - down) / sqrt(up + down), and without flips it is 0 there.
    """
    b = (2 * n - up + down) * shift - (up + down)
    c = -down * shift * (1 - shift)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * q + shift * (1 - shift))
    rest = up - down - n * shift
    return 0.0 if variance <= 0 else rest / math.sqrt(variance)


def score_interval(down: int, up: int, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Tango's score interval of (up - down) / n for paired binary data: all shifts not rejected.

    It excludes 0 just when McNemar's score test does, never leaves [-1, 1], and no flips do not
    mean no uncertainty. Fagerland et al. 2014 (Stat Med 33:2850) review it beside others.
    """
    z, delta = normal_quantile(1 - (1 - level) / 2), (up - down) / n
    return _crossing(down, up, n, z, -1.0, delta), _crossing(down, up, n, -z, delta, 1.0)


def _crossing(down: int, up: int, n: float, z: float, low: float, high: float) -> float:
    """The shift in [low, high] at which the score statistic, which falls, is ``z``."""
    for _ in range(60):
        middle = (low + high) / 2
        if score_z(down, up, n, middle) > z:
            low = middle
        else:
            high = middle
    return (low + high) / 2
