"""Beside the means of the scorer ``self_consistency``: does agreement tell right from wrong?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from slmbench.analysis.constructs.answer_ranking import Measure, auroc_rows, coverage_row
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of, of_group
from slmbench.analysis.constructs.short_answer import CONFIDENCE
from slmbench.analysis.rows import MetricRow
from slmbench.records import Provenance

BY_A_MODEL = Measure("semantic_entropy_estimated", -1.0)
MEASURES = (
    Measure("semantic_entropy", -1.0),
    BY_A_MODEL,
    Measure("selfcheck_ngram", -1.0),
    Measure("consistency"),
    CONFIDENCE,
)


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """Coverage of the greedy answers, and the AUROCs of every measure that was kept, by group."""
    for group in groups_of(run.judged):
        judged = {name: of_group(column, group) for name, column in run.judged.items()}
        yield coverage_row(run, judged, group)
        for measure in MEASURES:
            if measure.metric in judged:
                for row in auroc_rows(run, judged, measure, group):
                    known = row.estimate.value is not None
                    estimated = measure is BY_A_MODEL and known
                    yield replace(row, provenance=Provenance.ESTIMATED) if estimated else row
