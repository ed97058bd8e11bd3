"""The same ladder on several architectures: what a step costs each of them."""

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
    named,
    quoted,
)
from slmbench.analysis.experiments.ladder import (
    Ladder,
    Step,
    collapse_points,
    distance_plot,
    ladder_grid,
    ladders,
    loss_plot,
    monotone,
)
from slmbench.analysis.experiments.making import making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview


def find(material: Material) -> Findings:
    """Ladders side by side, and who loses most at each step that all have."""
    found = ladders(material)
    said: list[Conclusion] = []
    for one in found:
        said += [monotone(one), *collapse_points(one)]
    said += _ranked(material, found)
    beside = contrasts(material)
    said += contrast_conclusions(material, beside)
    plots = tuple(p for p in (distance_plot(found), loss_plot(found)) if p is not None)
    return Findings(
        tuple(said),
        (
            Chapter("side-by-side", "The same step in each family", _LEAD,
                    (_side_by_side(material, found),), plots),
            Chapter("ladders", "Step by step", (),
                    tuple(ladder_grid(material, one) for one in found)),
            Chapter("contrasts", "Compared within a family", (), contrast_grids(beside)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )  # fmt: skip


_LEAD = (
    "Rows are techniques, columns families; in each cell the loss against the family's own "
    "uncompressed model. Families differ in more than their architecture: parameters, tokens that "
    "they saw and how well they were trained are in the tables below.",
)


def _technique(material: Material, step: Step) -> str:
    member = material.kept.member(step.variant)
    return step.variant if member is None else member.variant.technique


def _by_technique(material: Material, found: tuple[Ladder, ...]) -> dict[str, dict[str, Step]]:
    """Technique -> family -> step."""
    rows: dict[str, dict[str, Step]] = {}
    for ladder in found:
        for step in ladder.steps:
            rows.setdefault(_technique(material, step), {})[ladder.arm.name] = step
    return rows


def _side_by_side(material: Material, found: tuple[Ladder, ...]) -> Grid:
    columns = tuple(
        Column(f"{ladder.arm.name}: Δ {outcome.title}", f"minus {ladder.parent}, paired")
        for ladder in found
        for outcome in ladder.outcomes
    ) + tuple(
        Column(f"{ladder.arm.name}: KL divergence", "from its own parent") for ladder in found
    )
    lines = []
    for technique, steps in _by_technique(material, found).items():
        mine = [steps.get(ladder.arm.name) for ladder in found]
        losses = [
            None if step is None else step.losses[i]
            for ladder, step in zip(found, mine, strict=True)
            for i in range(len(ladder.outcomes))
        ]
        distances = [None if step is None else step.distance for step in mine]
        lines.append(Line(technique, (), (*losses, *distances)))
    return Grid("side-by-side", "Loss by technique and family", "Technique", columns, tuple(lines))


def _ranked(material: Material, found: tuple[Ladder, ...]) -> list[Conclusion]:
    """For each technique that all families have: the farthest and the nearest to its parent."""
    said = []
    for technique, steps in _by_technique(material, found).items():
        known = {name: s.distance for name, s in steps.items() if s.distance.value is not None}
        if len(known) < 2:
            continue
        most = max(known, key=lambda n: known[n].value or 0.0)
        least = min(known, key=lambda n: known[n].value or 0.0)
        near, far = known[least], known[most]
        apart = near.high is not None and far.low is not None and near.high < far.low
        tail = "" if apart else "; their intervals overlap"
        said.append(
            Conclusion(
                "differ" if apart else "not resolved",
                f"{quoted(technique)}: KL divergence is largest for {named(most)}, {{0}}, and "
                f"least for {named(least)}, {{1}}{tail}.",
                (far, near),
            )
        )
    return said
