"""Beside the means of the scorer ``abstention``: rates that always abstaining cannot win."""

from __future__ import annotations

from collections.abc import Iterator

from slmbench.analysis.constructs.contrasts import ONE_KIND, of_metrics
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import MetricRow


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """``abstention_balanced`` and ``premise_balanced``, each the mean of two rates.

    Templates are the clusters: they are shared by both kinds and drawn together.
    """
    found = of_metrics(run.judged, "abstention_rate", "answer_rate_control").balanced()
    yield run.row("abstention_balanced", found, reason=_why(found.value))
    found = of_metrics(run.judged, "premise_rejected", "premise_accepted_control").balanced()
    yield run.row("premise_balanced", found, reason=_why(found.value))


def _why(value: float | None) -> str:
    return ONE_KIND if value is None else ""
