"""The value that guessing would give, for metrics whose declaration says how to compute it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from fractions import Fraction

from slmbench.metrics import METRICS
from slmbench.requests import Item

PER_ITEM = "1 / number of choices"
"""Spelling in the metrics table for "depends on the item"."""
TRUE_SHARE = "true choices / choices"
"""The same for items whose target is a JSON list of labels, 1 for each true choice."""


def chance_level(metric_name: str, items: Iterable[Item]) -> float | None:
    """Expected value of a uniform guess over these items; None where the metric has none.

    For :data:`PER_ITEM` it is the mean of 1 / (number of choices) over the items, for
    :data:`TRUE_SHARE` that of their share of true choices; anything else in the table is a
    fraction such as ``1/3``.
    """
    rule = METRICS[metric_name].chance if metric_name in METRICS else ""
    if not rule:
        return None
    if rule == TRUE_SHARE:
        labels = [label for item in items if (label := _labels(item))]
        return math.fsum(sum(n) / len(n) for n in labels) / len(labels) if labels else None
    if rule != PER_ITEM:
        return float(Fraction(rule))
    counts = [n for item in items if (n := _choices(item)) > 1]
    return math.fsum(1 / n for n in counts) / len(counts) if counts else None


def _choices(item: Item) -> int:
    return len(item.choices) or len(item.requests)


def _labels(item: Item) -> list[int]:
    """Truth of each choice; empty where the target says nothing of the kind."""
    try:
        found = json.loads(item.target)
    except ValueError:
        return []
    return found if isinstance(found, list) and set(found) <= {0, 1} else []
