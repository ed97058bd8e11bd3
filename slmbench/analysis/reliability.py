"""Numbers about confidence: calibration error with its null, ranking, risk and coverage.

Everything here takes arrays over items that are *sorted by confidence, ascending*
(:func:`by_confidence`). ``credit`` is 1 for a right answer, 0 for a wrong one and 1/k where k
choices share the maximum; ``confidence`` is the largest probability among the choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Numbers = NDArray[np.float64]
BINS = 10
"""Equal-mass bins of the calibration error."""
SEED = 20250
NULL_DRAWS = 1000
BOOTSTRAP_DRAWS = 400
_BLOCK = 2_000_000
_LARGEST_BETA = 1e3


@dataclass(frozen=True, slots=True)
class Sorted:
    """Items by rising confidence."""

    confidence: Numbers
    credit: Numbers
    clusters: NDArray[np.intp]
    """Cluster number of each item, 0 … G - 1."""
    order: NDArray[np.intp]
    """Where each one stood before."""

    @property
    def n(self) -> int:
        """Items."""
        return len(self.confidence)

    @property
    def ties(self) -> NDArray[np.intp]:
        """Number of the group of equal confidence that an item is in, rising."""
        steps = np.diff(self.confidence, prepend=self.confidence[:1]) > 0
        return np.cumsum(steps, dtype=np.intp)

    def take(self, rows: NDArray[np.intp]) -> Sorted:
        """These items (rows in rising order)."""
        return Sorted(
            self.confidence[rows], self.credit[rows], self.clusters[rows], self.order[rows]
        )


def by_confidence(confidence: Numbers, credit: Numbers, clusters: Sequence[str]) -> Sorted:
    """Sort items by confidence; equal ones keep their order."""
    order = np.argsort(confidence, kind="stable")
    index: dict[str, int] = {}
    codes = np.asarray([index.setdefault(name, len(index)) for name in clusters], dtype=np.intp)
    return Sorted(confidence[order], credit[order], codes[order], order)


def among_alike(
    confidence: Numbers, credit: Numbers, choices: NDArray[np.intp]
) -> tuple[Numbers, Numbers]:
    """What to rank items by that differ in their number of choices, and their credit.

    With two choices no confidence is below 1/2, and half of all guesses are right; with ten
    neither holds. So the largest probability tells right from wrong even where a model knows
    nothing. The place among the items with equally many choices (0 to 1, each place taken once)
    does not. Items of equal confidence among those alike share their credit, so that their order
    does not matter. Where all items have as many choices both stay as they are.

    >>> places, _ = among_alike(np.array([0.5, 0.7, 0.2, 0.1]), np.ones(4), np.array([2, 2, 9, 9]))
    >>> places.tolist()
    [0.25, 0.75, 0.75, 0.25]
    """
    if len(np.unique(choices)) < 2:
        return confidence, credit
    places, shared = np.empty_like(confidence), np.empty_like(confidence)
    for count in np.unique(choices):
        alike = np.flatnonzero(choices == count)
        order = alike[np.argsort(confidence[alike], kind="stable")]
        places[order] = (np.arange(len(order)) + 0.5) / len(order)
        _, block = np.unique(confidence[alike], return_inverse=True)
        shared[alike] = (np.bincount(block, weights=credit[alike]) / np.bincount(block))[block]
    return places, shared


def bin_starts(n: int, bins: int = BINS) -> NDArray[np.intp]:
    """First item of each equal-mass bin; no more bins than items."""
    bins = min(bins, n)
    return np.arange(bins, dtype=np.intp) * n // bins


def calibration_error(data: Sorted) -> float:
    """ECE: sum over equal-mass bins of |mean confidence - accuracy| · share (Naeini 2015)."""
    gaps = np.add.reduceat(data.confidence - data.credit, bin_starts(data.n))
    return float(np.abs(gaps).sum() / data.n)


def null_errors(confidence: Numbers, *, draws: int = NULL_DRAWS, seed: int = SEED) -> Numbers:
    """ECE of ``draws`` simulated models that are perfectly calibrated at these confidences.

    Each item is right with exactly its stated probability, independently. The mean of these is
    what finite n alone adds to an ECE. ``confidence`` is sorted. Returns shape (draws,).
    """
    random, n = np.random.default_rng(seed), len(confidence)
    starts, rows = bin_starts(n), max(1, _BLOCK // n)
    found = []
    for first in range(0, draws, rows):
        shape = (min(rows, draws - first), n)
        right = random.random(shape) < confidence
        gaps = np.add.reduceat(confidence - right, starts, axis=1)
        found.append(np.abs(gaps).sum(axis=1) / n)
    return np.concatenate(found)


def resampled(data: Sorted, *, draws: int = BOOTSTRAP_DRAWS, seed: int = SEED) -> Iterator[Sorted]:
    """Cluster bootstrap: whole clusters drawn with replacement, items still sorted."""
    random = np.random.default_rng(seed)
    groups = int(data.clusters.max()) + 1
    items = np.arange(data.n, dtype=np.intp)
    for _ in range(draws):
        times = np.bincount(random.integers(0, groups, groups), minlength=groups)
        rows = np.repeat(items, times[data.clusters])
        if len(rows):
            yield data.take(rows)


def auroc(data: Sorted) -> float | None:
    """P(a right answer is more confident than a wrong one), ties half; None if all are alike."""
    right = np.bincount(data.ties, weights=data.credit)
    wrong = np.bincount(data.ties, weights=1 - data.credit)
    total = right.sum() * wrong.sum()
    if total <= 0:
        return None
    below = np.cumsum(wrong) - wrong
    return float((right * (below + wrong / 2)).sum() / total)


def cumulative_accuracy(data: Sorted) -> Numbers:
    """Accuracy of the k most confident items, k = 1 … n; equal confidence shares its credit."""
    ties = data.ties
    shared = np.bincount(ties, weights=data.credit) / np.bincount(ties)
    descending = shared[ties][::-1]
    return np.cumsum(descending) / np.arange(1, data.n + 1)


def aurc(data: Sorted) -> float:
    """Area under the risk-coverage curve: mean over k of the error of the k most confident.

    Geifman & El-Yaniv 2017 (arXiv 1705.08500); 0 is perfect, the error rate is no ranking.
    """
    return float(1 - cumulative_accuracy(data).mean())


def most_confident(data: Sorted, coverage: float) -> tuple[Numbers, NDArray[np.intp]]:
    """Credits and clusters of the ⌈coverage · n⌉ most confident items.

    Where a group of equal confidence is cut, its items lend their mean credit.
    """
    k = math.ceil(coverage * data.n - 1e-9)
    border = data.confidence[data.n - k]
    cut = data.confidence == border
    credit = np.where(cut, data.credit[cut].mean(), data.credit)
    return credit[data.n - k :], data.clusters[data.n - k :]


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Brier score of the confidence as a forecast of being right (0–1), taken apart."""

    reliability: float
    """Squared gap between confidence and accuracy: 0 is calibrated."""
    resolution: float
    """How far the bins' accuracies differ: more is better."""
    uncertainty: float
    """acc · (1 - acc): what nobody can help."""


