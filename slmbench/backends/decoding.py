"""Answers in words: which token comes next, where an answer ends, and several at a time.

An engine lends a :class:`Batch` (sequences in its cache, each in a slot); everything that is
decided about a token is decided here, for all engines and batch sizes alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

from slmbench.prefix_tree import LEAST_PREAMBLE, Ids, common
from slmbench.requests import Failure, GenerateOutput, GenerateRequest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The next token of a sequence."""

    token: int
    finite: bool
    """False: the largest logit is NaN or infinite, and the token means nothing."""
    logprob: float | None = None
    """log p at temperature 1 [nats], where the request asks for it."""


def choose(logits: Logits, request: GenerateRequest, position: int) -> Chosen:
    """The token at ``position`` (0: the first of the answer), from logits of the whole vocabulary.

    Temperature 0 takes the arg max. Else token i wins with the smallest E_i / p_i, where p is
    the float32 softmax of logits / temperature and E_i are exponential variates (float64), which
    draws i with probability p_i (the same as adding Gumbel noise to log p). The variates depend
    on seed, position and token number alone: not on the batch, and two models that nearly agree
    mostly draw the same tokens.
    """
    import numpy as np

    token = int(logits.argmax())  # NaN is the largest for argmax
    top = logits[token]
    if not np.isfinite(top):
        return Chosen(token, finite=False)
    shifted = logits - top
    if request.temperature > 0:
        noise = np.random.default_rng((request.seed, position)).standard_exponential(len(logits))
        with np.errstate(divide="ignore"):
            token = int((noise / np.exp(shifted / np.float32(request.temperature))).argmin())
    if not request.logprobs:
        return Chosen(token, finite=True)
    logprob = float(shifted[token]) - math.log(float(np.exp(shifted).sum()))
    return Chosen(token, finite=True, logprob=logprob)


@dataclass(frozen=True, slots=True)
class Words:
    """What a tokenizer knows about generated tokens."""

    decode: Callable[[Sequence[int]], str]
    """Text of ids, special tokens left out."""
    is_end: Callable[[int], bool]
    """Whether the token ends a generation."""


@dataclass(slots=True)
class Answer:
    """One answer while it is being written."""

    request: GenerateRequest
    prompt: Ids
    budget: int
    """Most tokens that it may have; 0 or less: the context has no room."""
    words: Words
    start_ns: int
    evaluated: int = 0
    """Prompt tokens that were evaluated for this answer alone."""
    ids: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    drafted: int = 0
    """Tokens that a draft proposed."""
    accepted: int = 0
    finite: bool = True
    stopped: bool = False
    ended: bool = False
    """The last id is an end token, which is not part of the text."""

    @property
    def done(self) -> bool:
        """Whether no further token is wanted."""
        return self.stopped or not self.finite or len(self.ids) >= self.budget

    def take(self, chosen: Chosen, at_ns: int) -> None:
        """Append a token that became known at ``at_ns``."""
        self.ids.append(chosen.token)
        self.times.append(at_ns)
        self.finite = chosen.finite
        if chosen.logprob is not None:
            self.logprobs.append(chosen.logprob)
        self.ended = chosen.finite and self.words.is_end(chosen.token)
        self.stopped = self.ended or self._hit()

    def output(self) -> GenerateOutput:
        """What is known of it.

        A prompt that leaves no room fails as ``truncated_context``, and so does an answer that
        the context window (not ``max_tokens``) cuts off; a blank answer is ``empty_output``.
        """
        text = _cut(self.words.decode(self.ids[:-1] if self.ended else self.ids), self.request.stop)
        failure: Failure | None = None
        if not self.finite:
            failure = "non_finite"
        elif not self.stopped and self.budget < self.request.max_tokens:
            failure = "truncated_context"
        elif not text.strip():
            failure = "empty_output"
        return GenerateOutput(
            text=text,
            token_ids=tuple(self.ids),
            prompt_tokens=len(self.prompt),
            evaluated_tokens=self.evaluated,
            start_ns=self.start_ns,
            token_ns=tuple(self.times),
            finish="stop" if self.stopped else "length",
            failure=failure,
            token_logprobs=tuple(self.logprobs) if self.finite else (),
            drafted=self.drafted,
            accepted=self.accepted,
        )

    def _hit(self) -> bool:
        stop = self.request.stop
        if not stop:
            return False
        text = self.words.decode(self.ids)
        return any(mark in text for mark in stop if mark)


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text before the earliest stop string."""
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


@dataclass(frozen=True, slots=True)
class Arrival:
    """A prompt that begins one answer or several."""

    tokens: Ids
    """Without the preamble that the batch holds; never empty."""
    slots: tuple[int, ...]
    """One per answer: free numbers below the batch's rows."""


