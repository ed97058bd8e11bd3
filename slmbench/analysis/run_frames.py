"""From rows that belong to runs to tables: what a run says is looked up by the columns' paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from slmbench.analysis.baselines import AgainstBaseline
from slmbench.analysis.columns import Column, frame
from slmbench.analysis.constructs.robustness import Robustness
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.stability import joined
from slmbench.metrics import METRICS
from slmbench.store import StoredRun


def walk(run: StoredRun, path: str) -> object:
    """Value of a stored column's path; None where an optional part of it is absent."""
    if path == "=run_frames.phase_seconds":
        return sum(p.duration_ns for p in run.record.phases) / 1e9
    if path == "=run_frames.straddles":
        return run.straddles()
    value: object = run
    for name in path.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return value if value is None or isinstance(value, (int, float)) else str(value)


ROW_VALUES: Mapping[str, Callable[[MetricRow], object]] = {
    "metric": lambda r: r.metric,
    "primary": lambda r: r.primary,
    "phase": lambda r: r.phase,
    "point": lambda r: r.point,
    "scope": lambda r: r.scope,
    "value": lambda r: r.estimate.value,
    "ci_low": lambda r: r.estimate.low,
    "ci_high": lambda r: r.estimate.high,
    "se": lambda r: r.estimate.se,
    "ci_method": lambda r: r.estimate.method,
    "n": lambda r: r.estimate.n,
    "processes": lambda r: r.processes,
    "n_failed": lambda r: r.n_failed,
    "chance": lambda r: r.chance,
    "unit": lambda r: r.unit or None,
    "direction": lambda r: r.direction,
    "provenance": lambda r: r.provenance.value,
    "method": lambda r: r.method or None,
    "reason": lambda r: r.reason,
    "flags": lambda r: joined(r.flags),
    "stability": lambda r: r.steadiness.word if r.steadiness else None,
    "stability_reason": lambda r: r.steadiness.reason if r.steadiness else None,
}


BASELINE_VALUES: Mapping[str, Callable[[AgainstBaseline], object]] = {
    "metric": lambda r: r.metric,
    "baseline": lambda r: r.baseline.shortcut,
    "value": lambda r: r.baseline.estimate.value,
    "ci_low": lambda r: r.baseline.estimate.low,
    "ci_high": lambda r: r.baseline.estimate.high,
    "n": lambda r: r.baseline.estimate.n,
    "chance": lambda r: r.chance,
    "score": lambda r: r.score.value,
    "delta": lambda r: r.difference.delta if r.difference else None,
    "delta_low": lambda r: r.difference.low if r.difference else None,
    "delta_high": lambda r: r.difference.high if r.difference else None,
    "told": lambda r: r.told,
    "unit": lambda _: METRICS["acc"].unit,
    "provenance": lambda r: r.baseline.provenance.value,
    "reason": lambda r: r.baseline.estimate.method if r.baseline.estimate.value is None else None,
}

ROBUSTNESS_VALUES: Mapping[str, Callable[[Robustness], object]] = {
    "perturbation": lambda r: r.how,
    "metric": lambda r: r.metric,
    "n": lambda r: r.difference.n if r.difference else 0,
    "excluded": lambda r: r.difference.excluded if r.difference else None,
    "changed": lambda r: r.changed_share,
    "plain": lambda r: r.plain.value,
    "disturbed": lambda r: r.disturbed.value,
    "disturbed_low": lambda r: r.disturbed.low,
    "disturbed_high": lambda r: r.disturbed.high,
    "drop": lambda r: r.drop.value,
    "drop_low": lambda r: r.drop.low,
    "drop_high": lambda r: r.drop.high,
    "flip_rate": lambda r: r.flips.value,
    "flip_rate_low": lambda r: r.flips.low,
    "flip_rate_high": lambda r: r.flips.high,
    "flips_down": lambda r: r.difference.flips_down if r.difference else None,
    "flips_up": lambda r: r.difference.flips_up if r.difference else None,
    "parent_drop": lambda r: r.against.drop if r.against else None,
    "drop_delta": lambda r: r.against.difference.value if r.against else None,
    "drop_delta_low": lambda r: r.against.difference.low if r.against else None,
    "drop_delta_high": lambda r: r.against.difference.high if r.against else None,
    "drop_delta_n": lambda r: r.against.difference.n if r.against else None,
    "unit": lambda r: METRICS[r.metric].unit if r.metric in METRICS else None,
    "plain_run_id": lambda r: r.plain_run.record.run_id if r.plain_run else None,
    "parent_run_id": lambda r: _run_id(r.against.parent) if r.against else None,
    "reason": lambda r: r.reason or None,
    "parent_reason": lambda r: (r.against.reason or None) if r.against else None,
}


def _run_id(run: StoredRun | None) -> str | None:
    return None if run is None else run.record.run_id


def run_frame(
    columns: tuple[Column, ...],
    rows: Iterable[Any],
    run_of: Callable[[Any], StoredRun],
    getters: Mapping[str, Callable[[Any], object]],
) -> pd.DataFrame:
    """Rows that belong to runs as a table; what a run says is looked up once per run."""
    stored = [c for c in columns if c.name not in getters]
    known: dict[Path, dict[str, object]] = {}
    values: dict[str, list[object]] = {c.name: [] for c in columns}
    for row in rows:
        run = run_of(row)
        if run.folder not in known:
            known[run.folder] = {c.name: walk(run, c.path) for c in stored}
        for name, value in known[run.folder].items():
            values[name].append(value)
        for name, getter in getters.items():
            values[name].append(getter(row))
    return frame(columns, values)