def decomposed(data: Sorted) -> Decomposition | None:
    """Murphy's decomposition over the bins with the correction for finite bins.

    Murphy 1973 (J. Appl. Meteorol. 12:595), corrected as in Ferro & Fricker 2012
    (Q. J. R. Meteorol. Soc. 138:1954); the corrected reliability can fall below 0. None
    when a bin has fewer than two items.
    """
    starts, n = bin_starts(data.n), data.n
    sizes = np.diff(starts, append=n)
    if sizes.min() < 2:
        return None
    accuracy = np.add.reduceat(data.credit, starts) / sizes
    confidence = np.add.reduceat(data.confidence, starts) / sizes
    mean = float(data.credit.mean())
    within = float((sizes / n * accuracy * (1 - accuracy) / (sizes - 1)).sum())
    overall = mean * (1 - mean) / (n - 1)
    reliability = float((sizes / n * (confidence - accuracy) ** 2).sum()) - within
    resolution = float((sizes / n * (accuracy - mean) ** 2).sum()) - within + overall
    return Decomposition(reliability, resolution, mean * (1 - mean) + overall)


def log_softmax(scores: Numbers) -> Numbers:
    """Row-wise, shape (n, k); missing choices are -inf and stay so."""
    top = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(axis=1, keepdims=True)))


def _gradient(beta: float, top: Numbers, gold: NDArray[np.intp]) -> tuple[Numbers, Numbers]:
    """Per item dNLL/dbeta and d²NLL/dbeta² of softmax(beta · top)."""
    known = np.isfinite(top)
    values = np.where(known, top, 0.0)
    weights = np.where(known, np.exp(beta * values), 0.0)
    p = weights / weights.sum(axis=1, keepdims=True)
    mean = (p * values).sum(axis=1)
    variance = (p * values**2).sum(axis=1) - mean**2
    return mean - values[np.arange(len(gold)), gold], variance


@dataclass(frozen=True, slots=True)
class Temperature:
    """The T that minimises the NLL of softmax(log-likelihoods / T), and its interval."""

    value: float
    low: float | None
    high: float | None
    """Null: the data do not bound it."""


def fit_temperature(
    scores: Numbers, gold: NDArray[np.intp], clusters: NDArray[np.intp], z: float = 1.96
) -> Temperature | None:
    """Maximum likelihood in beta = 1/T (the NLL is convex in it), sandwich interval by cluster.

    None where no finite T > 0 is best: the log-likelihoods point away from the right answers,
    or always to them. Temperature scaling: Guo et al. 2017 (arXiv 1706.04599).
    """
    top = scores - scores.max(axis=1, keepdims=True)

    def slope(beta: float) -> float:
        return float(_gradient(beta, top, gold)[0].sum())

    if slope(0.0) >= 0:
        return None
    upper = 1.0
    while slope(upper) < 0:
        upper *= 2
        if upper > _LARGEST_BETA:
            return None
    beta = float(brentq(slope, 0.0, upper, xtol=1e-9))
    gradient, curvature = _gradient(beta, top, gold)
    groups = int(clusters.max()) + 1
    sums = np.bincount(clusters, weights=gradient, minlength=groups)
    total = float(curvature.sum())
    if beta <= 0 or total <= 0:
        return None
    half = z * math.sqrt(float((sums**2).sum())) / total
    low, high = beta - half, beta + half
    return Temperature(1 / beta, 1 / high, 1 / low if low > 0 else None)


def cross_fitted(
    scores: Numbers, gold: NDArray[np.intp], clusters: NDArray[np.intp], *, folds: int = 5
) -> Numbers | None:
    """Confidences after temperature scaling, each item's T fitted without its own fold.

    Clusters stay together; folds are seeded. None with fewer clusters than folds, or where a
    fold has no best T.
    """
    groups = int(clusters.max()) + 1
    if groups < folds:
        return None
    shuffled = np.random.default_rng(SEED).permutation(groups)
    fold_of = (np.argsort(shuffled) % folds)[clusters]
    confidence = np.empty(len(gold))
    for fold in range(folds):
        inside = fold_of == fold
        fitted = fit_temperature(scores[~inside], gold[~inside], clusters[~inside])
        if fitted is None:
            return None
        confidence[inside] = np.exp(log_softmax(scores[inside] / fitted.value).max(axis=1))
    return confidence
