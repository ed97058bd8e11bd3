"""Ways to look at a paired difference while it is measured, compared by simulation.

    python benchmarks/stopping_rules.py [--runs 2000] [--items 1000] [--only haybittle-peto]

Each rule stops when its interval is within the half-width. Per rule and truth: the mean number
of items asked, how often the interval at the stop misses the true difference, and how often any
interval up to the stop does. The rules, at 95 %:

- ``plain``: the ordinary interval at every look, as if it were the only one
- ``haybittle-peto``: slmbench's (slmbench/sequential.py)
- ``pocock``: the same critical value at every look (Pocock 1977, Biometrika 64:191)
- ``obrien-fleming``: critical value falling as sqrt(K / k) (O'Brien & Fleming 1979,
  Biometrics 35:549), the last look at all items
- ``asymptotic cs``: normal-mixture confidence sequence (Waudby-Smith et al. 2024, Ann Statist
  52:2613), tuned to a third of the items
- ``empirical bernstein cs``: predictable plug-in (Waudby-Smith & Ramdas 2024, JRSS B 86:1,
  theorem 2), exact at any sample size, for differences in [-1, 1]

Group-sequential constants come from 200,000 simulated random walks. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmbench.sequential import Pair, Schedule, look
from slmbench.spec.suite import Until

ALPHA = 0.05
TRUTHS = (
    (0.0, 0.0),
    (0.01, 0.01),
    (0.05, 0.05),
    (0.02, 0.05),
    (0.0, 0.03),
    (0.0, 0.15),
    (0.1, 0.1),
)
"""Share of items that flip to right and to wrong."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Data:
    """Simulated runs, cut at the looks."""

    looks: tuple[int, ...]
    centres: Floats
    """Mean difference so far, (runs, looks)."""
    spreads: Floats
    """Standard deviation so far, the same shape."""
    differences: Floats
    """(runs, items)."""
    until: Until


def main() -> None:
    """Simulate, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--halfwidth", type=float, default=0.03)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=RULES, default=list(RULES))
    asked = parser.parse_args()
    until = Until(halfwidth=asked.halfwidth, every=asked.every)
    figures = []
    print(f"{'rule':24}{'up':>6}{'down':>6}{'items':>8}{'missed':>8}{'any look':>9}")
    for up, down in TRUTHS:
        data = simulate(up, down, asked.runs, asked.items, until)
        for name in asked.only:
            items, missed, any_look = outcome(data, RULES[name], up - down)
            print(f"{name:24}{up:6.2f}{down:6.2f}{items:8.0f}{missed:8.3f}{any_look:9.3f}")
            figures.append(
                {
                    "rule": name,
                    "up": up,
                    "down": down,
                    "items": round(items),
                    "missed": round(missed, 4),
                    "any_look": round(any_look, 4),
                }
            )
    print(json.dumps({"runs": asked.runs, "available": asked.items, "figures": figures}))


def simulate(up: float, down: float, runs: int, items: int, until: Until) -> Data:
    """Differences of runs × items, and their moments at the looks."""
    draws = np.random.default_rng(0).random((runs, items))
    d = (draws < up).astype(float) - ((draws >= up) & (draws < up + down))
    looks = Schedule(until, items).looks
    at = np.array(looks)
    total, squares = d.cumsum(1)[:, at - 1], (d * d).cumsum(1)[:, at - 1]
    centres = total / at
    spreads = np.sqrt(np.maximum(squares - at * centres**2, 0) / (at - 1))
    return Data(looks, centres, spreads, d, until)


Interval = tuple[Floats, Floats]
"""Lower and upper ends, (runs, looks)."""


def outcome(
    data: Data, rule: Callable[[Data], tuple[Interval, Floats]], truth: float
) -> tuple[float, float, float]:
    """Mean items asked, share missing the truth at the stop, and at any look up to it.

    A rule gives the intervals of looks that do not end it and the half-widths of those that do.
    """
    (low, high), half = rule(data)
    centre = (low + high) / 2
    last = half <= data.until.halfwidth
    last[:, -1] = True
    stop = last.argmax(1)
    rows = np.arange(len(stop))
    low[rows, stop], high[rows, stop] = (
        centre[rows, stop] - half[rows, stop],
        centre[rows, stop] + half[rows, stop],
    )
    outside = (low > truth) | (high < truth)
    before = np.arange(low.shape[1])[None, :] <= stop[:, None]
    asked = np.array(data.looks)[stop]
    return float(asked.mean()), float(outside[rows, stop].mean()), float(
        (outside & before).any(1).mean()
    )  # fmt: skip


def _around(data: Data, critical: Floats) -> tuple[Interval, Floats]:
    """Ordinary standard errors (two imagined flips each way) times a critical value a look."""
    at = np.array(data.looks)
    n = at + 4
    centre = data.centres * at / n
    squares = data.spreads**2 * (at - 1) + at * data.centres**2 + 4
    half = critical * np.sqrt((squares / n - centre**2) / n)
    return (centre - half, centre + half), half


def plain(data: Data) -> tuple[Interval, Floats]:
    """1.96 standard errors, without imagined flips, at each look."""
    half = 1.96 * data.spreads / np.sqrt(np.array(data.looks))
    return (data.centres - half, data.centres + half), half


def haybittle_peto(data: Data) -> tuple[Interval, Floats]:
    """slmbench's own look, called as a run calls it."""
    shape = data.centres.shape
    low, high, half = np.empty(shape), np.empty(shape), np.full(shape, np.inf)
    schedule = Schedule(data.until, data.looks[-1])
    for row, differences in enumerate(data.differences):
        pairs = [Pair(float(v), str(i)) for i, v in enumerate(differences)]
        for column, asked in enumerate(data.looks):
            looked = look(schedule, asked, pairs[:asked])
            found = looked.look
            assert found.low is not None
            assert found.high is not None
            low[row, column], high[row, column] = found.low, found.high
            if looked.enough or asked == data.looks[-1]:
                half[row, column] = (found.high - found.low) / 2
                low[row, column:], high[row, column:] = found.low, found.high
                break
    return (low, high), half


