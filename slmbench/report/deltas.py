"""Every variant against its parent, or its base, as a matrix of variants and tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.analysis import MEANINGS, Comparison, Delta, Flag
from slmbench.analysis.pairing import BASE
from slmbench.analysis.recovery import Ratio
from slmbench.metrics import METRICS
from slmbench.report.cells import arrow
from slmbench.report.format import show, show_difference, show_p, show_range
from slmbench.report.leaderboard import ACCURACY

_TOLD = ("backend differs", "inside noise floor", "sequential", "suspect", "unscored items")
"""Flags that are told in another way."""


@dataclass(frozen=True, slots=True)
class DeltaCell:
    """One difference, ready to print."""

    delta: str
    range: str
    flips: str
    mde: str
    verdict: str
    p: str
    n: str
    lossless: str
    """The equivalence test in words."""
    recovered: str
    """Share of the parent's own loss that this step brought back."""
    kept: str
    """Share of the base's score above guessing that is left."""
    tooltip: str
    backend_differs: bool
    flags: tuple[Flag, ...] = ()
    """What makes it shaky, as it stands below a number; of timings what meters saw, for example."""
    why: str = ""
    """That it is inside the machine's noise floor."""


@dataclass(frozen=True, slots=True)
class DeltaRow:
    """One variant on one target."""

    variant: str
    parent: str
    target: str
    parent_target: str
    cells: tuple[DeltaCell | None, ...]
    """One per head; None where there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class DeltaTable:
    """The matrix with its heads."""

    heads: tuple[str, ...]
    rows: tuple[DeltaRow, ...]
    verdicts: tuple[tuple[str, int], ...]
    """How often each verdict was given (quality only)."""
    largest_mde: str
    """The weakest test of them all, for the sentence above the table."""


def base_table(comparison: Comparison) -> DeltaTable:
    """Differences from the base of the lineage, of the variants that were not made from it."""
    further = (d for d in comparison.deltas if d.parent != d.row.run.spec.variant.parent)
    return delta_table(Comparison(tuple(further), comparison.refused))


def delta_table(comparison: Comparison) -> DeltaTable:
    """Arrange the differences; columns are the tasks, then timings at each point."""
    heads: dict[tuple[bool, str, str, str], str] = {}
    lines: dict[tuple[str, ...], dict[tuple[bool, str, str, str], Delta]] = {}
    for d in comparison.deltas:
        head = _head_key(d)
        heads[head] = _head(d)
        spec, parent = d.row.run.spec, d.parent_row.run.spec
        line = (d.parent, d.variant, spec.target.name, parent.target.name, spec.size)
        lines.setdefault(line, {})[head] = d
    ordered = sorted(heads)
    rows = tuple(
        DeltaRow(key[1], key[0], key[2], key[3], tuple(delta_cell(found.get(h)) for h in ordered))
        for key, found in sorted(lines.items())
    )
    quality = [d for d in comparison.deltas if d.difference.p is not None]
    counted = Counter(d.verdict for d in quality)
    return DeltaTable(
        tuple(heads[h] for h in ordered), rows, tuple(sorted(counted.items())), _weakest(quality)
    )


def _weakest(quality: Sequence[Delta]) -> str:
    mdes = [
        d.difference.mde
        for d in quality
        if d.difference.mde is not None and METRICS[d.metric].unit == "fraction"
    ]
    return show_difference(max(mdes), "fraction").lstrip("+") if mdes else ""


def _head_key(d: Delta) -> tuple[bool, str, str, str]:
    return (d.difference.p is None, d.row.run.spec.work_name, d.metric, d.row.point)


def _head(d: Delta) -> str:
    work, label = d.row.run.spec.work_name, METRICS[d.metric].label
    name = f"{label} {d.row.point}".strip()
    if d.difference.p is not None:
        name = work if d.metric in ACCURACY else label
    return f"{name} {arrow(d.metric)}".strip()


def delta_cell(d: Delta | None) -> DeltaCell | None:
    """One difference as the page prints it; None stays None."""
    if d is None:
        return None
    diff, unit = d.difference, METRICS[d.metric].unit
    interval = ""
    if diff.low is not None and diff.high is not None:
        interval = f"{show_difference(diff.low, unit)} to {show_difference(diff.high, unit)}"
    flips = "" if diff.flips_up is None else f"▲{diff.flips_up} ▼{diff.flips_down}"
    adjusted = f", Holm-adjusted {show_p(d.p_holm)}" if d.p_holm is not None else ""
    tooltip = [f"derived; {diff.p_method}: p {show_p(diff.p)}{adjusted}"]
    tooltip += _undefined(d)
    tooltip += [f"{flag}: {MEANINGS[flag].meaning}" for flag in d.flags]
    return DeltaCell(
        show_difference(diff.delta, unit),
        interval,
        flips,
        "" if diff.mde is None else show_difference(diff.mde, unit).lstrip("+"),
        d.verdict,
        "" if d.p_holm is None else show_p(d.p_holm),
        _basis(d),
        d.lossless,
        _share(d.recovered),
        _share(d.retention) if d.reference == BASE else "",
        " · ".join(tooltip),
        "backend differs" in d.flags,
        tuple(f for f in d.flags if f not in _TOLD),
        d.why,
    )


def _basis(d: Delta) -> str:
    """What the difference rests on: items, rounds, processes or repetitions."""
    if d.difference.rounds is not None:
        return f"{d.difference.rounds} rounds"
    if d.difference.processes is not None:
        return f"{d.difference.processes} processes"
    return f"n {d.difference.n}"


def _share(ratio: Ratio | None) -> str:
    """A ratio with its interval; empty when it is undefined."""
    if ratio is None or ratio.value is None:
        return ""
    interval = show_range(ratio.value, ratio.low, ratio.high, "fraction")
    return show(ratio.value, "fraction") + (f" ({interval})" if interval else "")


def _undefined(d: Delta) -> list[str]:
    """Why a share that could be expected here is not given."""
    said = []
    if d.recovered is not None and d.recovered.value is None:
        said.append(f"recovered share: {d.recovered.reason}")
    if d.reference == BASE and d.retention is not None and d.retention.value is None:
        said.append(f"share kept: {d.retention.reason}")
    return said
