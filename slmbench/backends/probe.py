"""A small test that shared scoring equals the naive path on the model at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from slmbench.backends.protocol import Batching, Sharing
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair, grow
from slmbench.requests import GenerateOutput, GenerateRequest

FULL_TOLERANCE = 1e-3
"""Largest difference of a float32 sum [nats]: measurement.md, shared-prefix scoring."""
HALF_TOLERANCE = 0.25
"""Largest mean difference per token of a 16-bit or quantized model [nats]: kernels round
differently for different shapes; a wrong mask or position costs whole nats."""
NUDGE = 1e-6
"""Relative noise on input embeddings that shows a model's own rounding: some float32 steps."""


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
    pairs: Sequence[Pair],
    alone: Sequence[TokenScore],
    packed: Sequence[TokenScore],
    *,
    full: bool,
    nudged: Callable[[], Sequence[TokenScore]] | None = None,
) -> Sharing:
    """Whether both paths say the same; ``full``: float32 weights, else 16-bit or quantized.

    ``nudged``: the naive scores again, with noise of :data:`NUDGE` on the input embeddings. Where
    weights and activations are rounded so coarsely that this alone moves the scores, the naive
    path is no truer than the packs: they may then be as far apart as two such scores are, twice.
    """
    apart = [_apart(*scores, full=full) for scores in zip(pairs, alone, packed, strict=True)]
    if any(math.isinf(gap) for gap in apart):
        return Sharing(False, "only one of the two paths gives finite numbers")
    if full:
        found, tolerance, what = max(apart, default=0.0), FULL_TOLERANCE, "nats"
    else:
        found = math.fsum(apart) / max(len(apart), 1)
        tolerance, what = HALF_TOLERANCE, "nats per token on average"
    if found <= tolerance:
        return Sharing(True)
    differ = f"packed and naive scores differ by {found:.2g} {what}"
    if full or nudged is None:
        return Sharing(False, f"{differ} (limit {tolerance:g})")
    moved = [_apart(*scores, full=full) for scores in zip(pairs, alone, nudged(), strict=True)]
    own = math.fsum(moved) / max(len(moved), 1)
    noise = f"noise of {NUDGE:g} on its embeddings moves the naive scores by {own:.2g}"
    if found <= 2 * own < math.inf:
        return Sharing(True, f"this model rounds coarsely: {differ}, and {noise}")
    return Sharing(False, f"{differ} (limit {tolerance:g}; {noise})")


def _apart(pair: Pair, one: TokenScore, other: TokenScore, *, full: bool) -> float:
    """|difference| of two scores [nats, per token unless ``full``]; infinite where one is none."""
    if one.logprob is None or other.logprob is None:
        return 0.0 if one.logprob is other.logprob else math.inf
    return abs(one.logprob - other.logprob) / (1 if full else len(pair.continuation))


def probe_requests() -> list[GenerateRequest]:
    """Answers to try batches with: prompts of different lengths, greedy."""
    prompts = ("The capital of France is", "One, two, three,", "Long ago in a land far away, they")
    return [GenerateRequest(prompt=prompt, max_tokens=6, logprobs=True) for prompt in prompts]


def batch_agreement(
    alone: Sequence[GenerateOutput], together: Sequence[GenerateOutput], *, rows: int, full: bool
) -> Batching:
    """Whether answers may be written in batches of ``rows``.

    ``full`` (float32 weights): only if the trial answers are the same. Else kernels round by the
    shape of the batch and near-ties may turn, which is always said; but tokens that both ways
    chose must have the same log p within :data:`HALF_TOLERANCE` on average, or something is
    broken.
    """
    pairs = list(zip(alone, together, strict=True))
    turned = sum(one.token_ids != other.token_ids for one, other in pairs)
    what = f"{turned} of {len(pairs)} trial answers came out differently in a batch"
    if full:
        return Batching(1, what) if turned else Batching(rows)
    apart = [gap for one, other in pairs for gap in _gaps(one, other)]
    if turned and (not apart or math.fsum(apart) / len(apart) > HALF_TOLERANCE):
        return Batching(1, f"{what}, beyond what rounding explains")
    return Batching(rows, f"rounding of these weights depends on the batch, so close calls between "
                          f"two tokens may turn ({what})")  # fmt: skip


def _gaps(one: GenerateOutput, other: GenerateOutput) -> Iterator[float]:
    """|difference of log p| of each token before the answers part [nats]."""
    told = zip(one.token_ids, other.token_ids, one.token_logprobs, other.token_logprobs,
               strict=False)  # fmt: skip
    for mine, theirs, left, right in told:
        if mine != theirs:
            return
        yield abs(left - right)
