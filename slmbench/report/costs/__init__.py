"""A page per kind of cost: speed, memory, energy, long contexts, load; only where runs are."""

from slmbench.report.costs.about import COSTS
from slmbench.report.costs.material import Costs, arrange
from slmbench.report.costs.page import CostPage, cost_pages

__all__ = ["COSTS", "CostPage", "Costs", "arrange", "cost_pages"]
