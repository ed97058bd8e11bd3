"""A backend without a model: deterministic, instant, and able to fail in every way.

It is public: plans, runners, stores and reports can be tried with it in no time. Tokens are the
UTF-8 bytes of the text. The next token's distribution comes from a BLAKE2 hash of the tokens
before it, so that log-likelihoods add up as a real model's do, the greedy flag agrees with
``generate``, and nothing depends on how requests are grouped.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from slmbench.backends import CAPABILITIES
from slmbench.backends.decoding import Room
from slmbench.backends.fake_generate import FakeBatch, FakeDecoder
from slmbench.backends.options import read_options
from slmbench.backends.protocol import BackendError, Batching, Capabilities, LoadJob, Sharing
from slmbench.backends.text import PROBE, LocalBackend
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Pair
from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    ChatMessage,
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
    WindowScore,
)
from slmbench.spec.base import Frozen

if TYPE_CHECKING:
    from slmbench.backends.decoding import Logits
    from slmbench.backends.protocol import LogprobMatrix

_END = 256
"""The only special token: begins an empty context and ends a generation."""
_VOCAB = 257
_SPACE = 32
"""Byte of token 0, so that arg max over constant logits says nothing but blanks."""
_FAVOURITES = tuple(byte - _SPACE for byte in b" etaoinshrdlucmfwygpb")
"""Greedy tokens are these letters, so that generated text is printable."""
_BLOCK = 64 << 20

_DONT_KNOW = "I don't know."
_BIASED = ("first", "longest")

_SIGNALS = {"sigill": signal.SIGILL, "sigsegv": signal.SIGSEGV, "sigkill": signal.SIGKILL}


class FakeOptions(Frozen):
    """Options of the fake backend."""

    mode: Literal["random", "constant", "nan", "abstain", "first", "longest"] = "random"
    """``random``: a hash decides. ``constant``: all tokens equally likely, the first one wins
    the arg max. ``nan``: no number is finite. ``abstain``: always writes "I don't know.".
    ``first``: of the continuations of one context, the one that is asked for first is the most
    likely by far, also per character. ``longest``: the longest one is. Sentinels for gate tests;
    where a mode says nothing, it answers as ``random`` does."""
    seed: int = 0
    """Another seed is another fake model of the same artefact."""
    quality: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of contexts (chosen by hash) that it answers as a teacher which all fakes share:
    two fakes of quality q agree on at least q² of the items."""
    fault: Literal["", "sigill", "sigsegv", "sigkill", "hang", "oom", "nan", "error"] = ""
    """What goes wrong: dies of the signal, blocks without using the CPU, allocates until a
    limit, answers NaN, or raises an exception that is not a BackendError."""
    fault_at: Literal["load", "loglikelihood", "generate"] = "load"
    """Where ``fault`` happens (``generate`` covers workloads too)."""
    oom_cap_bytes: int = Field(default=64 << 30, ge=1)
    """``fault: oom`` gives up here [bytes]. Blocks are address space that is never touched:
    a memory limit of the target stops it, the machine's memory is not eaten up."""
    ttft_s: float = Field(default=0.0, ge=0.0)
    """Real sleep before the first generated token [s]."""
    itl_s: float = Field(default=0.0, ge=0.0)
    """Real sleep before every later token [s]."""
    generate_batch: int = Field(default=16, ge=1)
    """Most answers that are written at a time; 1: each alone."""
    parameters: int = Field(default=1_000_000, ge=1)
    """Parameters that it claims to have."""
    bits_per_weight: float = Field(default=32.0, gt=0.0)
    """Effective bits per weight that it claims."""
    embedding_parameters: int = Field(default=0, ge=0)
    """Of the parameters, those of an input embedding that is not the head too: a step of
    decoding does not read them, nothing is multiplied with them."""
    kv_bytes_per_token: int | None = Field(default=None, ge=0)
    """Bytes of keys and values of one token that it claims; null: it has none."""
    attention_width: int = Field(default=64, ge=1)
    """Query heads times size of a head that it claims."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fault == "nan" and self.fault_at == "load":
            raise ValueError("fault nan needs fault_at: loglikelihood or generate")
        if self.embedding_parameters >= self.parameters:
            raise ValueError("embedding_parameters must be fewer than parameters")
        return self


@dataclass(frozen=True, slots=True)
class _Weights:
    """The distribution of one next token: weight / total is its probability."""

    digest: bytes
    favourite: int

    def of(self, token: int) -> int:
        return 512 if token == self.favourite else self.digest[token % 64] + 1

    def total(self) -> int:
        """Sum over the vocabulary: residues 0..63 occur four times, residue 0 once more."""
        plain = 4 * (sum(self.digest) + 64) + self.digest[0] + 1
        return plain - (self.digest[self.favourite % 64] + 1) + 512


class FakeBackend(LocalBackend):
    """Deterministic answers and injected faults; see :class:`FakeOptions`."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES["fake"]

    def __init__(self) -> None:
        self._options = FakeOptions()
        self._artefact = ""
        self._context = 0

    def load(self, job: LoadJob) -> ModelInfo:
        """Any path will do; the answers depend on ``artefact_sha256`` and the options."""
        self._options = options = read_options(FakeOptions, job.target)
        self._artefact, self._context = job.artefact_sha256, job.target.context
        self._fail_at("load")
        weight_bytes = math.ceil(options.parameters * options.bits_per_weight / 8)
        multiplied = options.parameters - options.embedding_parameters
        return ModelInfo(
            artefact_sha256=job.artefact_sha256,
            artefact_bytes=job.path.stat().st_size if job.path.is_file() else weight_bytes,
            weight_bytes=weight_bytes,
            parameters=options.parameters,
            bits_per_weight=8 * weight_bytes / options.parameters,
            layers=1,
            hidden_size=64,
            vocab_size=_VOCAB,
            context_train=job.target.context,
            kv_bytes_per_token=options.kv_bytes_per_token,
            adds_bos=False,
            first_ids=self.encode(PROBE, special=True)[:8],
            engine_version="fake 1",
            decode_weight_bytes=math.ceil(multiplied * options.bits_per_weight / 8),
            matmul_parameters=multiplied,
            attention_width=options.attention_width,
        )

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        """As LocalBackend, after the fault if one was asked for."""
        self._fail_at("loglikelihood")
        outputs = super().loglikelihood(requests, share=share)
        yield from self._biased(requests, outputs) if self._options.mode in _BIASED else outputs

    def _biased(
        self,
        requests: Sequence[LoglikelihoodRequest | RollingRequest],
        outputs: Iterator[LoglikelihoodOutput],
    ) -> Iterator[LoglikelihoodOutput]:
        """The outputs with a value that order or length alone decides."""
        asked: Counter[str] = Counter()
        for request, output in zip(requests, outputs, strict=True):
            if isinstance(request, RollingRequest):
                context, text = "", request.text
            else:
                context, text = self.render(request.context), request.continuation
            before = asked[context]
            asked[context] += 1
            if output.logprob is None:
                yield output
                continue
            if self._options.mode == "first":
                value = -1e-6 - 1000.0 * before
            else:
                value = -1000.0 / (1 + len(text))
            windows = tuple(
                WindowScore(logprob=value * window.tokens / output.tokens, tokens=window.tokens)
                for window in output.windows
            )
            yield output.model_copy(update={"logprob": value, "windows": windows})

    def sharing(self) -> Sharing:
        """Exact: nothing is ever rounded differently."""
        return Sharing(True)

    def batching(self) -> Batching:
        """As many as the option says: a batch never changes an answer."""
        return Batching(self._options.generate_batch)

    def _room(self) -> Room:
        return Room(self._options.generate_batch, self._context * self._options.generate_batch)

    def _open_batch(self, *, many: bool) -> FakeBatch:
        pauses = self._options.ttft_s, self._options.itl_s
        return FakeBatch(self._hash, partial(self._row, place="generate"), pauses)

    def _logprob_parts(self, ids: Ids, first: int) -> Iterator[LogprobMatrix]:
        """The fake's own distributions, 257 columns, a row at a time."""
        state = self._hash(ids[:first])
        for token in ids[first:]:
            yield self._row(state, place="loglikelihood")[None, :]
            state.update(token.to_bytes(2, "little"))

    def _row(self, state: hashlib.blake2b, written: int = 0, *, place: str) -> Logits:
        """log p of the next token [nats], shape (257,); ``written``: tokens of the answer."""
        import numpy as np

        row = np.full(_VOCAB, -math.log(_VOCAB), dtype=np.float32)
        if self._non_finite(place):
            row[:] = np.nan
        elif self._options.mode == "abstain" and place == "generate":
            row[:] = -np.inf
            row[self._pick(state, written)] = 0.0
        elif self._options.mode != "constant":
            weights = _weights(state)
            row[:] = np.log(np.array([weights.of(t) for t in range(_VOCAB)]) / weights.total())
        return row

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """As LocalBackend, after the fault if one was asked for."""
        self._fail_at("generate")
        return super().generate(request)

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        """As LocalBackend, after the fault if one was asked for."""
        self._fail_at("generate")
        yield from super().generate_many(requests)

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], n: int, *, depth: int = 0
    ) -> tuple[GenerateOutput, ...]:
        """As LocalBackend, after the fault if one was asked for."""
        self._fail_at("generate")
        return super().generate_ids(prompts, n, depth=depth)

    def encode(self, text: str, *, special: bool) -> Ids:
        """UTF-8 bytes, shifted so that a blank is 0; nothing special is ever added."""
        return tuple((byte - _SPACE) % _END for byte in text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        """The bytes as text, broken sequences replaced."""
        text = bytes((token + _SPACE) % _END for token in ids if token != _END)
        return text.decode(errors="replace")

    def vocab_size(self) -> int:
        """256: the byte tokens."""
        return _END

    def close(self) -> None:
        """Nothing to free."""

    def _prefix(self) -> tuple[int, str]:
        return _END, ""

    def _render(self, messages: Sequence[ChatMessage], *, reply: bool) -> str:
        turns = "".join(f"<{m.role}>\n{m.content}\n" for m in messages)
        return turns + ("<assistant>\n" if reply else "")

    def _is_end(self, token: int) -> bool:
        return token == _END

    def _limit(self) -> int:
        return self._context

    def _score_alone(self, pair: Pair) -> TokenScore:
        return self._score_one(self._hash(pair.context), pair.continuation)

    def _score_pack(self, pack: Pack) -> Sequence[TokenScore]:
        return [self._score_alone(pair) for pair in pack.pairs()]

    def _score_one(self, state: hashlib.blake2b, tokens: Ids) -> TokenScore:
        if self._non_finite("loglikelihood"):
            return TokenScore(None, greedy=False)
        if self._options.mode == "constant":
            return TokenScore(-len(tokens) * math.log(_VOCAB), greedy=not any(tokens))
        logprob, greedy = 0.0, True
        for token in tokens:
            weights = _weights(state)
            logprob += math.log(weights.of(token) / weights.total())
            greedy = greedy and token == weights.favourite
            state.update(token.to_bytes(2, "little"))
        return TokenScore(logprob, greedy)

    def _decoder(self, rows: int) -> FakeDecoder:
        finite = not self._non_finite("generate")
        pauses = self._options.ttft_s, self._options.itl_s
        return FakeDecoder(self._hash, self._pick, pauses, finite=finite)

    def _pick(self, state: hashlib.blake2b, written: int) -> int:
        """The likeliest token after ``written`` tokens of an answer."""
        if self._options.mode == "abstain":
            script = self.encode(_DONT_KNOW, special=False)
            return script[written] if written < len(script) else _END
        return 0 if self._options.mode == "constant" else _weights(state).favourite

    def _hash(self, tokens: Ids) -> hashlib.blake2b:
        """Hash state after ``tokens``, salted by who answers this context."""
        text = b"".join(token.to_bytes(2, "little") for token in tokens)
        own = f"{self._options.seed}:{self._artefact}:".encode()
        draw = hashlib.blake2b(own + text, digest_size=8).digest()
        teacher = int.from_bytes(draw, "little") / 2**64 < self._options.quality
        return hashlib.blake2b((b"teacher:" if teacher else own) + text)

    def _non_finite(self, place: str) -> bool:
        options = self._options
        return options.mode == "nan" or (options.fault == "nan" and options.fault_at == place)

    def _fail_at(self, place: str) -> None:
        options = self._options
        if options.fault_at != place or not options.fault:
            return
        if options.fault in _SIGNALS:
            os.kill(os.getpid(), _SIGNALS[options.fault])
        elif options.fault == "hang":
            threading.Event().wait()
        elif options.fault == "oom":
            _exhaust(options.oom_cap_bytes)
        elif options.fault == "error":
            raise RuntimeError(f"fake fault at {place}")


def _weights(state: hashlib.blake2b) -> _Weights:
    digest = state.digest()
    if digest[1] == 0:  # about one token in 256 ends a generation
        return _Weights(digest, _END)
    return _Weights(digest, _FAVOURITES[digest[0] % len(_FAVOURITES)])


def _exhaust(cap_bytes: int) -> None:
    """Reserve memory block by block until a limit or the cap; always raises BackendError."""
    blocks: list[bytearray] = []
    try:
        while len(blocks) * _BLOCK < cap_bytes:
            blocks.append(bytearray(_BLOCK))
        what = "its cap"
    except MemoryError:
        what = "a memory limit"
    held = len(blocks) * _BLOCK
    blocks.clear()
    raise BackendError(
        Status.OOM,
        f"out of memory: {what} was reached after {held} bytes (fault injected by the fake)",
        "raise the target's memory_limit_bytes or use a smaller variant",
    )
