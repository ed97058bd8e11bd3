"""slmbench: measure every lifecycle variant of a small language model, on quality and cost.

>>> import slmbench
>>> results = slmbench.load_results("results")      # doctest: +SKIP
>>> results.metrics().query("metric == 'acc_norm'")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from slmbench.analysis import Results, load_results
    from slmbench.api import compare, plan_suites, report, run_suites
    from slmbench.errors import SlmbenchError

_LAZY = {
    "Results": "slmbench.analysis",
    "SlmbenchError": "slmbench.errors",
    "compare": "slmbench.api",
    "load_results": "slmbench.analysis",
    "plan_suites": "slmbench.api",
    "report": "slmbench.api",
    "run_suites": "slmbench.api",
}

__all__ = [
    "Results",
    "SlmbenchError",
    "__version__",
    "compare",
    "load_results",
    "plan_suites",
    "report",
    "run_suites",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that ``import slmbench`` costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'slmbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
