"""The quantization ladder: what each step costs in quality and saves in size, time and memory."""

from __future__ import annotations

from slmbench.analysis.experiments.contrasts import (
    contrast_conclusions,
    contrast_grids,
    contrasts,
    size_of,
)
from slmbench.analysis.experiments.findings import Chapter, Conclusion, Findings, named, quoted
from slmbench.analysis.experiments.ladder import (
    Ladder,
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
    """Every ladder with its order, its collapse point, and the steps that lose something.

    Arms with a control are compared too: two ways to the same bits.
    """
    found = ladders(material)
    said: list[Conclusion] = []
    for ladder in found:
        said += [monotone(ladder), *collapse_points(ladder), *_losses(ladder)]
    beside = contrasts(material)
    said += contrast_conclusions(material, beside)
    plots = tuple(p for p in (distance_plot(found), loss_plot(found)) if p is not None)
    grids = tuple(ladder_grid(material, ladder) for ladder in found)
    return Findings(
        tuple(said),
        (
            Chapter("ladder", "Step by step", _LEAD, grids, plots),
            Chapter("contrasts", "At equal bits", (), contrast_grids(beside)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )


_LEAD = (
    "Steps in the order of their effective bits per weight, which count everything that is stored. "
    "Differences are paired with the parent on the same items. Steps whose compression is "
    "simulated in dense arithmetic have no speed, memory or energy of their own.",
)


def _losses(ladder: Ladder) -> list[Conclusion]:
    """Of each outcome the first step that is resolved to be worse, or that none is."""
    said = []
    for place, outcome in enumerate(ladder.outcomes):
        worse = [s for s in ladder.steps if s.losses[place].verdict == "worse"]
        name, title = named(ladder.arm.name), quoted(outcome.title)
        if worse:
            first = worse[0]
            said.append(
                Conclusion(
                    "worse",
                    f"{name}: the first step down that is worse than {quoted(ladder.parent)} in "
                    f"{title} is {quoted(first.variant)}, by {{0}}.",
                    (size_of(first.losses[place]),),
                )
            )
        elif any(s.losses[place].value is not None for s in ladder.steps):
            said.append(
                Conclusion(
                    "not resolved",
                    f"{name}: no step is resolved to be worse than {quoted(ladder.parent)} in "
                    f"{title}; that does not mean that nothing is lost.",
                )
            )
    return said
