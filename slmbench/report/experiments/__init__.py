"""Pages about experiments: question, conclusions, tables, what making the variants cost."""

from slmbench.report.experiments.page import ExperimentPage, experiment_pages
from slmbench.report.experiments.words import plain, spoken

__all__ = ["ExperimentPage", "experiment_pages", "plain", "spoken"]
