"""Which part of the passages is trained on: data selection.

Every rule keeps the same share of the passages and gives them back in their own order. Ties are
broken by the hash of the text, never by its place.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch

from slmbench.lifecycle.training.text import key
from slmbench.lifecycle.training.validation import logits_of, token_losses
from slmbench.spec.recipes.training import TrainingText

Perplexity = Callable[[Sequence[str]], list[float]]
"""A loss for each text; only their order counts."""

SCORED_TOKENS = 64
"""First tokens of a text that its perplexity is taken of: a model of 135M parameters reads so much
of 1,400 passages in about two minutes."""
_BATCH = 16
_BUCKETS = 512
_WORD = re.compile(r"\w+")


def select(text: TrainingText, texts: Sequence[str], perplexity: Perplexity) -> tuple[str, ...]:
    """The share ``text.keep`` of the texts, at least one, by ``text.selection``.

    ``perplexity`` is asked only where the rule needs it.
    """
    count = max(1, round(text.keep * len(texts)))
    if count == len(texts):
        return tuple(texts)
    if text.selection == "random":
        chosen = random.Random(text.seed).sample(range(len(texts)), count)  # noqa: S311
    elif text.selection == "length":
        ranked = sorted(range(len(texts)), key=lambda i: (-len(texts[i].encode()), key(texts[i])))
        chosen = ranked[:count]
    elif text.selection == "perplexity":
        chosen = middle(perplexity(texts), [key(each) for each in texts], count)
    else:
        chosen = apart(words(texts), count)
    return tuple(texts[i] for i in sorted(chosen))


def middle(losses: Sequence[float], ties: Sequence[float], count: int) -> list[int]:
    """Indices of the ``count`` in the middle of the ranking.

    >>> middle([5.0, 1.0, 3.0, 2.0, 4.0], [0.0] * 5, 3)
    [3, 2, 4]
    """
    ranked = sorted(range(len(losses)), key=lambda i: (losses[i], ties[i]))
    first = (len(ranked) - count) // 2
    return ranked[first : first + count]


def words(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Hashed words of each text, [texts, 512]: log counts times inverse document frequency, of
    length 1. A text without words is a row of zeros.
    """
    counts = np.zeros((len(texts), _BUCKETS))
    for row, text in enumerate(texts):
        for word in _WORD.findall(text.casefold()):
            counts[row, crc32(word.encode()) % _BUCKETS] += 1
    seen = (counts > 0).sum(axis=0)
    weighted = np.log1p(counts) * np.log((1 + len(texts)) / (1 + seen))
    lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
    vectors: npt.NDArray[np.float64] = weighted / np.where(lengths > 0, lengths, 1)
    return vectors


def apart(vectors: npt.NDArray[np.float64], count: int) -> list[int]:
    """Indices of ``count`` rows, each as far as can be from those before it.

    The greedy 2-approximation of the k-centre problem (Gonzalez 1985; as data selection: Sener &
    Savarese 2018, arXiv 1708.00489); the first is the one nearest to the mean.
    """
    first = int(np.argmin(np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)))
    chosen = [first]
    nearest = np.linalg.norm(vectors - vectors[first], axis=1)
    nearest[first] = -1.0
    while len(chosen) < count:
        following = int(np.argmax(nearest))
        chosen.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(vectors - vectors[following], axis=1))
        nearest[following] = -1.0
    return chosen


def perplexity_by(model: Any, tokenizer: Any) -> Perplexity:
    """Mean loss of each text's first tokens under ``model`` [nats/token]."""

    def score(texts: Sequence[str]) -> list[float]:
        ids = [list(tokenizer(text).input_ids)[: SCORED_TOKENS + 1] for text in texts]
        losses = [0.0] * len(texts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for part in range(0, len(order), _BATCH):
            for i, loss in zip(
                order[part : part + _BATCH],
                _losses(model, [ids[i] for i in order[part : part + _BATCH]]),
                strict=True,
            ):
                losses[i] = loss
        return losses

    return score


def _losses(model: Any, rows: Sequence[list[int]]) -> list[float]:
    """Mean loss of each row; what is filled up comes last and counts nothing."""
    longest = max(2, *map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows])
    counted = torch.arange(1, longest) < lengths
    with torch.inference_mode():
        each = token_losses(logits_of(model, ids[:, :-1]), ids[:, 1:])
    means = (each * counted).sum(1) / counted.sum(1).clamp(min=1)
    return [float(mean) for mean in means]
