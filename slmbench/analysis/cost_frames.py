"""The tables about costs: what was timed, how steady, how it is distributed, against what noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from slmbench.analysis.columns import frame
from slmbench.analysis.cost_columns import COST_COLUMNS, NOISE_COLUMNS, PERCENTILE_COLUMNS
from slmbench.analysis.cost_pairs import round_medians
from slmbench.analysis.noise import NoiseRow
from slmbench.analysis.percentiles import PercentileRow
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.run_frames import ROW_VALUES, run_frame
from slmbench.analysis.stability import joined
from slmbench.spec import WorkloadSpec
from slmbench.store import StoredRun

FloorOf = Callable[[MetricRow, int], float | None]
"""Log ratio that a row's machine shows A/A in so many rounds."""
_OF_ROW = ("metric", "phase", "point", "scope", "processes", "unit", "provenance", "stability")


def percentile_frame(rows: Sequence[PercentileRow]) -> pd.DataFrame:
    """One row a percentile (``cost_columns.PERCENTILE_COLUMNS``)."""
    own: Mapping[str, Callable[[PercentileRow], object]] = {
        "percentile": lambda r: 100 * r.quantile,
        "value": lambda r: r.estimate.value,
        "ci_low": lambda r: r.estimate.low,
        "ci_high": lambda r: r.estimate.high,
        "ci_method": lambda r: r.estimate.method,
        "n": lambda r: r.estimate.n,
        "failed": lambda r: r.failed,
        "reason": lambda r: r.reason or None,
        "flags": lambda r: joined(r.flags),
    }
    shared: dict[str, Callable[[Any], object]] = {name: _of_row(name) for name in _OF_ROW}
    return run_frame(PERCENTILE_COLUMNS, rows, lambda r: r.row.run, {**shared, **own})


def _of_row(name: str) -> Callable[[PercentileRow], object]:
    return lambda r: ROW_VALUES[name](r.row)


def cost_frame(rows: Sequence[MetricRow], floor: FloorOf) -> pd.DataFrame:
    """One row a number of a timed workload (``cost_columns.COST_COLUMNS``)."""
    names = {c.name for c in COST_COLUMNS}
    own: Mapping[str, Callable[[MetricRow], object]] = {
        "rounds": lambda r: len(round_medians(r)),
        "noise_floor": lambda r: _as_change(floor(r, max(1, len(round_medians(r))))),
        "observer_cpu_share": lambda r: observer_share(r.run),
    }
    plain = {name: getter for name, getter in ROW_VALUES.items() if name in names}
    timed = [r for r in rows if isinstance(r.run.spec.work, WorkloadSpec) and r.run.spec.work.timed]
    return run_frame(COST_COLUMNS, timed, lambda r: r.run, {**plain, **own})


def observer_share(run: StoredRun) -> float | None:
    """Processor time of the supervisor over the time that the workers ran: of one core."""
    cost = run.record.observer
    return None if cost is None or cost.wall_s <= 0 else cost.supervisor_cpu_s / cost.wall_s


def noise_frame(rows: Sequence[NoiseRow]) -> pd.DataFrame:
    """One row a metric of an A/A experiment (``cost_columns.NOISE_COLUMNS``)."""
    values: dict[str, list[object]] = {c.name: [] for c in NOISE_COLUMNS}
    for row in rows:
        record = row.record
        found: dict[str, object] = {
            "metric": row.ratios.metric, "point": row.ratios.point,
            "rounds": len(row.ratios.logs), "spread": row.spread, "bias_p": row.bias_p,
            **{f"floor_{r}": _as_change(row.floor(r)) for r in (1, 5, 15)},
        }  # fmt: skip
        for name, column in values.items():
            column.append(found[name] if name in found else getattr(record, name))
    return frame(NOISE_COLUMNS, values)


def _as_change(log_ratio: float | None) -> float | None:
    return None if log_ratio is None else math.expm1(log_ratio)
