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
from pathlib import Path
from time import perf_counter_ns

from slmbench.backends.protocol import BackendError, Sharing
from slmbench.backends.score_cache import ScoreCache
from slmbench.backends.units import Question, TokenScore, cut, windows
from slmbench.prefix_tree import Ids, Pack, Pair, common, plan
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
    Where encoding both together changes the context's tokens, lm-eval cuts at a count; here
    the token that crosses the boundary is scored with the continuation and reported.
    """

    _budget = 1024
    """New tokens of a pack, about."""
    _most: int | None = None
    """Most pairs of a pack."""
    _cache: ScoreCache | None = None

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
    def sharing(self) -> Sharing:
        """Whether packs give what scoring alone gives; decided when first asked."""

    @abstractmethod
    def _score_alone(self, pair: Pair) -> TokenScore:
        """The naive path: one pair from a cold cache."""

    @abstractmethod
    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        """One score per pair of the pack, in order."""

    @abstractmethod
    def _steps(self, prompts: Sequence[Ids]) -> Generator[Step, None, None]:
        """Greedy decoding from a cold cache, end tokens ignored, until the caller stops."""

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order; what requests have in common is evaluated once."""
        questions = [self._question(request) for request in requests]
        pairs = [p for question in questions if question.failure is None for p in question.pairs]
        known = self._cache.known(pairs) if self._cache is not None else {}
        new = [pair for pair in pairs if pair not in known]
        scores = self._scores(new, share=share and bool(new) and self.sharing().exact)
        for question in questions:
            if question.failure is not None:
                yield question.output(())
                continue
            found = [known[p] if p in known else next(scores) for p in question.pairs]
            yield question.output(found, cached=all(p in known for p in question.pairs))

    def remember(self, file: Path | None) -> None:
        """Keep scores in this file and answer from it what it has; None: no longer.

        Raises BackendError (invalid) for a file that is not a cache of this version.
        """
        if self._cache is not None:
            self._cache.close()
        self._cache = ScoreCache(file) if file is not None else None

    def _scores(self, pairs: Sequence[Pair], *, share: bool) -> Iterator[TokenScore]:
        packs: Iterator[tuple[list[Pair], Sequence[TokenScore]]] = (
            ((list(p.pairs()), self._score_pack(p)) for p in plan(pairs, self._budget, self._most))
            if share
            else (([pair], [self._score_alone(pair)]) for pair in pairs)
        )
        for asked, found in packs:
            if self._cache is not None:
                self._cache.keep(asked, found)
            yield from found

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

    def _question(self, request: LoglikelihoodRequest | RollingRequest) -> Question:
        if isinstance(request, RollingRequest):
            return self._rolling(request)
        pair, straddle = self._encode_pair(request)
        return Question((pair,), straddle, failure=self._failure(pair))

    def _encode_pair(self, request: LoglikelihoodRequest) -> tuple[Pair, bool]:
        context = self.render(request.context)
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + request.continuation
        prefix = self._prefix()[0]
        if not stripped:
            ids = self.encode(continuation, special=False)
            return Pair((prefix,), ids[1:] if ids[:1] == (prefix,) else ids), False
        if not continuation:
            return Pair(self._encode_text(stripped), ()), False
        text = stripped + continuation
        whole, before = self._encode_text(text), self._encode_text(stripped)
        within = 0
        if whole[: len(before)] != before:
            within = self._tokens_within(text, whole, before, len(stripped))
        left, right, straddle = cut(whole, before, within)
        return Pair(left or (prefix,), right), straddle

    def _tokens_within(self, text: str, whole: Ids, before: Ids, characters: int) -> int:
        """How many first tokens of ``text`` end within its first ``characters``.

        Without offsets of the tokenizer: those that encoding the context alone yields too.
        """
        return common(whole, before)

    def _failure(self, pair: Pair) -> Failure | None:
        """Why the pair cannot be scored; the last token is scored but never fed."""
        if not pair.continuation:
            return "empty_continuation"
        return "truncated_context" if len(pair.fed) > self._limit() else None

    def _rolling(self, request: RollingRequest) -> Question:
        prefix = self._prefix()[0]
        plain = request.protocol == "rolling"
        ids = self.encode(request.text, special=False) if plain else self._encode_text(request.text)
        adds = not plain and self.encode("a", special=True)[:1] == (prefix,)
        if (request.window or 0) > self._limit():
            return Question((Pair((prefix,), ids),), rolling=True, failure="truncated_context")
        found = tuple(windows(request, ids, prefix, bos=adds, limit=self._limit()))
        if not found:
            return Question((), rolling=True, failure="empty_continuation")
        return Question(found, rolling=True)

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


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text before the earliest stop string."""
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text
