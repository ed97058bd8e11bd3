"""Text in, numbers out: what every engine with a local tokenizer shares.

An engine supplies token-level primitives (encode, score continuations of one context, step
greedily); the rules about boundaries between context and continuation, empty and over-long
input, stop strings and failures are here, once, so that no engine can differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

from slmbench.backends.decoding import Answer, Batch, Chosen, Room, Together, Words
from slmbench.backends.details import token_details
from slmbench.backends.probe import batch_agreement, probe_requests
from slmbench.backends.protocol import BackendError, Batching, Sharing
from slmbench.backends.score_cache import ScoreCache
from slmbench.backends.steps import Decoder, timed_steps
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
    TokenDetail,
)

if TYPE_CHECKING:
    from slmbench.backends.protocol import LogprobMatrix

PROBE = "The capital of France is Paris."
"""Text whose first token ids go into ModelInfo: shows BOS and tokenizer differences."""


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
    _batching: Batching | None = None

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

    def _lead(self) -> tuple[Ids, str]:
        """Ids and text that stand before everything that the model reads: a learnt prompt."""
        return (), ""

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
    def _decoder(self, rows: int) -> Decoder:
        """Greedy decoding of so many rows; one decoder at a time is in use."""

    @abstractmethod
    def _logprob_parts(self, ids: Ids, first: int) -> Iterator[LogprobMatrix]:
        """The rows of :meth:`next_logprobs`, some at a time."""

    @abstractmethod
    def _room(self) -> Room:
        """How many answers the engine can write at a time."""

    @abstractmethod
    def _open_batch(self, *, many: bool) -> Batch:
        """Sequences for as many answers as there is room for, or for a single one."""

    def _is_full(self) -> bool:
        """Whether weights and cache are float32, so that a batch must change nothing."""
        return False

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order; what requests have in common is evaluated once."""
        questions = [self._question(request) for request in requests]
        plain = [
            question
            for request, question in zip(requests, questions, strict=True)
            if question.failure is None
            and not (isinstance(request, RollingRequest) and request.details)
        ]
        pairs = [pair for question in plain for pair in question.pairs]
        known = self._cache.known(pairs) if self._cache is not None else {}
        new = [pair for pair in pairs if pair not in known]
        scores = self._scores(new, share=share and bool(new) and self.sharing().exact)
        for request, question in zip(requests, questions, strict=True):
            if question.failure is not None:
                yield question.output(())
                continue
            if isinstance(request, RollingRequest) and request.details:
                yield self._detailed(question)
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
        """Decoding until a stop string, an end token or ``max_tokens``; see :class:`Answer`."""
        answer = self._answer(request)
        if request.temperature > 0 or request.logprobs:
            list(Together(self._open_batch(many=False), [answer], Room(1, self._limit())).run())
        elif not answer.done:
            self._write(answer)
        return answer.output()

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        """One output per request, in order, several written at a time where that is sound."""
        if len(requests) < 2 or self.batching().rows < 2:
            yield from map(self.generate, requests)
            return
        answers = [self._answer(request) for request in requests]
        for answer in Together(self._open_batch(many=True), answers, self._room()).run():
            yield answer.output()

    def batching(self) -> Batching:
        """How many answers are written at a time; tried on a few prompts when first asked."""
        if self._batching is None:
            self._batching = self._try_batches()
        return self._batching

    def _try_batches(self) -> Batching:
        room = self._room()
        if room.rows < 2:
            return Batching(1, room.reason)
        requests = probe_requests()
        alone = [self.generate(request) for request in requests]
        answers = [self._answer(request) for request in requests]
        few = Room(len(requests) - 1, room.cells)  # the last one takes a finished one's place
        together = [a.output() for a in Together(self._open_batch(many=True), answers, few).run()]
        return batch_agreement(alone, together, rows=room.rows, full=self._is_full())

    def _answer(self, request: GenerateRequest) -> Answer:
        """Before its first token."""
        start = perf_counter_ns()
        prompt = self._prompt_ids(request.prompt)
        budget = min(request.max_tokens, self._limit() - len(prompt))
        return Answer(request, prompt, budget, Words(self.decode, self._is_end), start)

    def _write(self, answer: Answer) -> None:
        """The plain way: greedy, alone."""
        decoder = self._decoder(1)
        decoder.hold(((),))
        for step in decoder.steps((answer.prompt,)):
            if step.evaluated:
                answer.evaluated = step.evaluated[0]
            answer.drafted += step.drafted
            answer.accepted += step.accepted
            answer.take(Chosen(step.ids[0], step.finite), step.at_ns)
            if answer.done:
                return

    def next_logprobs(self, ids: Sequence[int], first: int) -> LogprobMatrix:
        """log p(. | ids[:i]) for i = first … len(ids) - 1, float32, all outputs."""
        import numpy as np

        return np.concatenate(list(self._logprob_parts(tuple(ids), first)))

    def _detailed(self, question: Question) -> LoglikelihoodOutput:
        """A rolling request with every token's detail: never from the response cache."""
        scores: list[TokenScore] = []
        details: list[TokenDetail] = []
        for pair in question.pairs:
            parts = self._logprob_parts(pair.context + pair.continuation, len(pair.context))
            found = token_details(parts, pair.continuation)
            if found is None:
                return question.output([TokenScore(None, greedy=False)])
            scores.append(TokenScore.of([one.logprob for one in found], [False]))
            details += found
        return question.output(scores).model_copy(update={"details": tuple(details)})

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], n: int, *, depth: int = 0
    ) -> tuple[GenerateOutput, ...]:
        """Exactly ``n`` tokens after each prompt, from a cold cache; a batch shares its times.

        The first ``depth`` tokens of each prompt are cached before the clock starts.
        """
        rows = tuple(tuple(prompt) for prompt in prompts)
        self._check_room(rows, n, depth)
        timed = timed_steps(self._decoder(len(rows)), rows, n, depth)
        steps = timed.steps
        times = tuple(step.at_ns for step in steps)
        finite = all(step.finite for step in steps)
        outputs = []
        for row, prompt in enumerate(rows):
            ids = tuple(step.ids[row] for step in steps)
            outputs.append(
                GenerateOutput(
                    text=self.decode(ids),
                    token_ids=ids,
                    prompt_tokens=len(prompt) - depth,
                    evaluated_tokens=steps[0].evaluated[row],
                    start_ns=timed.start_ns,
                    token_ns=times,
                    finish="length",
                    failure=None if finite else "non_finite",
                    engine_ns=timed.engine_ns,
                    drafted=timed.drafted,
                    accepted=timed.accepted,
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
        """Encode with special tokens and lead, but neither twice where the text has it already."""
        prefix, (lead, words) = self._prefix()[1], self._lead()
        body = text.removeprefix(words)
        ids = self.encode(body, special=not (prefix and body.startswith(prefix)))
        return ids if ids[: len(lead)] == lead else lead + ids

    def _prompt_ids(self, prompt: Prompt) -> Ids:
        return self._encode_text(self.render(prompt)) or self._opening()

    def _opening(self) -> Ids:
        """What stands before an empty context."""
        return (*self._lead()[0], self._prefix()[0])

    def _question(self, request: LoglikelihoodRequest | RollingRequest) -> Question:
        if isinstance(request, RollingRequest):
            return self._rolling(request)
        pair, straddle = self._encode_pair(request)
        return Question((pair,), straddle, failure=self._failure(pair))

    def _encode_pair(self, request: LoglikelihoodRequest) -> tuple[Pair, bool]:
        context = self.render(request.context)
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + request.continuation
        if not stripped:
            ids, prefix = self.encode(continuation, special=False), self._prefix()[0]
            return Pair(self._opening(), ids[1:] if ids[:1] == (prefix,) else ids), False
        if not continuation:
            return Pair(self._encode_text(stripped), ()), False
        text = stripped + continuation
        whole, before = self._encode_text(text), self._encode_text(stripped)
        within = 0
        if whole[: len(before)] != before:
            within = self._tokens_within(text, whole, before, len(stripped))
        left, right, straddle = cut(whole, before, within)
        bare = len(left) == len(self._lead()[0])
        return Pair(self._opening() if bare else left, right), straddle

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
        prefix, lead = self._prefix()[0], self._lead()[0]
        plain = request.protocol == "rolling"
        if request.details and not plain:
            raise BackendError(
                Status.INVALID,
                f"details of every token are not kept for protocol {request.protocol!r}",
                "use protocol: rolling, which scores every token once",
            )
        text, skip = request.text, len(lead)
        ids = self.encode(text, special=False) if plain else self._encode_text(text)[skip:]
        adds = not plain and self._encode_text("a")[skip : skip + 1] == (prefix,)
        limit = self._limit() - skip
        if (request.window or 0) > limit:
            pair = Pair(self._opening(), ids)
            return Question((pair,), rolling=True, failure="truncated_context")
        parts = windows(request, ids, prefix, bos=adds, limit=limit)
        found = tuple(Pair(lead + part.context, part.continuation) for part in parts)
        if not found:
            return Question((), rolling=True, failure="empty_continuation")
        return Question(found, rolling=True)

    def _check_room(self, rows: Sequence[Ids], n: int, depth: int) -> None:
        if n < 1 or depth < 0 or not rows or min(map(len, rows)) <= depth:
            raise BackendError(
                Status.INVALID,
                f"{n} tokens after {len(rows)} prompts at depth {depth}: needs n >= 1 and "
                "prompts longer than the depth",
            )
        longest = max(map(len, rows)) + n
        if longest > self._limit():
            raise BackendError(
                Status.UNSUPPORTED,
                f"{longest} tokens (prompt and output) exceed the context of {self._limit()}",
                "raise the target's context or shorten the workload",
            )
