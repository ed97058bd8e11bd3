"""Adapting together against one after the other: pairs of arms, seeds paired."""

from __future__ import annotations

from slmbench.analysis.experiments.contrasts import (
    contrast_conclusions,
    contrast_grids,
    contrasts,
)
from slmbench.analysis.experiments.findings import Chapter, Conclusion, Findings, named
from slmbench.analysis.experiments.making import curve_plot, making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview

FEWEST_SEEDS = 3


def find(material: Material) -> Findings:
    """Contrasts of every pair, what was measured, curves and costs."""
    found = contrasts(material)
    arms = material.arms("treatment", "control")
    few = [a for a in arms if len(a.variants) < FEWEST_SEEDS]
    warned = tuple(
        Conclusion(
            "cannot be said",
            f"{named(a.name)} has {len(a.variants)} of at least {FEWEST_SEEDS} seeds: what "
            "another training run would change is not in its intervals.",
        )
        for a in few
    )
    trained = [n for arm in arms for n in arm.variants]
    ancestors = [m.variant.name for n in trained for m in material.lineage(n)]
    plot = curve_plot(material, list(dict.fromkeys((*trained, *ancestors))))
    return Findings(
        (*contrast_conclusions(material, found), *warned),
        (
            Chapter("contrasts", "Together against in sequence", (), contrast_grids(found)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            Chapter("curves", "How training went", (), (), () if plot is None else (plot,)),
            making_chapter(material),
        ),
    )
