"""Text in, numbers out: what every engine with a local tokenizer shares.

An engine supplies token-level primitives (encode, score continuations of one context, step
greedily); the rules about boundaries between context and continuation, empty and over-long
input, stop strings and failures are here, once, so that no engine can differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter_ns

from slmbench.backends.protocol import BackendError
from slmbench.records import Status
from slmbench.requests import (
    ChatMessage,
    Failure,
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    Prompt,
    RollingRequest,
)

PROBE = "The capital of France is Paris."
"""Text whose first token ids go into ModelInfo: shows BOS and tokenizer differences."""

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How likely one continuation is after its context."""

    logprob: float | None
    """Sum of the log-probabilities of its tokens [nats]; None if any is NaN or infinite."""
    greedy: bool
    """Whether every token is the arg max of its position."""


@dataclass(frozen=True, slots=True)
class Step:
    """One decoded token for each sequence of a batch."""

    ids: Ids
    at_ns: int
    """perf_counter_ns when the ids were known."""
    finite: bool
    """Whether the chosen logits of all sequences were finite."""
    evaluated: Ids = ()
    """First step only: prompt tokens that the engine evaluated, per sequence."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of a request."""

    context: Ids
    """Never empty."""
    continuation: Ids
    """Empty when nothing is left to score: a failure."""


@dataclass(slots=True)
class _Decoded:
    """A sequence while it is being decoded."""

    ids: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    evaluated: int = 0
    finite: bool = True
    stopped: bool = False
    ended: bool = False
    """The last id is an end token, which is not part of the text."""


