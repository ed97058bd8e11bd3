"""Requests as token ids: boundaries between context and continuation, and windows of a text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.prefix_tree import Ids, Pair
from slmbench.requests import (
    Failure,
    LoglikelihoodOutput,
    RollingRequest,
    WindowScore,
)


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How likely one continuation is after its context."""

    logprob: float | None
    """Sum of the log-probabilities of its tokens [nats]; None if any is NaN or infinite."""
    greedy: bool
    """Whether no token of the vocabulary is likelier than its own at any position."""

    @classmethod
    def of(cls, logprobs: Sequence[float], greedy: Sequence[bool]) -> TokenScore:
        """From the tokens' log-probabilities [nats]."""
        total = math.fsum(logprobs) if all(map(math.isfinite, logprobs)) else None
        return cls(total, total is not None and all(greedy))


@dataclass(frozen=True, slots=True)
class Question:
    """A request as pairs to score, or why it cannot be scored."""

    pairs: tuple[Pair, ...]
    """One, or one per window of a rolling request."""
    straddle: bool = False
    rolling: bool = False
    failure: Failure | None = None

    def output(self, scores: Sequence[TokenScore], *, cached: bool = False) -> LoglikelihoodOutput:
        """The answer, from one score per pair (none where the question failed)."""
        tokens = sum(len(pair.continuation) for pair in self.pairs)
        context = len(self.pairs[0].context) if self.pairs else 0
        failure = self.failure
        values = [score.logprob for score in scores if score.logprob is not None]
        if failure is None and len(values) < len(self.pairs):
            failure = "non_finite"
        if failure is not None:
            return LoglikelihoodOutput(
                logprob=None,
                tokens=tokens,
                context_tokens=context,
                failure=failure,
                straddle=self.straddle,
            )
        windows = tuple(
            WindowScore(logprob=value, tokens=len(pair.continuation))
            for value, pair in zip(values, self.pairs, strict=True)
        )
        return LoglikelihoodOutput(
            logprob=sum(values),
            tokens=tokens,
            context_tokens=context,
            greedy=None if self.rolling else scores[0].greedy,
            straddle=self.straddle,
            cached=cached,
            windows=windows if self.rolling else (),
        )


def cut(whole: Ids, before: Ids, within: int) -> tuple[Ids, Ids, bool]:
    """Context and continuation in the ids of both together, and whether a token straddles.

    ``before``: ids of the context alone; ``within``: how many tokens of ``whole`` lie in the
    context's characters. A token that crosses the boundary is scored, with the continuation.
    """
    if whole[: len(before)] == before:
        return before, whole[len(before) :], False
    return whole[:within], whole[within:], True


def windows(
    request: RollingRequest, ids: Ids, prefix: int, bos: bool, limit: int
) -> Iterator[Pair]:
    """The pairs of a rolling request, after its protocol (see :data:`requests.Protocol`).

    ``ids``: the text's tokens, with the BOS that the tokenizer adds for gptq and llama.cpp,
    without for rolling; ``prefix``: BOS, else EOS; ``bos``: whether the tokenizer adds BOS.
    Sources: lm-eval ``api/model.py`` and ``utils.get_rolling_token_windows``; GPTQ
    ``llama.py``; llama.cpp ``tools/perplexity``.
    """
    size = min(request.window or limit, limit)
    if request.protocol == "rolling":
        whole = (prefix, *ids)
        for first in range(0, len(ids), size):
            count = min(size, len(ids) - first)
            start = 0 if first == 0 else first + count - size
            yield Pair(whole[start : first + 1], whole[first + 1 : first + count + 1])
        return
    for first in range(0, len(ids) - size + 1, size):
        window = ids[first : first + size]
        if request.protocol == "gptq":
            yield Pair(window[:1], window[1:])
        else:
            window = (prefix, *window[1:]) if bos else window
            half = size // 2
            yield Pair(window[: half + 1], window[half + 1 :])
