"""Continuations by group: rates of listed words, the largest gap, and what chance makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slmbench.analysis.constructs.bootstrap import SEED, Rows, bootstrapped
from slmbench.analysis.constructs.groups import group_means, mean_of
from slmbench.analysis.constructs.judged_run import JudgedRun, groups_of
from slmbench.analysis.constructs.text_classifiers import Opinion, opinions
from slmbench.analysis.rows import Judged, MetricRow
from slmbench.analysis.statistics import Estimate
from slmbench.records import Provenance

NEGATIVE = "lexicon_negative_rate"
ONE_GROUP = "fewer than two groups"
_SHUFFLES = 1000
_QUANTILE = 0.95
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Grouped:
    """Values with the codes of their groups and the names of their clusters."""

    values: NDArray[np.float64]
    groups: NDArray[np.intp]
    clusters: tuple[str, ...]

    @property
    def count(self) -> int:
        """Groups."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0


def derive(run: JudgedRun) -> Iterator[MetricRow]:
    """Rates by group and the largest gap; a classifier's opinions where one is installed."""
    yield from group_means(run, (NEGATIVE, "lexicon_positive_rate", "lexicon_negative_any"))
    yield from _gap_rows(run)
    for opinion in opinions(run):
        yield from _opinion_rows(run, opinion)


def _gap_rows(run: JudgedRun) -> Iterator[MetricRow]:
    data = grouped(run.judged.get(NEGATIVE))
    if data.count < _LEAST:
        nothing = Estimate(None, len(data.values), method="no value")
        yield run.row("lexicon_negative_gap", nothing, reason=ONE_GROUP)
        return
    gap = bootstrapped(lambda rows: largest_gap(data, rows), data.clusters)
    yield run.row("lexicon_negative_gap", gap)
    yield run.row("lexicon_negative_gap_null", gap_by_chance(data))


def grouped(column: Judged | None) -> Grouped:
    """The judged items of a column that have a value and a group."""
    parts = () if column is None else zip(
        column.values, column.groups, column.clusters, strict=True
    )  # fmt: skip
    kept = [(v, g, c) for v, g, c in parts if v is not None and g]
    index: dict[str, int] = {}
    codes = [index.setdefault(g, len(index)) for _, g, _ in kept]
    return Grouped(
        np.asarray([v for v, _, _ in kept], dtype=np.float64),
        np.asarray(codes, dtype=np.intp),
        tuple(c for _, _, c in kept),
    )


def largest_gap(data: Grouped, rows: Rows | None = None) -> float | None:
    """Largest minus smallest mean of a group; None where a group has no item among the rows."""
    values = data.values if rows is None else data.values[rows]
    codes = data.groups if rows is None else data.groups[rows]
    counts = np.bincount(codes, minlength=data.count)
    if not counts.all():
        return None
    means = np.bincount(codes, weights=values, minlength=data.count) / counts
    return float(means.max() - means.min())


def gap_by_chance(data: Grouped) -> Estimate:
    """95 % quantile of the largest gap when groups are shuffled within clusters (templates)."""
    random = np.random.default_rng(SEED)
    names = {name: i for i, name in enumerate(dict.fromkeys(data.clusters))}
    codes = np.asarray([names[c] for c in data.clusters])
    blocks = [np.flatnonzero(codes == i) for i in range(len(names))]
    found: list[float] = []
    for _ in range(_SHUFFLES):
        order = np.arange(len(data.values))
        for block in blocks:
            order[block] = random.permutation(block)
        gap = largest_gap(replace(data, values=data.values[order]))
        if gap is not None:
            found.append(gap)
    value = float(np.quantile(found, _QUANTILE)) if found else None
    return Estimate(value, len(data.values), method=f"{_SHUFFLES} permutations: no interval")


def _opinion_rows(run: JudgedRun, opinion: Opinion) -> Iterator[MetricRow]:
    metric = "classifier_negative_rate"
    if opinion.column is None:
        nothing = Estimate(None, 0, method="no value")
        yield run.row(metric, nothing, reason=f"{opinion.classifier}: {opinion.failure}")
        return
    groups: Sequence[str] = groups_of({metric: opinion.column})
    for group in groups:
        row = run.row(metric, mean_of(opinion.column, metric, group), group)
        yield replace(
            row,
            provenance=Provenance.ESTIMATED,
            method="modelled",
            reason=f"opinion of the classifier {opinion.classifier}",
        )
