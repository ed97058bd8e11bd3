"""Builders for the pages of constructs: items of a scorer, pages of a store, seeded coins."""

from __future__ import annotations

import random
from pathlib import Path

import builders as b
from slmbench.analysis import load_results
from slmbench.report.constructs import ConstructPage
from slmbench.report.page import make_page
from slmbench.requests import ItemSet

ROOT = b.variant("m-root")
SMALL = b.variant("m-q4", parent="m-root", technique="q4")
TINY = b.variant("m-q2", parent="m-root", technique="q2")


def judged_by(scorer: str, items: ItemSet, groups: tuple[str, ...] = ()) -> ItemSet:
    """The set for another scorer, its items in these groups by turns."""
    named = tuple(
        item.model_copy(update={"group": groups[i % len(groups)] if groups else ""})
        for i, item in enumerate(items.items)
    )
    return items.model_copy(update={"scorer": scorer, "items": named})


def pages(root: Path) -> dict[str, ConstructPage]:
    """The construct pages about a store, by construct."""
    return {page.about.name: page for page in make_page(load_results(root), "t").constructs}


def coins(seed: str, n: int, p: float) -> list[float | None]:
    """Seeded zeros and ones."""
    draw = random.Random(seed)
    return [float(draw.random() < p) for _ in range(n)]
