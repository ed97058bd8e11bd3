"""What is known of one request: its times, its tokens, how it failed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from slmbench.loadgen.chunks import Usage

FailureKind = Literal[
    "connect", "http", "timeout", "disconnect", "stream_error", "malformed", "empty"
]
"""How a request failed: no connection; a status other than 200; no end within the time limit; the
connection closed before the end; an error event in the stream; something that is no completion
stream; an answer without a single token."""

CountSource = Literal["usage", "finish", "chunks"]
"""Where a number of tokens comes from: the server's usage; its word that it stopped for length,
hence at max_tokens; or one token a chunk, which is a guess."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Output tokens of a request."""

    tokens: int
    source: CountSource


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk with text, as it arrived."""

    at_ns: int
    counted: int | None = None
    """Tokens generated until then, where the server says so in every chunk."""


@dataclass(frozen=True, slots=True)
class RequestLog:
    """One request. All times are perf_counter_ns of the generator's machine."""

    index: int
    sched_ns: int
    """When it was due: of an open loop drawn before, of a closed one when its user was free."""
    send_ns: int
    """When it was handed to the connection."""
    end_ns: int
    """When the stream had ended, or the request failed."""
    max_tokens: int
    chunks: tuple[Chunk, ...] = ()
    """Those with text only: role-only and empty chunks are no tokens."""
    finish: str | None = None
    usage: Usage | None = None
    failure: FailureKind | None = None
    name: str = ""
    """Its X-Request-Id, to find it in a server's log."""
    detail: str = ""
    """Of a failure, for people."""

    @property
    def ok(self) -> bool:
        """Whether the whole answer came."""
        return self.failure is None

    @property
    def first_ns(self) -> int:
        """Arrival of the first text (of an answered request)."""
        return self.chunks[0].at_ns

    @property
    def last_ns(self) -> int:
        """Arrival of the last text (of an answered request)."""
        return self.chunks[-1].at_ns

    def count(self) -> TokenCount:
        """Output tokens by the best source there is."""
        if self.usage is not None and self.usage.completion is not None:
            return TokenCount(self.usage.completion, "usage")
        if self.finish == "length" and len(self.chunks) <= self.max_tokens:
            return TokenCount(self.max_tokens, "finish")
        return TokenCount(len(self.chunks), "chunks")

    def tokens_by_chunk(self) -> tuple[int, ...] | None:
        """Tokens in each chunk; None where that cannot be known.

        It is known where every chunk counts, and where there are as many chunks as tokens.
        """
        counted = [chunk.counted for chunk in self.chunks]
        known = [c for c in counted if c is not None]
        if known and len(known) == len(counted):
            each = (known[0], *(b - a for a, b in pairwise(known)))
            return each if all(n >= 1 for n in each) else None
        count = self.count()
        if count.source != "chunks" and count.tokens == len(self.chunks):
            return (1,) * len(self.chunks)
        return None
