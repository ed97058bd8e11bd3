"""The page's section on fidelity: how far each variant moved from its parent, and the floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from slmbench.analysis.fidelity import ALL_TASKS, Fidelity, FidelityRow, MarginRow
from slmbench.analysis.measures import MEASURES
from slmbench.analysis.stability import MEANINGS
from slmbench.analysis.text_fidelity import text_distances
from slmbench.report.figures import ACCENT, Figure, blank_figure
from slmbench.report.format import NOTHING, show, show_difference, show_range
from slmbench.report.leaderboard import Column
from slmbench.spec import TaskSpec
from slmbench.store import StoredRun

COLUMNS = (
    "kld_mean", "kld_p99", "top1_agreement", "text_bpb_delta", "flips", "answers_changed",
)  # fmt: skip
"""Measures with a column of their own; flips up and down stand beneath flips."""
_ENDS = (0.05, 0.25, 0.5, 0.75, 0.95)
_COLOURS = (ACCENT, "#c4622d", "#5a7d2a", "#7a4fa0", "#9a7d0a", "#3b6fb6", "#a03b6b")

_Line = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FidelityCell:
    """One measure, ready to print."""

    text: str
    range: str
    below: str
    """n, flips up and down, and the floor."""
    tooltip: str


@dataclass(frozen=True, slots=True)
class FidelityLine:
    """One variant on one target against one parent."""

    variant: str
    parent: str
    target: str
    parent_target: str
    is_floor: bool
    cells: tuple[FidelityCell, ...]


@dataclass(frozen=True, slots=True)
class FidelityPart:
    """Everything that the section shows."""

    heads: tuple[str, ...]
    lines: tuple[FidelityLine, ...]
    figures: tuple[Figure, ...]
    suites: tuple[str, ...]
    """Suites whose answers are counted."""


def fidelity_part(measured: Fidelity) -> FidelityPart:
    """Arrange the measures: a line per variant and target, by parent, never ranked."""
    found: dict[_Line, dict[str, FidelityRow]] = {}
    suites: dict[str, None] = {}
    for row in _shown(measured.rows):
        found.setdefault(_line(row), {})[row.measure] = row
        if row.parent_run is not None:
            suites[row.run.spec.suite] = None
    kept = [m for m in COLUMNS if any(_has(rows.get(m)) for rows in found.values())]
    lines = tuple(
        FidelityLine(
            key[1], key[0], key[2], key[3], _is_floor(rows), tuple(_cell(rows, m) for m in kept)
        )
        for key, rows in sorted(found.items(), key=lambda f: (f[0][0], f[0][1] != f[0][0], f[0]))
        if any(_has(row) or row.reason for row in rows.values())
    )
    figures = (kld_figure(measured.rows), margin_figure(measured.margins))
    heads = tuple(MEASURES[m].label for m in kept)
    return FidelityPart(heads, lines, tuple(f for f in figures if f is not None), tuple(suites))


def _shown(rows: Iterable[FidelityRow]) -> list[FidelityRow]:
    """Text rows, and per suite of right and wrong answers all its tasks together."""
    rows = list(rows)
    whole = {_suite_of(r) for r in rows if r.work == ALL_TASKS}
    return [
        r
        for r in rows
        if r.parent_run is None
        or (_is_accuracy(r.run) and (r.work == ALL_TASKS or _suite_of(r) not in whole))
    ]


def _is_accuracy(run: StoredRun) -> bool:
    """Whether a run's answers are right or wrong, so that a flip has a meaning."""
    work = run.spec.work
    if not isinstance(work, TaskSpec):
        return False
    return Column(work.task, run.spec.suite, work.primary, "").is_accuracy


def _suite_of(row: FidelityRow) -> _Line:
    return (*_line(row), row.run.spec.suite)


def _line(row: FidelityRow) -> _Line:
    spec = row.run.spec
    return (
        row.parent, row.variant, spec.target.name, row.parent_target, spec.size, spec.variant.digest
    )  # fmt: skip


def _has(row: FidelityRow | None) -> bool:
    return row is not None and row.estimate.value is not None


def _is_floor(rows: Mapping[str, FidelityRow]) -> bool:
    return any(row.is_floor for row in rows.values())


