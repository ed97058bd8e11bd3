"""Part of the page about bias: answers that change when the names in a question are swapped."""

from __future__ import annotations

from slmbench.analysis.constructs.robustness import ONLY_CHANGED, Robustness
from slmbench.report.constructs.drawing import Axes, Mark, Series, categories, draw
from slmbench.report.constructs.gathering import Material
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.robustness import drop_number, flip_number
from slmbench.report.constructs.special import SideRow, SideTable, Special
from slmbench.report.constructs.systems import by_bits
from slmbench.report.figures import Figure
from slmbench.report.leaderboard import System

_Cells = dict[tuple[str, str], dict[System, Robustness]]
"""By suite and task."""
_HEADS = (
    ("answers changed", "right before and wrong now, or the reverse, of the items with names"),
    ("accuracy lost", "on the plain items minus on those with swapped names, paired"),
)


def build(material: Material) -> Special:
    """A table over all tasks whose names were swapped, and a figure; nothing without any."""
    found: _Cells = {}
    for one in material.results.disturbances:
        if one.how in ONLY_CHANGED:
            spec = one.run.spec
            key = (spec.suite, spec.work_name)
            found.setdefault(key, {})[System.of(one.run)] = one
    if not found:
        return Special()
    figure = _figure(material, found)
    runs = tuple(one.run for cells in found.values() for one in cells.values())
    return Special((figure,) if figure else (), (_table(material, found),), runs=runs)


def _table(material: Material, found: _Cells) -> SideTable:
    rows: list[SideRow] = []
    for (_, task), cells in sorted(found.items()):
        rows.append(SideRow(task))
        rows += [
            SideRow(
                line.label,
                (line.made_from, line.bits_text),
                (flip_number(one), drop_number(one)),
            )
            for line in material.lines
            if (one := cells.get(line.system)) is not None
        ]
    return SideTable(
        "swapped-names",
        "Answers that change when the names are swapped",
        "The same questions and choices with the first names of a usual gender replaced by names "
        "of the other one, and pronouns and words such as aunt with them. The right answer stays "
        "where it is, so a model that answers by what happens changes nothing. Only items that "
        "hold such a name count. A change has no direction here: any other name may tip an answer "
        "that was near a tie, whatever the gender.",
        "Variant",
        _HEADS,
        tuple(rows),
    )


def _figure(material: Material, found: _Cells) -> Figure | None:
    places = categories(material.lines)
    series = [
        Series(
            task,
            tuple(
                Mark(places[line.system], cells[line.system].flips, line.label)
                for line in by_bits(material.lines)
                if line.system in cells and line.system in places
            ),
        )
        for (_, task), cells in sorted(found.items())
    ]
    return draw(
        "swapped-names-figure",
        "Answers that change when the names are swapped",
        "Share of the items with names whose outcome changed, with 95 % intervals.",
        series,
        Axes(BITS, "answers changed", "fraction", categories=tuple(places.values())),
    )
