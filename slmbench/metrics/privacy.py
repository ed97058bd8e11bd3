"""Memorisation of planted text; a sample is a canary or a document."""

from __future__ import annotations

from slmbench.metrics.kinds import Metric

PRIVACY: tuple[Metric, ...] = ()
