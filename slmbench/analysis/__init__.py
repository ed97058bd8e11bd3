"""From sealed runs to tables: statistics, comparisons, fronts. pandas begins here."""

from slmbench.analysis.baselines import AgainstBaseline
from slmbench.analysis.calibration import Calibration
from slmbench.analysis.compare import Comparison, Delta, Refused, compare_to_parents
from slmbench.analysis.fidelity import Fidelity, FidelityRow, measure_fidelity
from slmbench.analysis.pareto import Point, front, metric_front
from slmbench.analysis.results import Results, load_results
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.stability import MEANINGS, Flag, FlagMeaning

__all__ = [
    "MEANINGS",
    "AgainstBaseline",
    "Calibration",
    "Comparison",
    "Delta",
    "Fidelity",
    "FidelityRow",
    "Flag",
    "FlagMeaning",
    "MetricRow",
    "Point",
    "Refused",
    "Results",
    "compare_to_parents",
    "front",
    "load_results",
    "measure_fidelity",
    "metric_front",
]
