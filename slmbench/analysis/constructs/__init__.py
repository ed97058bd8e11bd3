"""What one construct (hallucination, bias, privacy, robustness) says beyond means over items.

Means of what scorers write are made elsewhere, for every metric alike. Here are the numbers that
are no mean: ratios, differences between conditions, areas under curves, by group. One module a
scorer; it gets a :class:`JudgedRun` and gives metric rows whose ``scope`` is the group ("" is all
items).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import MetricRow
from slmbench.registry import Registry

Derive = Callable[[JudgedRun], Iterable[MetricRow]]

CONSTRUCTS: Registry[Derive] = Registry("construct", "slmbench.constructs", {})
"""Scorer name -> what derives numbers from its rows; scorers that need none are not listed."""


def derived(run: JudgedRun) -> tuple[MetricRow, ...]:
    """All derived numbers of one run; none where its scorer has no construct."""
    if run.scorer not in CONSTRUCTS.targets():
        return ()
    return tuple(CONSTRUCTS.load(run.scorer)(run))