def _cell(rows: Mapping[str, FidelityRow], measure: str) -> FidelityCell:
    row = rows.get(measure)
    definition = MEASURES[measure].definition
    if row is None:
        return FidelityCell(NOTHING, "", "", f"{definition}; not run")
    value = row.estimate.value
    if value is None:
        return FidelityCell("no value", "", "", row.reason or definition)
    unit, e = row.unit, row.estimate
    signed = measure == "text_bpb_delta"
    text = show_difference(value, unit) if signed else show(value, unit)
    below = [f"n {e.n:,}".replace(",", " ")]
    if measure == "flips":
        below += [f"▲{_count(rows.get('flips_up'))} ▼{_count(rows.get('flips_down'))}"]
    if row.floor is not None and row.floor.value is not None:
        below.append(f"floor {show(row.floor.value, unit)}")
    said = [definition, e.method, *(f"{flag}: {MEANINGS[flag].meaning}" for flag in row.flags)]
    return FidelityCell(
        text, show_range(value, e.low, e.high, unit), " · ".join(below),
        " · ".join(s for s in said if s),
    )  # fmt: skip


def _count(row: FidelityRow | None) -> int:
    if row is None or row.estimate.value is None:
        return 0
    return round(row.estimate.value * row.estimate.n)


def kld_figure(rows: Sequence[FidelityRow]) -> Figure | None:
    """Distribution of the divergence over tokens, a box a variant, on a logarithmic axis."""
    runs = [r for r in rows if r.measure == "kld_mean" and _has(r) and not r.is_floor]
    if not runs:
        return None
    ordered = sorted(runs, key=lambda r: (r.parent, r.variant, r.run.spec.target.name))
    names = _names(ordered)
    figure = blank_figure()
    for row, name in zip(ordered, names, strict=True):
        values = np.concatenate([np.asarray(w, dtype=float) for w in text_distances(row.run).kld])
        values = np.maximum(values, 1e-9)
        low, q1, middle, q3, high = (float(x) for x in np.quantile(values, _ENDS))
        figure.add_box(
            y=[escape(name)], orientation="h", lowerfence=[low], q1=[q1], median=[middle],
            q3=[q3], upperfence=[high], mean=[row.estimate.value], marker={"color": ACCENT},
            line={"width": 1.5}, showlegend=False,
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": "KL divergence from the parent [nats/token]"}, "type": "log"},
        yaxis={"automargin": True, "autorange": "reversed"},
        height=110 + 46 * len(ordered),
    )
    caption = (
        "Boxes: quartiles over the scored tokens; whiskers: 5 % and 95 %. Sorted by name: near "
        "the floor these distances do not order variants by quality."
    )
    return Figure("kld", "KL divergence by token", caption, (), figure.to_plotly_json())


def margin_figure(margins: Sequence[MarginRow]) -> Figure | None:
    """Share of changed answers by the parent's margin."""
    known = [m for m in margins if _is_accuracy(m.run) and len(m.groups) > 1]
    if not any(g.changed for m in known for g in m.groups):
        return None
    figure = blank_figure()
    for index, row in enumerate(sorted(known, key=lambda m: m.run.spec.variant.name)):
        spec = row.run.spec
        figure.add_scatter(
            x=[f"quarter {i}" for i in range(1, len(row.groups) + 1)],
            y=[100 * g.changed / g.items for g in row.groups],
            mode="lines+markers",
            line={"width": 2, "color": _COLOURS[index % len(_COLOURS)]},
            hovertext=[
                escape(f"{spec.variant.name} · {spec.target.name}: {g.changed} of {g.items}")
                for g in row.groups
            ],
            hoverinfo="text",
            name=escape(f"{spec.variant.name}"),
        )
    figure.update_layout(
        xaxis={"title": {"text": "items by the parent's margin, smallest first"}},
        yaxis={"title": {"text": "answers changed [%]"}, "rangemode": "tozero"},
    )
    caption = (
        "An answer changes most easily where the parent's best choice led by little. The items of "
        "each task are sorted by that lead and cut into four equal parts."
    )
    return Figure("margins", "Changed answers by margin", caption, (), figure.to_plotly_json())


def _names(rows: Sequence[FidelityRow]) -> list[str]:
    names = [r.variant for r in rows]
    return [
        f"{r.variant} · {r.run.spec.target.name}" if names.count(r.variant) > 1 else r.variant
        for r in rows
    ]
