"""Stereotype-association probes; a sample is an item."""

from __future__ import annotations

from slmbench.metrics.associations import ASSOCIATIONS
from slmbench.metrics.bbq import BBQ
from slmbench.metrics.kinds import Metric

BIAS: tuple[Metric, ...] = (*ASSOCIATIONS, *BBQ)
