"""Keys found in long texts: by length and depth, and the length up to which a model is of use.

The effective length is the longest T such that at every tested length up to T the share of keys
found is at least :data:`KEPT` times that of the shortest texts, both above chance:
(p - g) / (1 - g) with g = 0 for answers in words and 1/4 for choices. RULER (arXiv 2404.06654)
takes a fixed threshold, another model's score at 4k; a small model would never reach it, so the
threshold is relative to the model's own short texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from slmbench.analysis.chance import chance_level
from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.constructs.groups import group_means
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.statistics import Estimate, mean_estimate

KEPT = 0.85
"""Share of the shortest texts' score, above chance, that a length must keep."""
USABLE = 0.2
"""Least share of the shortest texts, above chance, that lengths can be compared with."""
LOST = 0.1
"""A length counts as measured while no more of its items than this failed otherwise."""
METRICS = ("retrieval_correct", "retrieval_choice")
TRUNCATED = "truncated_context"


@dataclass(frozen=True, slots=True)
class Cell:
    """Questions about texts of one length, or of one length and depth."""

    words: int
    depth: int | None
    """Per cent of the sentences before the key; None: all depths."""
    tokens: float | None
    """Mean tokens of the prompts that fitted."""
    found: Estimate
    """Share of keys found, Wilson interval."""
    failed: int
    """Questions that could not be scored."""
    truncated: int
    """Those of them whose text did not fit the context."""

    @property
    def measured(self) -> bool:
        """Whether the share stands for this length: no text was too long, few answers failed."""
        asked = self.found.n + self.failed
        return not self.truncated and self.found.n > 0 and self.failed <= LOST * asked


def metric_of(run: JudgedRun) -> str | None:
    """Which form the questions had; None when nothing was judged."""
    return next((m for m in METRICS if m in run.judged), None)


def cells(run: JudgedRun, *, by_depth: bool) -> tuple[Cell, ...]:
    """The grid, shortest first; one cell a length, or one a length and depth."""
    metric = metric_of(run)
    if metric is None:
        return ()
    column, tokens = run.judged[metric], run.judged.get("context_tokens")
    places = _places(run)
    keys: dict[tuple[int, int | None], list[int]] = {}
    for i, item in enumerate(column.items):
        if (place := places.get(item)) is not None:
            keys.setdefault((place[0], place[1] if by_depth else None), []).append(i)
    ordered = sorted(keys.items(), key=lambda x: (x[0][0], x[0][1] or 0))
    return tuple(_cell(key, rows, column, tokens) for key, rows in ordered)


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """Every cell and length (by ``scope``), and ``effective_length``."""
    metric = metric_of(run)
    if metric is None:
        return
    yield from group_means(run, (metric, "context_tokens"))
    lengths = cells(run, by_depth=False)
    for cell in lengths:
        why = "" if cell.found.n else _why_not(cell)
        yield run.row(metric, cell.found, f"{cell.words} words", why)
    yield _effective(run, metric, lengths)


def effective_index(shares: Sequence[float], chance: float) -> int | None:
    """Place of the effective length; None when the shortest texts are no better than chance.

    >>> effective_index([0.9, 0.8, 0.5, 0.9], 0.0), effective_index([0.2, 0.9], 0.25)
    (1, None)
    """
    above = [(share - chance) / (1 - chance) for share in shares]
    if not above or above[0] <= 0:
        return None
    kept = 0
    while kept + 1 < len(above) and above[kept + 1] >= KEPT * above[0] - 1e-12:
        kept += 1
    return kept


def _places(run: JudgedRun) -> dict[str, tuple[int, int]]:
    """Words and depth of every item, from its target."""
    found = {}
    for item in run.items.items:
        try:
            labels = json.loads(item.target)
            found[item.item_id] = (int(labels["words"]), int(labels["depth"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _cell(
    key: tuple[int, int | None], rows: Sequence[int], column: Judged, tokens: Judged | None
) -> Cell:
    kept = [i for i in rows if column.values[i] is not None]
    values = [v for i in kept if (v := column.values[i]) is not None]
    lengths = [] if tokens is None else [v for i in kept if (v := tokens.values[i]) is not None]
    return Cell(
        words=key[0],
        depth=key[1],
        tokens=math.fsum(lengths) / len(lengths) if lengths else None,
        found=mean_estimate(values, [column.clusters[i] for i in kept], bounded=True),
        failed=len(rows) - len(kept),
        truncated=sum(column.failures[i] == TRUNCATED for i in rows),
    )


def _effective(run: JudgedRun, metric: str, lengths: Sequence[Cell]) -> MetricRow:
    nothing = Estimate(None, 0, method="no value")
    usable = [c for c in lengths if c.measured]
    left_out = "; ".join(_why_not(c) for c in lengths if not c.measured)
    if len(usable) < 2:
        why = left_out or "texts of one length only"
        return run.row("effective_length", nothing, reason=why)
    chance = chance_level(metric, run.items.items) or 0.0
    shortest = usable[0].found
    level = 0.0 if shortest.value is None else (shortest.value - chance) / (1 - chance)
    if level < USABLE or shortest.low is None or shortest.low <= chance:
        why = f"even of {usable[0].words} words the key is found too rarely ({shortest.value:.2f}"
        why += f", chance {chance:g})"
        return run.row("effective_length", nothing, reason=why)
    estimate = _interval(run, metric, usable, chance)
    told = f"{KEPT:g} of the share at {usable[0].words} words ({shortest.value:.2f})"
    told += f", chance {chance:g}" if chance else ""
    row = run.row("effective_length", estimate, reason=f"{told}; {left_out}".rstrip("; "))
    longest = usable[-1].tokens
    falls = estimate.high is not None and longest is not None and estimate.high < longest
    return replace(row, flags=("fails when long",)) if falls else row


def _interval(run: JudgedRun, metric: str, usable: Sequence[Cell], chance: float) -> Estimate:
    """Bootstrap over questions: lengths are few, so the ends are lengths that were tested."""
    column, places = run.judged[metric], _places(run)
    order = {cell.words: i for i, cell in enumerate(usable)}
    tokens = [cell.tokens or 0.0 for cell in usable]
    kept = [
        (value, order[places[item][0]], cluster)
        for item, value, cluster in zip(column.items, column.values, column.clusters, strict=True)
        if value is not None and item in places and places[item][0] in order
    ]
    values = np.asarray([v for v, _, _ in kept], dtype=np.float64)
    which = np.asarray([k for _, k, _ in kept], dtype=np.intp)

    def length(rows: Rows) -> float | None:
        counts = np.bincount(which[rows], minlength=len(usable))
        if not counts.all():
            return None
        sums = np.bincount(which[rows], weights=values[rows], minlength=len(usable))
        index = effective_index([float(x) for x in sums / counts], chance)
        return None if index is None else tokens[index]

    return bootstrapped(length, [cluster for _, _, cluster in kept])


def _why_not(cell: Cell) -> str:
    asked = cell.found.n + cell.failed
    if cell.truncated:
        return f"{cell.words} words: {cell.truncated} of {asked} texts did not fit the context"
    return f"{cell.words} words: {cell.failed} of {asked} answers could not be scored"
