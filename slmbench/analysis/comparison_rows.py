"""One difference as a row of the table of differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from slmbench.analysis.recovery import Ratio
from slmbench.analysis.stability import joined
from slmbench.records import Provenance

if TYPE_CHECKING:
    from slmbench.analysis.compare import Delta


def table_row(d: Delta) -> dict[str, object]:
    """Values by column name (``columns.COMPARISON_COLUMNS``)."""
    spec, parent, diff = d.row.run.spec, d.parent_row.run.spec, d.difference
    e, flips = d.equivalence, diff.flips
    return {
        "run_id": d.row.run.record.run_id, "parent_run_id": d.parent_row.run.record.run_id,
        "variant": d.variant, "parent": d.parent, "reference": d.reference,
        "target": spec.target.name, "parent_target": parent.target.name,
        "suite": spec.suite, "size": spec.size, "task": spec.work_name, "metric": d.metric,
        "point": d.row.point, "delta": diff.delta, "ci_low": diff.low, "ci_high": diff.high,
        "n": diff.n, "flips_up": diff.flips_up, "flips_down": diff.flips_down,
        "flip_rate": diff.flip_rate, "flip_rate_low": flips.low if flips else None,
        "flip_rate_high": flips.high if flips else None,
        "change": diff.change, "change_low": diff.change_low, "change_high": diff.change_high,
        "p": diff.p, "p_method": diff.p_method, "p_holm": d.p_holm, "mde": diff.mde,
        "rounds": diff.rounds, "sign_p": diff.sign_p,
        "noise_floor": None if d.floor is None else math.expm1(d.floor),
        "verdict": d.verdict, "verdict_reason": d.why or None, "margin": e.margin if e else None,
        "equivalent": e.equivalent if e else None, "p_equivalent": e.p if e else None,
        "n_needed": e.n_needed if e else None,
        "non_inferior": e.non_inferior if e else None, "lossless": d.lossless or None,
        **_ratio("recovered", d.recovered), **_ratio("retention", d.retention),
        "unit": d.unit or None, "direction": d.direction,
        "provenance": Provenance.DERIVED.value, "flags": joined(d.flags),
    }  # fmt: skip


def _ratio(name: str, ratio: Ratio | None) -> dict[str, object]:
    return {
        name: ratio.value if ratio else None,
        f"{name}_low": ratio.low if ratio else None,
        f"{name}_high": ratio.high if ratio else None,
        f"{name}_reason": (ratio.reason or None) if ratio else None,
    }
