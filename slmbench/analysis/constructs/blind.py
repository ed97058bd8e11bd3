"""A membership attack that sees no model: what the texts alone give away.

Where members and others differ in date, topic or style, a bag of words tells them apart, and so
does any attack that reads the loss (Das et al., arXiv 2406.16201; Meeus et al., arXiv 2406.17975).
Multinomial naive Bayes (add-one) on lower-cased words and character trigrams, cross-validated: a
record is scored by a classifier that never saw it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
_WORD = re.compile(r"\w+")
_GRAM = 3

Scores = NDArray[np.float64]


def blind_scores(texts: Sequence[str], members: Sequence[bool]) -> Scores:
    """Log-odds of membership of every text, from the other folds [len(texts)].

    Folds take turns over each class in the order of the texts' digests, so that they hold the
    same share of members and do not depend on the order of the data.
    """
    counts = _counts(texts)
    labels = np.asarray(members, dtype=bool)
    folds = _folds(texts, labels)
    found = np.zeros(len(texts))
    for fold in range(FOLDS):
        held = folds == fold
        found[held] = counts[held] @ _weights(counts[~held], labels[~held])
    return found


def _folds(texts: Sequence[str], labels: NDArray[np.bool_]) -> NDArray[np.intp]:
    folds = np.zeros(len(texts), dtype=np.intp)
    for wanted in (False, True):
        rows = [i for i in range(len(texts)) if labels[i] == wanted]
        rows.sort(key=lambda i: hashlib.sha256(texts[i].encode()).digest())
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def _weights(counts: Scores, labels: NDArray[np.bool_]) -> Scores:
    """Per feature log p(feature | member) - log p(feature | other); the prior is left out."""
    inside, outside = (counts[labels == wanted].sum(axis=0) + 1.0 for wanted in (True, False))
    weights: Scores = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return weights


def _counts(texts: Sequence[str]) -> Scores:
    """Matrix [texts, features] of how often each word and trigram occurs."""
    places: dict[str, int] = {}
    rows = [[places.setdefault(f, len(places)) for f in _features(text)] for text in texts]
    counts = np.zeros((len(texts), max(1, len(places))))
    for row, found in enumerate(rows):
        np.add.at(counts[row], found, 1.0)
    return counts


def _features(text: str) -> Iterator[str]:
    lowered = text.lower()
    for word in _WORD.findall(lowered):
        yield f"w{word}"
    for start in range(len(lowered) - _GRAM + 1):
        yield f"c{lowered[start : start + _GRAM]}"
