"""Beside the means of the scorers that ask about a given context: ratios and areas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.contrasts import ONE_KIND, of_groups
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import MetricRow

NEITHER = "neither the context's nor the parametric answer was ever given"


def counterfactual(run: JudgedRun) -> Iterator[MetricRow]:
    """``memorization_ratio``: parametric / (parametric + context), Longpre et al. 2021."""
    context, parametric = run.judged.get("context_faithful"), run.judged.get("parametric_rate")
    pairs: list[tuple[float, float, str]] = []
    if context is not None and parametric is not None:
        columns = zip(context.values, parametric.values, context.clusters, strict=True)
        pairs = [(c, p, name) for c, p, name in columns if c is not None and p is not None]
    told = np.asarray([c for c, _, _ in pairs], dtype=np.float64)
    known = np.asarray([p for _, p, _ in pairs], dtype=np.float64)

    def ratio(rows: Rows) -> float | None:
        total = told[rows].sum() + known[rows].sum()
        return float(known[rows].sum() / total) if total > 0 else None

    found = bootstrapped(ratio, [name for _, _, name in pairs])
    yield run.row("memorization_ratio", found, reason="" if found.value is not None else NEITHER)


def unanswerable(run: JudgedRun) -> Iterator[MetricRow]:
    """``abstain_auroc`` of the scorer ``unanswerable_score``."""
    yield from _area(run, "abstain_auroc", "decline_score", "unanswerable")


def inconsistent(run: JudgedRun) -> Iterator[MetricRow]:
    """``conflict_auroc`` of the scorer ``inconsistent_context``."""
    yield from _area(run, "conflict_auroc", "conflict_score", "conflicting")


def _area(run: JudgedRun, name: str, metric: str, group: str) -> Iterator[MetricRow]:
    found = of_groups(run.judged, metric, group).auroc()
    yield run.row(name, found, reason="" if found.value is not None else ONE_KIND)
