"""What is declared of a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower", "none"]
Aggregate = Literal["mean", "median", "max", "sum", "single", "pooled"]
"""``pooled``: sum of the items' parts over the sum of their weights (tokens, bytes)."""
Unit = Literal["fraction", "of peak", "nats", "bits/byte", "s", "tok/s", "bytes", "J", "W",
               "Wh", "J·s", "J/token", "gCO2e", "bits", "count", "nats/char", "nats/token",
               "perplexity", "score", "req/s", "bytes/token", "ratio", "tokens"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that slmbench reports."""

    name: str
    unit: Unit
    direction: Direction
    """``none``: not to be ranked or optimised."""
    aggregate: Aggregate
    """How raw samples become the reported value."""
    label: str
    """Axis and column title, without the unit."""
    definition: str
    """Formula and source."""
    ideal: float | None = None
    """For metrics whose best value lies inside the range, e.g. 0.5."""
    chance: str = ""
    """How chance level is computed, where the metric has one."""
