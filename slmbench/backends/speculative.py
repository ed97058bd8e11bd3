"""Speculative decoding, greedy: a small model proposes tokens, the large one checks them at once.

Leviathan et al. 2023 (arXiv 2211.17192) at temperature 0: a proposed token is accepted where it
is what the target itself would have written there; at the first that is not, the target's own
token takes its place. So the text is the target's greedy text, but for near-ties that kernels
round the other way when they evaluate several tokens at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

from slmbench.backends.protocol import BackendError
from slmbench.backends.steps import Step
from slmbench.prefix_tree import Ids
from slmbench.records import ModelInfo, Status

DRAFTED = "a draft proposes tokens for one answer at a time"
"""Why answers are written alone."""


@dataclass(frozen=True, slots=True)
class Picks:
    """The likeliest next token after each of the last tokens that were read."""

    ids: Ids
    finite: bool
    """Whether the logits of all of them were finite."""


class Reader(Protocol):
    """One model and its cache of one sequence."""

    @property
    def room(self) -> int:
        """Most tokens that the cache holds."""

    def clear(self) -> None:
        """Forget everything."""

    def read(self, tokens: Ids, wanted: int) -> Picks:
        """Put the tokens into the cache, in one pass where the engine can; picks after the last
        ``wanted`` of them. When it returns, the engine has done the work."""

    def keep(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""


@dataclass(slots=True)
class _Spent:
    """Time inside the engine's calls."""

    ns: int = 0

    def read(self, reader: Reader, tokens: Ids, wanted: int) -> Picks:
        begin = perf_counter_ns()
        picks = reader.read(tokens, wanted)
        self.ns += perf_counter_ns() - begin
        return picks

    def keep(self, reader: Reader, length: int) -> None:
        begin = perf_counter_ns()
        reader.keep(length)
        self.ns += perf_counter_ns() - begin


class SpeculativeDecoder:
    """A :class:`slmbench.backends.steps.Decoder` of one row.

    Tokens that one check yields become known at the same time, and are steps with one time
    stamp. The draft reads the prompt when it first proposes, so the time to the first token is
    the target's alone.
    """

    def __init__(self, target: Reader, draft: Reader, tokens: int) -> None:
        """``tokens``: how many the draft proposes at a time, at most."""
        self._target, self._draft, self._tokens = target, draft, tokens
        self._read = 0
        """Tokens in the target's cache."""
        self._behind: list[int] = []
        """Tokens that the draft has not read: the last ones, the newest included."""

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold, then let both models read what is held."""
        (held,) = before
        self._read, self._behind = len(held), []
        for reader in (self._target, self._draft):
            reader.clear()
            if held:
                reader.read(held, 0)

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """The prompt, then proposals and checks, until closed."""
        (prompt,) = prompts
        begin, spent = perf_counter_ns(), _Spent()
        picks = spent.read(self._target, prompt, 1)
        now = perf_counter_ns()
        yield Step(picks.ids, now, picks.finite, (len(prompt),), now - begin)
        self._read += len(prompt)
        self._behind = [*prompt, picks.ids[0]]
        while True:
            yield from self._round()

    def _round(self) -> Iterator[Step]:
        """One proposal and its check: a token more than were accepted."""
        spent, newest = _Spent(), self._behind[-1]
        proposed = self._propose(spent)
        picks = spent.read(self._target, (newest, *proposed), len(proposed) + 1)
        accepted = agreed(proposed, picks.ids)
        now = perf_counter_ns()
        new = picks.ids[: accepted + 1]
        self._read += 1 + accepted
        if accepted < len(proposed):
            spent.keep(self._target, self._read)
        self._catch_up(proposed, accepted, new, spent)
        for number, token in enumerate(new):
            first = number == 0
            yield Step(
                (token,),
                now,
                picks.finite,
                engine_ns=spent.ns if first else 0,
                drafted=len(proposed) if first else 0,
                accepted=accepted if first else 0,
            )

    def _propose(self, spent: _Spent) -> Ids:
        """The draft's greedy tokens after the newest one; fewer where a cache is nearly full."""
        # the target reads the newest token and all proposals, the draft all but the last
        room = min(self._target.room - 1, self._draft.room) - self._read
        count = min(self._tokens, room)
        found: list[int] = []
        unread = tuple(self._behind)
        while len(found) < count:
            (token,) = spent.read(self._draft, unread, 1).ids
            found.append(token)
            unread = (token,)
        return tuple(found)

    def _catch_up(self, proposed: Ids, accepted: int, new: Ids, spent: _Spent) -> None:
        """Bring the draft's cache in line with what was written."""
        if not proposed:
            self._behind += new
        elif accepted == len(proposed):  # it has not read its own last token
            self._behind = [proposed[-1], new[-1]]
        else:
            if accepted < len(proposed) - 1:
                spent.keep(self._draft, self._read)
            self._behind = [new[-1]]


def agreed(proposed: Ids, picks: Ids) -> int:
    """How many first proposals are what the target picks in their places."""
    count = 0
    while count < len(proposed) and proposed[count] == picks[count]:
        count += 1
    return count


def with_draft(info: ModelInfo, kv_bytes: int | None) -> ModelInfo:
    """What is known of a target once a draft stands beside it.

    ``kv_bytes``: the draft's keys and values of a token. What one step of decoding reads is no
    longer one number, so it is not given.
    """
    both = None
    if info.kv_bytes_per_token is not None and kv_bytes is not None:
        both = info.kv_bytes_per_token + kv_bytes
    return info.model_copy(
        update={
            "kv_bytes_per_token": both,
            "decode_weight_bytes": None,
            "matmul_parameters": None,
        }
    )


def one_row(rows: int) -> None:
    """BackendError (unsupported) for a batch: rows would accept different numbers of tokens."""
    if rows > 1:
        raise BackendError(
            Status.UNSUPPORTED,
            f"speculative decoding of a batch of {rows}",
            "a draft serves one answer at a time: leave the target's draft out for batches",
        )


def other_vocabulary(draft: str, how: str) -> BackendError:
    """The draft's token ids would mean other text to the target; ``how``: what differs."""
    return BackendError(
        Status.INVALID,
        f"the draft {draft} has another vocabulary: {how}",
        "a draft needs the target's own tokenizer: take a smaller or more compressed variant of it",
    )
