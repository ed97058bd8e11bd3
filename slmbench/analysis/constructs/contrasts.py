"""Numbers made of two kinds of items of one run: balanced means and areas under ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slmbench.analysis import reliability as rel
from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped
from slmbench.analysis.rows import Judged
from slmbench.analysis.statistics import Estimate

ONE_KIND = "items of one kind only could be scored"


@dataclass(frozen=True, slots=True)
class Contrast:
    """Scored items of two kinds."""

    values: rel.Numbers
    second: rel.Numbers
    """1 for items of the second kind, else 0."""
    clusters: tuple[str, ...]

    def balanced(self) -> Estimate:
        """Mean of the two kinds' means; no value where a kind is missing."""

        def both(rows: Rows) -> float | None:
            values, second = self.values[rows], self.second[rows] == 1
            if second.all() or not second.any():
                return None
            return float((values[second].mean() + values[~second].mean()) / 2)

        return bootstrapped(both, self.clusters)

    def auroc(self) -> Estimate:
        """P(an item of the second kind has the larger value), ties half."""

        def area(rows: Rows) -> float | None:
            values, second = self.values[rows], self.second[rows]
            order = np.argsort(values, kind="stable")
            return rel.auroc(rel.Sorted(values[order], second[order], np.zeros_like(order), order))

        return bootstrapped(area, self.clusters)


def of_metrics(judged: Mapping[str, Judged], first: str, second: str) -> Contrast:
    """Items that have the metric ``first`` against those that have ``second``."""
    rows = [
        (value, kind, cluster)
        for kind, name in ((0.0, first), (1.0, second))
        for value, cluster in _scored(judged.get(name))
    ]
    return _contrast(rows)


def of_groups(judged: Mapping[str, Judged], metric: str, second: str) -> Contrast:
    """One metric: the items of all other groups against those of group ``second``."""
    column = judged.get(metric)
    if column is None:
        return _contrast([])
    return _contrast(
        [
            (value, float(group == second), cluster)
            for value, group, cluster in zip(
                column.values, column.groups, column.clusters, strict=True
            )
            if value is not None
        ]
    )


def _scored(column: Judged | None) -> list[tuple[float, str]]:
    if column is None:
        return []
    pairs = zip(column.values, column.clusters, strict=True)
    return [(value, cluster) for value, cluster in pairs if value is not None]


def _contrast(rows: Sequence[tuple[float, float, str]]) -> Contrast:
    return Contrast(
        np.asarray([value for value, _, _ in rows], dtype=np.float64),
        np.asarray([kind for _, kind, _ in rows], dtype=np.float64),
        tuple(cluster for _, _, cluster in rows),
    )
