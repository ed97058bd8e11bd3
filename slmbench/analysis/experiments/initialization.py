"""Pruned, then distilled, against trained from scratch: at equal parameters and equal tokens."""

from __future__ import annotations

from slmbench.analysis.experiments.contrasts import (
    contrast_conclusions,
    contrast_grids,
    contrasts,
)
from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Conclusion,
    Findings,
    Grid,
    Line,
    Number,
    named,
    nothing,
)
from slmbench.analysis.experiments.making import curve_plot, making_chapter, seconds_of
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview

TOLERANCE = 0.01
"""Relative difference of parameters or tokens below which the arms count as equal."""


def find(material: Material) -> Findings:
    """Equal footing, contrasts, curves and costs."""
    found = contrasts(material)
    footing, unequal = _footing(material)
    arms = material.arms("treatment", "control")
    plot = curve_plot(material, [name for arm in arms for name in arm.variants])
    return Findings(
        (*unequal, *contrast_conclusions(material, found)),
        (
            Chapter("contrasts", "The arms compared", (), (*contrast_grids(found), footing)),
            Chapter("curves", "How training went", (), (), () if plot is None else (plot,)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )


def _footing(material: Material) -> tuple[Grid, tuple[Conclusion, ...]]:
    """Parameters, tokens and time of the arms, and whether the first two are equal."""
    arms = material.arms("treatment", "control")
    lines, counts = [], []
    seen: set[str] = set()
    for arm in arms:
        for name in arm.variants:
            if name in seen:
                continue
            seen.add(name)
            parameters, tokens = material.parameters(name), _tokens(material, name)
            counts.append((arm.name, parameters, tokens))
            seconds = seconds_of(material, name)
            cells = (
                _counted(parameters, "count"),
                _counted(tokens, "tokens"),
                nothing("s", "a record is missing") if seconds is None else Number(seconds, "s"),
            )
            lines.append(Line(name, (arm.name,), cells))
    columns = (
        Column("Parameters", "a tied head once"),
        Column("Training tokens", "that a loss was taken of, all its steps together"),
        Column("Time to make", "all techniques from the root of the lineage on"),
    )
    grid = Grid("footing", "Are the arms on an equal footing?", "Variant", columns, tuple(lines))
    return grid, tuple(_unequal(counts))


def _tokens(material: Material, variant: str) -> int | None:
    trained = [material.training(m.variant.name) for m in material.lineage(variant)]
    tokens = [t.tokens for t in trained if t is not None]
    return sum(tokens) if tokens else None


def _counted(value: int | None, unit: str) -> Number:
    return nothing(unit, "not known") if value is None else Number(float(value), unit)


def _unequal(counts: list[tuple[str, int | None, int | None]]) -> list[Conclusion]:
    said = []
    for what, unit, place in (("parameters", "count", 1), ("training tokens", "tokens", 2)):
        known = [(c[0], c[place]) for c in counts if isinstance(c[place], int)]
        numbers = [(name, float(v)) for name, v in known if isinstance(v, int)]
        if len(numbers) < len(counts) or not numbers:
            why = f"Whether the arms have equal {what} is not known."
            said.append(Conclusion("cannot be said", why))
            continue
        least, most = min(numbers, key=lambda n: n[1]), max(numbers, key=lambda n: n[1])
        if most[1] > least[1] * (1 + TOLERANCE):
            said.append(
                Conclusion(
                    "unequal",
                    f"The arms do not have equal {what}: {named(least[0])} has {{0}}, "
                    f"{named(most[0])} {{1}}; the comparison mixes the two.",
                    (Number(least[1], unit), Number(most[1], unit)),
                )
            )
    return said
