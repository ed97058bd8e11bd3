"""Which variant to ship: the cheapest that loses nothing beyond a margin and keeps the limits."""

from __future__ import annotations

from slmbench.analysis.experiments.findings import Chapter, Findings
from slmbench.analysis.experiments.making import making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview


def find(material: Material) -> Findings:
    """The ranked variants with what ruled the others out."""
    return Findings(
        (),
        (
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )
