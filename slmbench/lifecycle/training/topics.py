"""Topics of passages, and who gets which: data of clients that are unlike each other.

Topics are clusters (Lloyd's k-means, Lloyd 1982, seeded as k-means++, Arthur & Vassilvitskii
2007) of hashed words, weighted by inverse document frequency and of length 1 as for the selection
by diversity, so that distance is by cosine. The same texts and seed give the same topics on every
machine of one NumPy version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slmbench.lifecycle.training.selection import words

if TYPE_CHECKING:
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]

_ROUNDS = 25
_ATTEMPTS = 10


def topics(texts: Sequence[str], count: int, seed: int) -> Labels:
    """The topic of every text, 0 … count - 1; fewer topics where there are fewer texts.

    The tightest of a few attempts from other first centres.
    """
    rows = words(texts)
    drawn = np.random.default_rng(seed)
    attempts = [_clusters(rows, min(count, len(texts)), drawn) for _ in range(_ATTEMPTS)]
    return max(attempts, key=lambda attempt: attempt[1])[0]


def dealt(labels: Labels, clients: int, concentration: float, seed: int) -> list[list[int]]:
    """Rows of every client: each topic is cut by shares from a Dirichlet distribution.

    Hsu, Qi & Brown 2019 (arXiv 1909.06335) draw every client's mix of classes from a Dirichlet;
    here every topic's shares over the clients are drawn, as Yurochkin et al. 2019 (arXiv
    1905.12022) do, so that each text is dealt out once. A client that would get nothing is given
    the last text of the richest one. Raises ValueError when there are fewer texts than clients.
    """
    if len(labels) < clients:
        raise ValueError(f"{len(labels)} texts cannot be dealt out to {clients} clients")
    drawn = np.random.default_rng(seed)
    hands: list[list[int]] = [[] for _ in range(clients)]
    for topic in np.unique(labels):
        rows = drawn.permutation(np.flatnonzero(labels == topic))
        shares = drawn.dirichlet(np.full(clients, concentration))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(int)
        for hand, part in zip(hands, np.split(rows, cuts), strict=True):
            hand.extend(int(row) for row in part)
    for hand in hands:
        if not hand:
            hand.append(max(hands, key=len).pop())
    return [sorted(hand) for hand in hands]


def shares(labels: Labels, hands: Sequence[Sequence[int]], count: int) -> list[tuple[float, ...]]:
    """Of every client's texts, the share of each topic."""
    return [
        tuple(float(n) / len(hand) for n in np.bincount(labels[list(hand)], minlength=count))
        for hand in hands
    ]


def _clusters(rows: Matrix, count: int, drawn: np.random.Generator) -> tuple[Labels, float]:
    """Labels, and the mean cosine of each row and its centre."""
    centres = _spread(rows, count, drawn)
    labels: Labels = np.full(len(rows), -1, np.int64)
    for _ in range(_ROUNDS):
        found = (rows @ centres.T).argmax(1)
        if np.array_equal(found, labels):
            break
        labels = found
        centres = np.stack([_centre(rows[labels == k], centres[k]) for k in range(count)])
    return labels, float((rows @ centres.T).max(1).mean())


def _spread(rows: Matrix, count: int, drawn: np.random.Generator) -> Matrix:
    """First centres: each next one with a chance by its squared distance to those before it."""
    chosen = [int(drawn.integers(len(rows)))]
    nearest = _distances(rows, rows[chosen[0]])
    while len(chosen) < count:
        total = nearest.sum()
        odds = nearest / total if total > 0 else np.full(len(rows), 1 / len(rows))
        chosen.append(int(drawn.choice(len(rows), p=odds)))
        nearest = np.minimum(nearest, _distances(rows, rows[chosen[-1]]))
    return rows[chosen]


def _distances(rows: Matrix, centre: Matrix) -> npt.NDArray[np.float64]:
    """Squared distances of every row to one point."""
    found: npt.NDArray[np.float64] = ((rows - centre) ** 2).sum(1)
    return found


def _centre(rows: Matrix, before: Matrix) -> Matrix:
    """Mean direction of the rows; an empty cluster keeps its centre."""
    if not len(rows):
        return before
    mean = rows.mean(0)
    length = np.linalg.norm(mean)
    found: Matrix = mean / length if length > 0 else before
    return found
