"""A page per construct: hallucination, bias, privacy, robustness; only where runs are."""

from slmbench.report.constructs.assignment import ABOUT, About, construct_of
from slmbench.report.constructs.page import ConstructPage, construct_pages

__all__ = ["ABOUT", "About", "ConstructPage", "construct_of", "construct_pages"]