def pocock(data: Data) -> tuple[Interval, Floats]:
    """One critical value for all looks."""
    walk = _walks(data.looks)
    return _around(data, np.full(len(data.looks), np.quantile(walk.max(1), 1 - ALPHA)))


def obrien_fleming(data: Data) -> tuple[Interval, Floats]:
    """Critical values that fall with the square root of the items."""
    fraction = np.sqrt(np.array(data.looks) / data.looks[-1])
    constant = np.quantile((_walks(data.looks) * fraction).max(1), 1 - ALPHA)
    return _around(data, constant / fraction)


def _walks(looks: tuple[int, ...]) -> Floats:
    """|Z| of 200,000 random walks at the looks."""
    steps = np.diff(np.array((0, *looks)))
    normal = np.random.default_rng(1).standard_normal((200_000, len(looks)), dtype=np.float32)
    walk = (normal * np.sqrt(steps)).cumsum(1) / np.sqrt(np.array(looks))
    result: Floats = np.abs(walk)
    return result


def asymptotic(data: Data) -> tuple[Interval, Floats]:
    """Normal mixture whose width is least at a third of the items."""
    at = np.array(data.looks, dtype=float)
    log = math.log(1 / ALPHA**2)
    rho2 = (log + math.log(log + 1)) / (data.looks[-1] / 3)
    scaled = at * rho2 + 1
    factor = np.sqrt(2 * scaled / (at * rho2) * np.log(np.sqrt(scaled) / ALPHA))
    return _around(data, factor)


def empirical_bernstein(data: Data) -> tuple[Interval, Floats]:
    """Predictable plug-in, with differences moved from [-1, 1] to [0, 1] and back."""
    x = (data.differences + 1) / 2
    t = np.arange(1, x.shape[1] + 1)
    mean = (0.5 + x.cumsum(1)) / (t + 1)
    variance = (0.25 + ((x - mean) ** 2).cumsum(1)) / (t + 1)
    before = np.hstack([np.full((len(x), 1), 0.25), variance[:, :-1]])
    expected = np.hstack([np.full((len(x), 1), 0.5), mean[:, :-1]])
    rate = np.minimum(np.sqrt(2 * math.log(2 / ALPHA) / (before * t * np.log(t + 1))), 0.5)
    penalty = 4 * (x - expected) ** 2 * (-np.log1p(-rate) - rate) / 4
    weight = rate.cumsum(1)
    centre = 2 * ((rate * x).cumsum(1) / weight) - 1
    half = 2 * (math.log(2 / ALPHA) + penalty.cumsum(1)) / weight
    at = np.array(data.looks) - 1
    return (centre[:, at] - half[:, at], centre[:, at] + half[:, at]), half[:, at]


RULES: dict[str, Callable[[Data], tuple[Interval, Floats]]] = {
    "plain": plain,
    "haybittle-peto": haybittle_peto,
    "pocock": pocock,
    "obrien-fleming": obrien_fleming,
    "asymptotic cs": asymptotic,
    "empirical bernstein cs": empirical_bernstein,
}

if __name__ == "__main__":
    main()
