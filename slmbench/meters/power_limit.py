"""Whether a power that was read can be true: no part draws more than its limit for long."""

from __future__ import annotations

from slmbench.records import Observation

SLACK = 1.1
"""Limits are kept on average; a tenth above one is no longer its control loop."""
LEAST_S = 2.0
"""Turbo may exceed the long-term limit for a moment: shorter windows are not judged."""


def over_limit(
    scope: str, joules: float, seconds: float, limit_w: float | None
) -> Observation | None:
    """A warning when the mean power of a window lies above the part's own limit (gate G9).

    >>> over_limit("cpu package 0", 100.0, 10.0, 65.0) is None
    True
    >>> over_limit("cpu package 0", 1000.0, 10.0, 65.0).value
    100.0
    """
    if limit_w is None or limit_w <= 0 or seconds < LEAST_S:
        return None
    watts = joules / seconds
    if watts <= SLACK * limit_w:
        return None
    return Observation(
        kind="power_over_limit",
        value=watts,
        unit="W",
        message=f"{scope}: {watts:.0f} W on average, above its limit of {limit_w:.0f} W: "
        "the counter or its unit is wrong",
    )
