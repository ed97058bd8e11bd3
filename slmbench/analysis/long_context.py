"""What long texts do to every variant: the retrieval grid, and the symptom in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from slmbench.analysis.columns import IDENTITY, Column
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.retrieval import Cell, cells, metric_of
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.run_frames import run_frame
from slmbench.store import StoredRun

Symptom = Literal["yes", "no", "unknown"]
SYMPTOM = "fails when long"
"""The flag that the derived numbers carry."""
_TELLING = ("effective_length", "position_rise")


@dataclass(frozen=True, slots=True)
class LongSequences:
    """Whether one run shows instability on long sequences, and by what."""

    run: StoredRun
    symptom: Symptom
    measure: str
    value: float | None
    reason: str


def _column(name: str, dtype: str, description: str, unit: str = "") -> Column:
    return Column(name, "=long_context", dtype, description, unit)  # type: ignore[arg-type]


GRID_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _column("metric", "string", "retrieval_correct or retrieval_choice"),
    _column("words", "Int64", "length of the text", "count"),
    _column("depth", "Int64", "per cent of the sentences before the key; null: all depths"),
    _column("tokens", "Float64", "mean tokens of the prompts", "tokens"),
    _column("value", "Float64", "share of keys found", "fraction"),
    _column("ci_low", "Float64", "lower end of the 95 % interval, Wilson", "fraction"),
    _column("ci_high", "Float64", "upper end", "fraction"),
    _column("n", "Int64", "questions that were scored", "count"),
    _column("failed", "Int64", "questions that were not", "count"),
    _column("truncated", "Int64", "of these: the text did not fit the context", "count"),
)

SYMPTOM_COLUMNS: tuple[Column, ...] = (
    *IDENTITY,
    _column("symptom", "string", "instability on long sequences: yes, no or unknown"),
    _column("measure", "string", "effective_length or position_rise"),
    _column("value", "Float64", "the measure", "of measure"),
    _column("reason", "string", "what was seen, or why nothing can be said"),
)


def grid_frame(runs: Iterable[JudgedRun]) -> pd.DataFrame:
    """Retrieval by length and depth, then by length alone (``GRID_COLUMNS``)."""
    rows: list[tuple[StoredRun, str, Cell]] = []
    for run in runs:
        if (metric := metric_of(run)) is not None:
            for by_depth in (True, False):
                rows += [(run.run, metric, cell) for cell in cells(run, by_depth=by_depth)]
    getters: Mapping[str, Callable[[Any], object]] = {
        "metric": lambda r: r[1],
        "words": lambda r: r[2].words,
        "depth": lambda r: r[2].depth,
        "tokens": lambda r: r[2].tokens,
        "value": lambda r: r[2].found.value,
        "ci_low": lambda r: r[2].found.low,
        "ci_high": lambda r: r[2].found.high,
        "n": lambda r: r[2].found.n,
        "failed": lambda r: r[2].failed,
        "truncated": lambda r: r[2].truncated,
    }
    return run_frame(GRID_COLUMNS, rows, lambda row: row[0], getters)


def symptoms(rows: Iterable[MetricRow]) -> tuple[LongSequences, ...]:
    """The telling numbers among derived rows, each with its verdict.

    ``yes``: the flag :data:`SYMPTOM` (see the constructs ``retrieval`` and ``position`` for the
    rules). ``unknown``: the number could not be made, or has no interval.
    """
    return tuple(_symptom(row) for row in rows if row.metric in _TELLING and not row.scope)


def symptom_frame(found: Iterable[LongSequences]) -> pd.DataFrame:
    """One row a run and measure (``SYMPTOM_COLUMNS``)."""
    getters: Mapping[str, Callable[[Any], object]] = {
        "symptom": lambda r: r.symptom,
        "measure": lambda r: r.measure,
        "value": lambda r: r.value,
        "reason": lambda r: r.reason,
    }
    return run_frame(SYMPTOM_COLUMNS, found, lambda row: row.run, getters)


def _symptom(row: MetricRow) -> LongSequences:
    value, low = row.estimate.value, row.estimate.low
    if SYMPTOM in row.flags:
        verdict: Symptom = "yes"
    elif value is None or low is None:
        verdict = "unknown"
    else:
        verdict = "no"
    why = [row.reason] if value is None or low is not None else [row.reason, row.estimate.method]
    return LongSequences(row.run, verdict, row.metric, value, "; ".join(filter(None, why)))
