"""What the fixed-size tests do when nothing changed, and when three points are lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.paired import Difference, Pairs, difference_of, quality_verdict
from slmbench.analysis.special import binomial_cdf

RUNS = 600
"""A/A pairs of each kind."""


def most_allowed(trials: int = RUNS, chance: float = 0.05) -> int:
    """Upper end of the two-sided 99 % binomial interval of false positives."""
    return next(k for k, p in enumerate(binomial_cdf(trials, chance)) if p >= 0.995)


def fewest_allowed(trials: int = RUNS, chance: float = 0.05) -> int:
    """Its lower end."""
    return next(k for k, p in enumerate(binomial_cdf(trials, chance)) if p >= 0.005)


def as_difference(
    before: NDArray[np.float64], after: NDArray[np.float64], cluster_size: int = 1
) -> Difference:
    """Through the functions that a report uses."""
    items = tuple(str(i) for i in range(len(before)))
    clusters = tuple(str(i // cluster_size) for i in range(len(before)))
    return difference_of(Pairs(items, tuple(before.tolist()), tuple(after.tolist()), clusters))


def noisy_pair(
    rng: np.random.Generator, n: int, cluster_size: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same model twice: items are easy or hard for both, those near the edge flip.

    With clusters, the edge moves for whole clusters at a time.
    """
    ability = rng.normal(0.3, 1.0, n)

    def answers() -> NDArray[np.float64]:
        shared = np.repeat(rng.normal(0, 0.08, n // cluster_size), cluster_size)
        return (ability + shared + rng.normal(0, 0.08, n) > 0).astype(float)

    return answers(), answers()


def test_exact_mcnemar_resolves_equal_models_at_most_at_its_level() -> None:
    rng = np.random.default_rng(20)
    found = [as_difference(*noisy_pair(rng, 500)) for _ in range(RUNS)]
    assert {d.p_method for d in found} == {"exact McNemar"}
    assert all(0 < (d.flip_rate or 0) < 0.15 for d in found)
    rejected = sum(d.p is not None and d.p < 0.05 for d in found)
    resolved = sum(quality_verdict(d, d.p, "higher") != "not resolved" for d in found)
    assert 1 <= rejected <= most_allowed(), "conservative, but not dead"
    assert resolved <= rejected


def test_the_score_interval_misses_zero_at_its_level() -> None:
    rng = np.random.default_rng(21)
    found = [as_difference(*noisy_pair(rng, 500)) for _ in range(RUNS)]
    missed = sum(d.low is not None and d.high is not None and (d.low > 0 or d.high < 0)
                 for d in found)  # fmt: skip
    assert fewest_allowed() <= missed <= most_allowed()


@pytest.mark.parametrize("kind", ["clustered", "continuous"])
def test_the_t_path_rejects_equal_models_at_its_level(kind: str) -> None:
    rng = np.random.default_rng(22)
    found = []
    for _ in range(RUNS):
        if kind == "clustered":
            found.append(as_difference(*noisy_pair(rng, 600, 6), cluster_size=6))
        else:
            hard = rng.exponential(1.0, 300)
            noise = rng.normal(0, 0.1, (2, 300))
            found.append(as_difference(hard + noise[0], hard + noise[1]))
    assert {d.p_method for d in found} == {"t, clustered" if kind == "clustered" else "paired t"}
    rejected = sum(d.p is not None and d.p < 0.05 for d in found)
    resolved = sum(quality_verdict(d, d.p, "higher") != "not resolved" for d in found)
    assert fewest_allowed() <= rejected <= most_allowed()
    assert resolved <= rejected


def test_ignoring_clusters_would_be_noticed() -> None:
    rng = np.random.default_rng(23)
    rejected = 0
    for _ in range(RUNS):
        before = rng.normal(0, 1, 600)
        after = before + np.repeat(rng.normal(0, 0.1, 60), 10)
        p = as_difference(before, after).p
        rejected += p is not None and p < 0.05
    assert rejected > most_allowed()


@pytest.mark.parametrize(("gained", "verdict"), [(80, "worse"), (200, "not resolved")])
def test_three_planted_points_are_resolved_through_the_whole_path(
    tmp_path: Path, gained: int, verdict: str
) -> None:
    """4,000 items, 200 answers turned wrong and 80 right: three points lost."""
    rng = np.random.default_rng(24)
    right = (rng.random(4000) < 0.55).astype(float)
    after = right.copy()
    after[rng.choice(np.flatnonzero(right == 1), 200, replace=False)] = 0
    after[rng.choice(np.flatnonzero(right == 0), gained, replace=False)] = 1
    items = b.choice_items("arc_easy", 4000)
    shelf = b.Shelf(tmp_path)
    shelf.task(b.cell(b.variant("base"), b.task()), items, {"acc": right.tolist()})
    damaged = b.variant("damaged", parent="base")
    shelf.task(b.cell(damaged, b.task()), items, {"acc": after.tolist()})
    (d,) = load_results(tmp_path).compare().deltas
    assert d.verdict == verdict
    assert d.difference.delta == pytest.approx((gained - 200) / 4000)
    assert d.equivalence is not None
    if verdict == "worse":
        assert (d.equivalence.equivalent, d.equivalence.non_inferior) == ("no", "no")
