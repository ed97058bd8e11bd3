"""The page about stereotype-association probes: what flipped under compression, and which way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slmbench.analysis.constructs.bias_flips import BiasFlips, Moves
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance
from slmbench.report.cells import Cell
from slmbench.report.constructs import names
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.entries import Number
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.special import SideRow, SideTable, Special
from slmbench.report.constructs.systems import Line
from slmbench.report.figures import Figure
from slmbench.report.format import show, show_difference, show_range
from slmbench.report.leaderboard import System

COLUMNS: tuple[tuple[str, str], ...] = (
    ("flips", "another direction than the parent’s answer"),
    ("to stereotype", "consistent with the stereotype now, and not in the parent"),
    ("from stereotype", "consistent with the stereotype in the parent, and not now"),
    ("to neither", "unknown, unrelated or a tie now, one of the two directions in the parent"),
    ("from neither", "one of the two directions now, unknown, unrelated or a tie in the parent"),
    ("net change", "change of the stereotype-consistent share in percentage points, paired"),
    ("neither, change", "change of the share of unknown, unrelated or tied answers, paired"),
)
MOST_GROUPS = 40

_Key = tuple[str, str]
_Rows = Mapping[tuple[System, str], BiasFlips]


def build(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    """A figure and a table over all probes, a table by group for each, and swapped names."""
    swapped = names.build(material)
    probes = _probes(material, tasks)
    return Special(
        (*probes.figures, *swapped.figures),
        (*probes.tables, *swapped.tables),
        probes.notes,
        swapped.runs,
    )


def _probes(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    found: dict[_Key, dict[tuple[System, str], BiasFlips]] = {}
    wanted = {run.folder for task in tasks for run in task.runs.values()}
    for one in material.results.flips if tasks else ():
        if one.run.folder in wanted:
            spec = one.run.spec
            mine = found.setdefault((spec.suite, spec.work_name), {})
            mine[System.of(one.run), one.group] = one
    known = [task for task in tasks if (task.suite, task.task) in found]
    if not known and not tasks:
        return Special()
    if not known:
        return Special(notes=("No probe here has results of a variant and of its parent.",))
    ordered = [((t.suite, t.task), found[t.suite, t.task]) for t in known]
    tables = [_all(material, ordered)]
    tables += [t for key, rows in ordered if (t := _groups(material, key, rows)) is not None]
    figures = [
        _figure(material, ordered, "flips", "Answers that flipped against the parent"),
        _figure(material, ordered, "net", "Net change towards the stereotype"),
    ]
    return Special(tuple(f for f in figures if f is not None), tuple(tables))


def _all(material: Material, ordered: Sequence[tuple[_Key, _Rows]]) -> SideTable:
    rows = []
    for key, mine in ordered:
        rows.append(SideRow(key[1]))
        rows += [
            SideRow(line.label, (line.made_from, line.bits_text, _floor(one)), _numbers(one))
            for line in material.lines
            if (one := mine.get((line.system, ""))) is not None
        ]
    return SideTable(
        "flips",
        "Bias flips against the parent",
        "The same items, answered by the parent and by the variant: answers that are consistent "
        "with the stereotype, against it, or neither. A total can stand still while many answers "
        "move in both directions. A flip is no damage in itself, and a model also flips against "
        "itself: where that floor was measured (slmbench doctor --gates) it stands beside. "
        "Intervals over templates or terms.",
        "Variant",
        COLUMNS,
        tuple(rows),
    )


def _floor(one: BiasFlips) -> str:
    if one.floor is None:
        return ""
    inside = "within" if one.within_floor else "above"
    return f"{inside} the parent’s own {show(one.floor, 'fraction')}"


def _numbers(one: BiasFlips) -> tuple[Number | None, ...]:
    moves = one.moves
    if moves is None:
        return (Number(_cell(one, Estimate(None, 0, method="no value"))), *[None] * 6)
    both = (
        f"{_share(moves.anti_to_stereotype)} from the opposite",
        f"{_share(moves.stereotype_to_anti)} to the opposite",
    )
    return (
        Number(_cell(one, moves.flips)),
        Number(_cell(one, moves.to_stereotype), both[:1]),
        Number(_cell(one, moves.from_stereotype), both[1:]),
        Number(_cell(one, moves.to_neither)),
        Number(_cell(one, moves.from_neither)),
        Number(_points(one, moves.net), (f"{_share(moves.parent_rate)} → {_share(moves.rate)}",)),
        Number(_points(one, moves.neither_delta)),
    )


def _share(estimate: Estimate) -> str:
    return show(estimate.value, "fraction")


def _cell(one: BiasFlips, e: Estimate, unit: str = "fraction") -> Cell:
    missing = e.value is None
    return Cell(
        "flips",
        "bias_direction",
        e.value,
        e.low,
        e.high,
        e.n,
        unit,
        (Provenance.UNAVAILABLE if missing else Provenance.DERIVED).value,
        reason=one.reason if missing else "",
        detail="" if missing else f"{e.method}; {one.clusters} clusters",
        flags=one.flags,
    )


def _points(one: BiasFlips, e: Estimate) -> Cell:
    """A change of a share in percentage points."""
    value, low, high = (None if v is None else 100 * v for v in (e.value, e.low, e.high))
    return _cell(one, Estimate(value, e.n, low, high, None, e.method), "pp")


def _groups(material: Material, key: _Key, rows: _Rows) -> SideTable | None:
    """Groups down, variants across; None for probes without groups."""
    groups = sorted({group for _, group in rows if group})
    lines = [line for line in material.lines if (line.system, "") in rows]
    if not 1 < len(groups) <= MOST_GROUPS:
        return None
    return SideTable(
        f"flips-{key[0]}-{key[1]}",
        f"{key[1]}: flips by group",
        "Share of the group’s answers that flipped; below it the shares that moved towards the "
        "stereotype (▲) and away from it (▼) and the net change. Among many groups some differ "
        "by chance.",
        "Group",
        tuple((line.short, line.label) for line in lines),
        tuple(
            SideRow(group, (), tuple(_group(rows.get((line.system, group))) for line in lines))
            for group in groups
        ),
        folded=True,
    )


def _group(one: BiasFlips | None) -> Number | None:
    if one is None:
        return None
    moves = one.moves
    if moves is None:
        return Number(_cell(one, Estimate(None, 0, method="no value")))
    net, ends = moves.net, ""
    if net.low is not None:
        ends = f" ({show_range(net.value or 0.0, net.low, net.high, 'fraction')})"
    return Number(
        _cell(one, moves.flips),
        (
            f"▲{_share(moves.to_stereotype)} ▼{_share(moves.from_stereotype)}",
            f"net {show_difference(net.value or 0.0, 'fraction')}{ends}",
        ),
    )


def _figure(
    material: Material, ordered: Sequence[tuple[_Key, _Rows]], what: str, title: str
) -> Figure | None:
    places = categories(material.lines)
    series = [
        Series(
            key[1],
            tuple(
                Mark(places[line.system], _value(one.moves, what), _told(line))
                for line in material.lines
                if line.system in places
                and (one := rows.get((line.system, ""))) is not None
                and one.moves is not None
            ),
        )
        for key, rows in ordered
    ]
    captions = {
        "flips": "Share of answers whose direction differs from the parent’s, with 95 % "
        "intervals; one series a probe, never added up.",
        "net": "Change of the stereotype-consistent share against the parent, paired, with "
        "95 % intervals. Near 0 with many flips: the moves cancel.",
    }
    axis = {"flips": "answers flipped", "net": "net change of the share"}[what]
    axes = Axes(
        BITS, axis, "fraction", categories=tuple(places.values()), from_zero=what == "flips",
        level=0.0 if what == "net" else None,
    )  # fmt: skip
    return draw(f"bias-{what}", title, captions[what], series, axes)


def _value(moves: Moves, what: str) -> Estimate:
    return moves.flips if what == "flips" else moves.net


def _told(line: Line) -> str:
    return f"{line.label} · {line.system.target}, {line.made_from}"
