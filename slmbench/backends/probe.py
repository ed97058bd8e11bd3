"""A small test that shared scoring equals the naive path on the model at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from slmbench.backends.protocol import Sharing
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair, grow

FULL_TOLERANCE = 1e-3
"""Largest difference of a float32 sum [nats]: measurement.md, shared-prefix scoring."""
HALF_TOLERANCE = 0.25
"""Largest mean difference per token of a 16-bit or quantized model [nats]: kernels round
differently for different shapes; a wrong mask or position costs whole nats."""


def probe_packs(text: Ids, limit: int) -> list[Pack]:
    """Packs with every kind of sharing: a preamble, contexts, choices that begin alike.

    ``text``: tokens of any text; ``limit``: most tokens of a sequence.
    """
    words = text * (24 // len(text) + 1)
    trees = [
        grow([Pair(context, choice) for choice in (words[2:6], words[2:4] + words[5:7], words[:1])])
        for context in (words[3:11], words[1:4])
    ]
    packs = [Pack(words[:24], tuple(trees)), Pack((), tuple(trees[::-1]))]
    return [p for p in packs if all(len(pair.fed) <= limit for pair in p.pairs())]


def agreement(
    pairs: Sequence[Pair], alone: Sequence[TokenScore], packed: Sequence[TokenScore], *, full: bool
) -> Sharing:
    """Whether both paths say the same; ``full``: float32 weights, else 16-bit or quantized."""
    apart: list[float] = []
    for pair, one, other in zip(pairs, alone, packed, strict=True):
        if one.logprob is None or other.logprob is None:
            if one.logprob is not other.logprob:
                return Sharing(False, "only one of the two paths gives finite numbers")
            continue
        length = 1 if full else len(pair.continuation)
        apart.append(abs(one.logprob - other.logprob) / length)
    if full:
        found, tolerance, what = max(apart, default=0.0), FULL_TOLERANCE, "nats"
    else:
        found = math.fsum(apart) / max(len(apart), 1)
        tolerance, what = HALF_TOLERANCE, "nats per token on average"
    if found <= tolerance:
        return Sharing(True)
    return Sharing(
        False, f"packed and naive scores differ by {found:.2g} {what} (limit {tolerance:g})"
    )
