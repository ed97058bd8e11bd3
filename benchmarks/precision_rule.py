"""How honest the interval is at which timing stops: coverage and cost of the adaptive stop.

python benchmarks/precision_rule.py [--runs 4000]

Draws process medians from lognormal distributions (and one with a second mode, as a process with
bad luck in its memory layout would give), applies the rule of slmbench.precision after every
process, and counts how often the last interval holds the true geometric mean. Takes half a minute,
times nothing, ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random

from slmbench.precision import halfwidth

SPREADS = (0.005, 0.01, 0.02, 0.03, 0.05)
"""Standard deviation of a process median's logarithm."""


def draw(rng: random.Random, spread: float, *, two_modes: bool) -> float:
    """One process median, its true logarithm being 0 on average."""
    if not two_modes:
        return math.exp(rng.gauss(0.0, spread))
    slow = rng.random() < 0.2
    centre = (0.8 if slow else -0.2) * 2.5 * spread
    return math.exp(centre + rng.gauss(0.0, spread / 4))


def stop(
    rng: random.Random, spread: float, bounds: tuple[int, int, float], *, two_modes: bool
) -> tuple[int, bool, bool]:
    """Processes run, whether the interval holds the truth, and whether it became narrow enough."""
    least, most, precision = bounds
    medians = [draw(rng, spread, two_modes=two_modes) for _ in range(least)]
    while True:
        half = halfwidth(medians)
        assert half is not None
        if half <= precision or len(medians) >= most:
            centre = math.fsum(map(math.log, medians)) / len(medians)
            return len(medians), abs(centre) <= math.log1p(half), half <= precision
        medians.append(draw(rng, spread, two_modes=two_modes))


def main() -> None:
    """A table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--least", type=int, default=5)
    parser.add_argument("--most", type=int, default=15)
    parser.add_argument("--precision", type=float, default=0.02)
    asked = parser.parse_args()
    rng, rows = random.Random(1), []
    print("spread  modes  processes  holds the truth  narrow enough")
    for two_modes in (False, True):
        for spread in SPREADS:
            bounds = (asked.least, asked.most, asked.precision)
            found = [stop(rng, spread, bounds, two_modes=two_modes) for _ in range(asked.runs)]
            mean, holds, narrow = (sum(f[i] for f in found) / asked.runs for i in range(3))
            modes = 2 if two_modes else 1
            rows.append((spread, modes, mean, holds, narrow))
            print(f"{spread:6.1%}  {modes:5}  {mean:9.1f}  {holds:15.3f}  {narrow:13.3f}")
    worst = min(row[3] for row in rows if row[1] == 1)
    print(json.dumps({"worst_coverage_lognormal": worst, "runs": asked.runs}))


if __name__ == "__main__":
    main()