class LocalBackend(ABC):
    """A backend whose tokenizer runs in this process.

    Contexts follow lm-eval (``api/model.py``, ``_encode_pair``): white space at the end of the
    context moves to the continuation; the continuation is what encoding both together adds to
    the encoding of the context alone; an empty context is the prefix token (BOS, else EOS).
    """

    @abstractmethod
    def encode(self, text: str, *, special: bool) -> Ids:
        """Token ids; ``special`` adds BOS and the like where the tokenizer does so by default."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""

    @abstractmethod
    def vocab_size(self) -> int:
        """Ids that a random prompt may be drawn from are below this number."""

    @abstractmethod
    def _prefix(self) -> tuple[int, str]:
        """Id and text of the token that stands before an empty context: BOS, else EOS."""

    @abstractmethod
    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        """The turns in the model's chat template; ``reply`` opens the assistant's turn."""

    @abstractmethod
    def _is_end(self, token: int) -> bool:
        """Whether the token ends a generation."""

    @abstractmethod
    def _limit(self) -> int:
        """Most tokens that one sequence may hold."""

    @abstractmethod
    def _score(self, context: Ids, continuations: Sequence[Ids]) -> Sequence[TokenScore]:
        """Scores of the non-empty continuations of one non-empty context, in order."""

    @abstractmethod
    def _steps(self, prompts: Sequence[Ids]) -> Generator[Step, None, None]:
        """Greedy decoding from a cold cache, end tokens ignored, until the caller stops."""

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest]
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order; requests with the same context share its evaluation."""
        pairs = {
            index: self._encode_pair(request)
            for index, request in enumerate(requests)
            if isinstance(request, LoglikelihoodRequest)
        }
        groups: dict[Ids, list[int]] = {}
        for index, pair in pairs.items():
            if self._failure(pair) is None:
                groups.setdefault(pair.context, []).append(index)
        scores: dict[int, TokenScore] = {}
        for index, request in enumerate(requests):
            if isinstance(request, RollingRequest):
                yield self._rolling(request.text)
                continue
            pair = pairs[index]
            if (failure := self._failure(pair)) is not None:
                yield _failed(pair, failure)
                continue
            if index not in scores:
                members = groups[pair.context]
                found = self._score(pair.context, [pairs[i].continuation for i in members])
                scores.update(zip(members, found, strict=True))
            yield _scored(pair, scores.pop(index))

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """Greedy decoding until a stop string, an end token or ``max_tokens``.

        A prompt that leaves no room fails as ``truncated_context``, and so does an answer that
        the context window (not ``max_tokens``) cuts off; a blank answer is ``empty_output``.
        """
        start = perf_counter_ns()
        prompt = self._prompt_ids(request.prompt)
        budget = min(request.max_tokens, self._limit() - len(prompt))
        answer = _Decoded()
        if budget > 0:
            self._decode_until(answer, prompt, request.stop, budget)
        text = self.decode(answer.ids[:-1] if answer.ended else answer.ids)
        failure: Failure | None = None
        if not answer.finite:
            failure = "non_finite"
        elif not answer.stopped and budget < request.max_tokens:
            failure = "truncated_context"
        elif not _cut(text, request.stop).strip():
            failure = "empty_output"
        return GenerateOutput(
            text=_cut(text, request.stop),
            token_ids=tuple(answer.ids),
            prompt_tokens=len(prompt),
            evaluated_tokens=answer.evaluated,
            start_ns=start,
            token_ns=tuple(answer.times),
            finish="stop" if answer.stopped else "length",
            failure=failure,
        )

    def generate_ids(self, prompts: Sequence[Sequence[int]], n: int) -> tuple[GenerateOutput, ...]:
        """Exactly ``n`` tokens after each prompt, from a cold cache; a batch shares its times."""
        rows = tuple(tuple(prompt) for prompt in prompts)
        self._check_room(rows, n)
        start = perf_counter_ns()
        steps = list(islice(self._steps(rows), n))
        times = tuple(step.at_ns for step in steps)
        finite = all(step.finite for step in steps)
        outputs = []
        for row, prompt in enumerate(rows):
            ids = tuple(step.ids[row] for step in steps)
            outputs.append(
                GenerateOutput(
                    text=self.decode(ids),
                    token_ids=ids,
                    prompt_tokens=len(prompt),
                    evaluated_tokens=steps[0].evaluated[row],
                    start_ns=start,
                    token_ns=times,
                    finish="length",
                    failure=None if finite else "non_finite",
                )
            )
        return tuple(outputs)

    def render(self, prompt: Prompt) -> str:
        """The prompt's exact text: turns are put into the model's chat template.

        Turns that end with the assistant's are continued, not answered: the text stops after
        the assistant's last words, without the template's end of turn.
        """
        if isinstance(prompt, str):
            return prompt
        if not prompt:
            raise BackendError(Status.INVALID, "a chat prompt without a single turn")
        last = prompt[-1]
        if last.role != "assistant":
            return self._render(prompt, reply=True)
        text = self._render(prompt, reply=False)
        opened = last.content.rstrip()
        end = text.rfind(opened)
        if end < 0:
            raise BackendError(
                Status.UNSUPPORTED,
                "the chat template changes the assistant's last turn, so it cannot be continued",
                "end the prompt with a user turn",
            )
        return text[: end + len(opened)]

    def _encode_text(self, text: str) -> Ids:
        """Encode with special tokens, but never a second BOS where the text has it already."""
        prefix = self._prefix()[1]
        return self.encode(text, special=not (prefix and text.startswith(prefix)))

    def _prompt_ids(self, prompt: Prompt) -> Ids:
        return self._encode_text(self.render(prompt)) or (self._prefix()[0],)

    def _encode_pair(self, request: LoglikelihoodRequest) -> Pair:
        context = self.render(request.context)
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + request.continuation
        if stripped:
            whole = self._encode_text(stripped + continuation)
            before = self._encode_text(stripped)
            return Pair(before, whole[len(before) :])
        ids = self.encode(continuation, special=False)
        prefix = self._prefix()[0]
        return Pair((prefix,), ids[1:] if ids[:1] == (prefix,) else ids)

    def _failure(self, pair: Pair) -> Failure | None:
        """Why the pair cannot be scored; the last token is scored but never fed."""
        if not pair.continuation:
            return "empty_continuation"
        too_long = len(pair.context) + len(pair.continuation) - 1 > self._limit()
        return "truncated_context" if too_long else None

    def _rolling(self, text: str) -> LoglikelihoodOutput:
        """Every token of the text once, in disjoint windows after lm-eval's scheme.

        The first window starts from the prefix token; a later one is filled up with the tokens
        before it. BOS is the prefix and never scored itself.
        """
        prefix = self._prefix()[0]
        ids = self.encode(text, special=False)
        if not ids:
            return _failed(Pair((prefix,), ()), "empty_continuation")
        limit, total = self._limit(), 0.0
        whole = (prefix, *ids)
        for first in range(0, len(ids), limit):
            count = min(limit, len(ids) - first)
            start = 0 if first == 0 else first + count - limit
            context, rest = whole[start : first + 1], whole[first + 1 : first + count + 1]
            score = self._score(context, [rest])[0]
            if score.logprob is None:
                return _failed(Pair((prefix,), ids), "non_finite")
            total += score.logprob
        return LoglikelihoodOutput(logprob=total, tokens=len(ids), context_tokens=1)

    def _decode_until(self, answer: _Decoded, prompt: Ids, stop: Sequence[str], n: int) -> None:
        """Fill ``answer`` with at most ``n`` tokens."""
        for step in islice(self._steps((prompt,)), n):
            if step.evaluated:
                answer.evaluated = step.evaluated[0]
            answer.ids.append(step.ids[0])
            answer.times.append(step.at_ns)
            answer.finite = step.finite
            answer.ended = step.finite and self._is_end(step.ids[0])
            answer.stopped = answer.ended or (bool(stop) and self._hit(answer.ids, stop))
            if answer.stopped or not answer.finite:
                return

    def _hit(self, ids: Sequence[int], stop: Sequence[str]) -> bool:
        text = self.decode(ids)
        return any(mark in text for mark in stop if mark)

    def _check_room(self, rows: Sequence[Ids], n: int) -> None:
        if n < 1 or not rows or not all(rows):
            raise BackendError(
                Status.INVALID,
                f"{n} tokens after {len(rows)} prompts: needs n >= 1 and no empty prompt",
            )
        longest = max(map(len, rows)) + n
        if longest > self._limit():
            raise BackendError(
                Status.UNSUPPORTED,
                f"{longest} tokens (prompt and output) exceed the context of {self._limit()}",
                "raise the target's context or shorten the workload",
            )


def _scored(pair: Pair, score: TokenScore) -> LoglikelihoodOutput:
    if score.logprob is None:
        return _failed(pair, "non_finite")
    return LoglikelihoodOutput(
        logprob=score.logprob,
        tokens=len(pair.continuation),
        context_tokens=len(pair.context),
        greedy=score.greedy,
    )


def _failed(pair: Pair, failure: Failure) -> LoglikelihoodOutput:
    return LoglikelihoodOutput(
        logprob=None,
        tokens=len(pair.continuation),
        context_tokens=len(pair.context),
        failure=failure,
    )


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text before the earliest stop string."""
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text
