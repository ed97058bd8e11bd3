"""The page about robustness: drops and flips of every model and kind of disturbance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slmbench.analysis.constructs.robustness import Robustness
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.entries import Number
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.special import SideRow, SideTable, Special
from slmbench.report.constructs.systems import Line, by_bits
from slmbench.report.figures import Figure
from slmbench.report.format import show, show_difference, show_range
from slmbench.report.leaderboard import System
from slmbench.spec import TaskSpec

HOW = {
    "typos": "a few letters swapped, dropped or doubled",
    "case": "letters in another case",
    "synonyms": "some words replaced by others of the same meaning",
    "option_order": "the options in another order",
}
"""Kinds of disturbance in the order of the columns; swapped names are on the page about bias."""
MOST_TASKS = 4
"""Tasks that get figures; the tables have them all."""

_Cells = dict[tuple[System, str], Robustness]
_Numbers = Callable[[Robustness], Number]


def build(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    """Two tables and two figures a task."""
    found = [one for one in material.results.disturbances if one.how in HOW]
    by_task: dict[tuple[str, str], _Cells] = {}
    for one in found:
        work = one.run.spec.work
        assert isinstance(work, TaskSpec)
        cells = by_task.setdefault((one.run.spec.suite, work.task), {})
        cells[System.of(one.run), one.how] = one
    tables: list[SideTable] = []
    figures: list[Figure | None] = []
    for index, (key, cells) in enumerate(sorted(by_task.items())):
        tables += _tables(material, key, cells)
        if index < MOST_TASKS:
            figures += _figures(material, key, cells)
    left = len(by_task) - MOST_TASKS
    return Special(
        tuple(f for f in figures if f is not None),
        tuple(tables),
        (f"{left} further tasks have tables only.",) if left > 0 else (),
        tuple(one.run for one in found),
    )


def _tables(material: Material, key: tuple[str, str], cells: _Cells) -> list[SideTable]:
    suite, task = key
    kinds = [how for how in HOW if any(h == how for _, h in cells)]
    lines = [line for line in material.lines if any(s == line.system for s, _ in cells)]

    def table(what: str, title: str, note: str, number: _Numbers) -> SideTable:
        return SideTable(
            f"{suite}-{task}-{what}",
            f"{task}: {title}",
            note,
            "Variant",
            tuple((how.replace("_", " "), HOW[how]) for how in kinds),
            tuple(_row(line, kinds, cells, number) for line in lines),
        )

    return [
        table(
            "drop",
            "what is lost",
            "Score on the plain items minus the score on the disturbed ones, paired item by item: "
            "positive is a loss. Below it both scores, and how much more is lost than by the "
            "parent on the same items.",
            drop_number,
        ),
        table(
            "flips",
            "what flips",
            "Share of items whose outcome changed in either direction. Even a model that is "
            "as good on the disturbed items flips; below it the share of items whose prompt the "
            "disturbance really changed.",
            flip_number,
        ),
    ]


def _row(line: Line, kinds: Sequence[str], cells: _Cells, number: _Numbers) -> SideRow:
    mine = [cells.get((line.system, how)) for how in kinds]
    below = (line.made_from, f"{line.system.target} · {line.bits_text}".rstrip(" ·"))
    return SideRow(line.label, below, tuple(None if one is None else number(one) for one in mine))


def drop_number(one: Robustness) -> Number:
    """What is lost; below it both scores and the parent's loss."""
    told = []
    if one.plain.value is not None:
        before, after = show(one.plain.value, "fraction"), show(one.disturbed.value, "fraction")
        told.append(f"{before} → {after}")
    against = one.against
    if against is not None and against.difference.value is not None:
        e = against.difference
        ends = show_range(e.value or 0.0, e.low, e.high, "fraction")
        more = show_difference(e.value or 0.0, "fraction")
        told.append(f"against the parent’s drop {more}" + (f" ({ends})" if ends else ""))
    return Number(_cell(one, one.drop, "robustness_drop"), tuple(told))


def flip_number(one: Robustness) -> Number:
    """What flips; below it how much was changed."""
    share = one.changed_share
    told = () if share is None else (f"prompts changed {show(share, 'fraction')}",)
    return Number(_cell(one, one.flips, "perturbation_flip_rate"), told)


def _cell(one: Robustness, estimate: Estimate, metric: str) -> Cell:
    missing = estimate.value is None
    source = Provenance.UNAVAILABLE if missing else Provenance.DERIVED
    return Cell(
        one.how,
        metric,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        "fraction",
        source.value,
        one.run.record.status.value,
        (one.reason or estimate.method) if missing else "",
        "" if missing else estimate.method,
    )


def _figures(material: Material, key: tuple[str, str], cells: _Cells) -> list[Figure | None]:
    suite, task = key
    name = f"{suite}-{task}"
    lost = "Plain minus disturbed, with 95 % intervals of the paired difference: up is a loss."
    flips = (
        "Items whose outcome changed in either direction, with 95 % intervals. It can grow under "
        "compression while the score stays."
    )
    return [
        _figure(material, cells, (f"{name}-drop-figure", f"{task}: drop by compression level",
                                  lost, "score lost"), lambda one: one.drop),
        _figure(material, cells, (f"{name}-flip-figure", f"{task}: flips by compression level",
                                  flips, "items flipped"), lambda one: one.flips),
    ]  # fmt: skip


def _figure(
    material: Material,
    cells: _Cells,
    words: tuple[str, str, str, str],
    value: Callable[[Robustness], Estimate],
) -> Figure | None:
    places = categories(material.lines)
    series = [
        Series(
            how.replace("_", " "),
            tuple(
                Mark(places[line.system], value(one), f"{line.label} · {line.system.target}")
                for line in by_bits(material.lines)
                if (one := cells.get((line.system, how))) is not None
            ),
        )
        for how in HOW
    ]
    name, title, caption, axis = words
    axes = Axes(BITS, axis, "fraction", categories=tuple(places.values()))
    return draw(name, title, caption, series, axes)
