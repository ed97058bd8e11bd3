"""The same items, disturbed; a sample is a pair of items."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

ROBUSTNESS: tuple[Metric, ...] = ()