class Batch(Protocol):
    """Sequences that an engine decodes together, each in a slot: a number from 0 on."""

    def hold(self, preamble: Ids) -> None:
        """Forget everything, then evaluate what stands before every prompt; may be empty."""

    def admit(self, arrivals: Sequence[Arrival]) -> Logits:
        """Evaluate each prompt once; a row of next-token logits per arrival."""

    def advance(self, tokens: Mapping[int, int]) -> Logits:
        """Feed each live slot its token; a row of next-token logits per slot, in that order."""

    def release(self, slots: Sequence[int]) -> None:
        """Forget these sequences; their slots are free again."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much an engine decodes at a time."""

    rows: int
    """Most answers; 1: each is written alone."""
    cells: int
    """Most tokens in the cache, prompts and answers of all rows together."""
    reason: str = ""
    """Why ``rows`` is 1, for people."""


class Together:
    """Writes answers in a batch: a finished one makes room for the next in the queue."""

    def __init__(self, batch: Batch, answers: Sequence[Answer], room: Room) -> None:
        """``answers``: with a prompt and a budget each, nothing written yet."""
        self._batch, self._answers, self._room = batch, answers, room
        self._waiting = deque(answer for answer in answers if not answer.done)
        self._live: dict[int, Answer] = {}
        self._free = list(range(room.rows))[::-1]
        self._preamble: Ids = ()

    def run(self) -> Iterator[Answer]:
        """The answers in their order, each as soon as it and those before it are finished."""
        self._preamble = self._shared() if self._room.rows > 1 else ()
        self._batch.hold(self._preamble)
        told = 0
        while told < len(self._answers):
            if not self._answers[told].done:
                self._admit()
                self._advance()
            while told < len(self._answers) and self._answers[told].done:
                yield self._answers[told]
                told += 1

    def _shared(self) -> Ids:
        """What all prompts begin with, if it is worth holding; each keeps a token of its own."""
        prompts = list(dict.fromkeys(answer.prompt for answer in self._waiting))
        if len(prompts) < 2:
            return ()
        first, *others = prompts
        length = min(
            min(len(prompt) for prompt in prompts) - 1, *(common(first, p) for p in others)
        )
        return first[:length] if length >= LEAST_PREAMBLE else ()

    def _admit(self) -> None:
        """Take in what fits, a few at a time: each time, the engine's cache is rearranged."""
        if self._live and len(self._free) < max(1, self._room.rows // 4):
            return
        groups: list[list[Answer]] = []
        used = len(self._preamble) + sum(map(self._cells, self._live.values()))
        while self._waiting and len(self._free) > sum(map(len, groups)):
            used += self._cells(self._waiting[0])
            if used > self._room.cells and (groups or self._live):
                break
            answer = self._waiting.popleft()
            if groups and groups[-1][0].prompt == answer.prompt:
                groups[-1].append(answer)
            else:
                groups.append([answer])
        if groups:
            self._begin(groups)

    def _begin(self, groups: Sequence[Sequence[Answer]]) -> None:
        """Evaluate prompts, each for all its answers, which get their first token."""
        start, held = perf_counter_ns(), len(self._preamble)
        arrivals: list[Arrival] = []
        owners: list[tuple[int, int]] = []
        for row, group in enumerate(groups):
            slots = tuple(self._free.pop() for _ in group)
            arrivals.append(Arrival(group[0].prompt[held:], slots))
            owners += [(slot, row) for slot in slots]
            for slot, answer in zip(slots, group, strict=True):
                self._live[slot] = answer
                answer.start_ns = start
            group[0].evaluated = len(group[0].prompt) - held
        self._take(owners, self._batch.admit(arrivals))

    def _advance(self) -> None:
        """One more token for every live answer."""
        if self._live:
            tokens = {slot: answer.ids[-1] for slot, answer in self._live.items()}
            logits = self._batch.advance(tokens)
            self._take([(slot, row) for row, slot in enumerate(tokens)], logits)

    def _take(self, owners: Sequence[tuple[int, int]], logits: Logits) -> None:
        """Choose a token for each (slot, row of ``logits``); all share one time stamp."""
        answers = [self._live[slot] for slot, _ in owners]
        chosen = [
            choose(logits[row], answer.request, len(answer.ids))
            for answer, (_, row) in zip(answers, owners, strict=True)
        ]
        now = perf_counter_ns()
        for answer, one in zip(answers, chosen, strict=True):
            answer.take(one, now)
        finished = [slot for slot, answer in self._live.items() if answer.done]
        if finished:
            self._batch.release(finished)
            for slot in finished:
                del self._live[slot]
                self._free.append(slot)

    def _cells(self, answer: Answer) -> int:
        """Cache tokens that an answer may come to need, as if nobody shared its prompt."""
        return len(answer.prompt) - len(self._preamble) + answer.budget
