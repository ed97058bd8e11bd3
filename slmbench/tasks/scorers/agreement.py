"""How far several answers to one question agree. Pure functions on texts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from slmbench.registry import Registry
from slmbench.tasks.scorers.grading import comparable, withholds

Clusterer = Callable[[str, Sequence[str]], Sequence[int]]
"""From a question and its answers to a cluster number per answer: equal numbers mean the same."""

CLUSTERERS: Registry[Clusterer] = Registry("answer clusterer", "slmbench.answer_clusterers", {})
"""Embedding or NLI models of other packages; slmbench brings none. The first by name is used, and
what it says is labelled as estimated by it."""

_ABSTAINED = "\0abstained"
_WORD = re.compile(r"\w+")


def by_form(answers: Sequence[str]) -> tuple[int, ...]:
    """Cluster numbers by normalised text; all abstentions are one cluster.

    >>> by_form(["Paris.", "paris", "Rome", "I don't know.", "Unknown"])
    (0, 0, 1, 2, 2)
    """
    numbers: dict[str, int] = {}
    forms = (_ABSTAINED if withholds(text) else comparable(text) for text in answers)
    return tuple(numbers.setdefault(form, len(numbers)) for form in forms)


def entropy(clusters: Sequence[int]) -> float:
    """Discrete semantic entropy [nats]: -sum of p ln p over the clusters' shares p.

    Kuhn et al. 2023 (arXiv 2302.09664) and, with shares of samples for p, Farquhar et al. 2024
    (Nature 630:625). 0: all answers mean the same; ln n: no two do.
    """
    n = len(clusters)
    shares = [count / n for count in Counter(clusters).values()]
    return math.fsum(p * math.log(1 / p) for p in shares)


def largest(clusters: Sequence[int]) -> tuple[int, ...]:
    """The clusters that hold most answers: more than one where they tie."""
    counts = Counter(clusters)
    most = max(counts.values())
    return tuple(number for number, count in counts.items() if count == most)


def surprises(answer: str, samples: Sequence[str]) -> tuple[float, ...]:
    """-ln p of each word of the answer under a unigram model of the answer and its samples.

    SelfCheckGPT, n-gram variant with n = 1 (Manakul et al. 2023, arXiv 2303.08896): lower-cased
    words are counted over the samples and the answer itself, and p = (count + 1) / (N + V) with N
    words in all and V different ones, an unseen word among them. Words are runs of letters and
    digits (the authors' code asks a parser for tokens and counts punctuation too). Empty where
    the answer has no word.
    """
    words = _words(answer)
    counts = Counter(words)
    for sample in samples:
        counts.update(_words(sample))
    total = counts.total() + len(counts) + 1
    return tuple(math.log(total / (counts[word] + 1)) for word in words)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
