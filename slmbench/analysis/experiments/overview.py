"""The table that every experiment has: variants down, what was measured across."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.analysis.experiments.findings import Column, Grid, Line, Number, nothing
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import cost_outcomes, quality_outcomes, value_of
from slmbench.records import Provenance


def overview(material: Material, variants: Sequence[str] = ()) -> Grid:
    """Values of every arm's variants (or of these), with size and bits."""
    outcomes = (*quality_outcomes(material), *cost_outcomes(material))
    columns = [
        Column("Size", "bytes on disk"),
        Column("Bits per weight", "effective: scales, embeddings and head included"),
        *(Column(o.title, f"suite {o.suite}", o.metric) for o in outcomes),
    ]
    lines: list[Line] = []
    for heading, names in _grouped(material, variants):
        if heading:
            lines.append(Line(heading))
        for name in names:
            cells = (
                of_disk(material, name),
                of_bits(material, name),
                *(value_of(material, o, name) for o in outcomes),
            )
            lines.append(Line(name, _below(material, name), cells))
    return Grid("outcomes", "What was measured", "Variant", tuple(columns), tuple(lines))


def of_disk(material: Material, variant: str) -> Number:
    """Size on disk."""
    size = material.size(variant)
    if size is None:
        return nothing("bytes", "it was not made")
    return Number(float(size), "bytes", provenance=Provenance.MEASURED)


def of_bits(material: Material, variant: str) -> Number:
    """Effective bits per weight."""
    bits = material.bits(variant)
    return nothing("bits", "nothing loaded it") if bits is None else Number(bits, "bits")


def _grouped(material: Material, variants: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    if variants:
        return [("", variants)]
    arms = material.experiment.arms
    if not arms:
        return [("", [m.variant.name for m in material.kept.members if m.variant.name in
                      material.rows])]  # fmt: skip
    return [(f"{arm.name} ({arm.role.replace('_', ' ')})", arm.variants) for arm in arms]


def _below(material: Material, variant: str) -> tuple[str, ...]:
    member = material.kept.member(variant)
    if member is None:
        return ("not in the models file",)
    v = member.variant
    parent = f"{v.technique} from {v.parent}" if v.parent else v.technique
    return (parent, *(("simulated kernel",) if material.is_simulated(variant) else ()))
