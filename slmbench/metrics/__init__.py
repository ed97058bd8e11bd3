"""The table of metrics: name, unit, direction, aggregate and label, declared once.

Plots, tables, Pareto fronts and the CLI read units and directions here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from slmbench.errors import UnknownNameError
from slmbench.metrics.bias import BIAS
from slmbench.metrics.calibration import CALIBRATION
from slmbench.metrics.cost import COST
from slmbench.metrics.energy import ENERGY
from slmbench.metrics.hallucination import HALLUCINATION
from slmbench.metrics.kinds import Aggregate, Direction, Metric, Unit
from slmbench.metrics.latency import LATENCY
from slmbench.metrics.memory import MEMORY
from slmbench.metrics.privacy import PRIVACY
from slmbench.metrics.quality import QUALITY
from slmbench.metrics.robustness import ROBUSTNESS
from slmbench.metrics.roofline import ROOFLINE
from slmbench.metrics.scaling import SCALING
from slmbench.metrics.serving import SERVING
from slmbench.metrics.text import TEXT

__all__ = ["METRICS", "Aggregate", "Direction", "Metric", "Unit", "better", "metric"]

_TABLE = (
    *QUALITY, *HALLUCINATION, *BIAS, *PRIVACY, *ROBUSTNESS, *CALIBRATION, *TEXT, *COST,
    *ENERGY, *LATENCY, *MEMORY, *ROOFLINE, *SCALING, *SERVING,
)  # fmt: skip

METRICS: Mapping[str, Metric] = {m.name: m for m in _TABLE}
if len(METRICS) != len(_TABLE):  # pragma: no cover - a typing slip in the table above
    raise AssertionError("a metric is declared twice")


def metric(name: str) -> Metric:
    """The metric of that name; raises UnknownNameError with a suggestion."""
    try:
        return METRICS[name]
    except KeyError:
        raise UnknownNameError("metric", name, METRICS) from None


def better(name: str, left: float, right: float) -> bool:
    """Whether ``left`` is strictly better than ``right`` (False for unranked metrics).

    >>> better("acc", 0.6, 0.5), better("ttft", 0.6, 0.5)
    (True, False)
    """
    direction = metric(name).direction
    if direction == "none":
        return False
    return left > right if direction == "higher" else left < right
