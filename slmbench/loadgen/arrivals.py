"""When requests of an open loop are due: drawn before the first is sent, whatever comes back."""

from __future__ import annotations

import random
from itertools import accumulate

from slmbench.spec import Load


def arrivals(load: Load, seed: str) -> tuple[float, ...] | None:
    """Offsets of all requests from the start [s], or None for closed loops.

    Poisson: exponential gaps of mean 1 / rate, the first request at 0; constant: equal gaps;
    offline: all at 0. The same seed draws the same times.

    >>> arrivals(Load(scenario="constant", requests=3, rate=2), "s")
    (0.0, 0.5, 1.0)
    """
    if load.scenario == "offline":
        return (0.0,) * load.requests
    if load.scenario in ("closed", "single_stream"):
        return None
    assert load.rate is not None
    if load.scenario == "constant":
        return tuple(i / load.rate for i in range(load.requests))
    rng = random.Random(f"arrivals:{seed}:{load.rate!r}")  # noqa: S311 - not cryptographic
    gaps = (rng.expovariate(load.rate) for _ in range(load.requests - 1))
    return tuple(accumulate(gaps, initial=0.0))


def users(load: Load) -> int:
    """Users of a closed loop."""
    return load.concurrency or 1
