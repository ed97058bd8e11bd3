"""Decoding in onnxruntime-genai: token by token, in a batch, and what a draft needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from time import perf_counter_ns

import numpy as np

from slmbench.backends.decoding import Arrival
from slmbench.backends.onnxruntime_session import (
    Logits,
    OnnxModel,
    OnnxSession,
    batch_logits,
    filled,
)
from slmbench.backends.protocol import BackendError
from slmbench.backends.speculative import Picks
from slmbench.backends.steps import Step
from slmbench.prefix_tree import Ids
from slmbench.records import Status


class OnnxDecoder:
    """A :class:`slmbench.backends.steps.Decoder` of one row."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold and evaluate."""
        self._session.keep(0)
        if before[0]:
            self._session.append(before[0])

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """The prompt in one pass, then one per token."""
        session, (unread,) = self._session, prompts
        evaluated: Ids = (len(unread),)
        while True:
            begin = perf_counter_ns()
            session.append(unread)
            logits = session.last()
            engine = perf_counter_ns() - begin
            token = int(logits.argmax())  # NaN is the largest
            finite = isfinite(logits[token])
            yield Step((token,), perf_counter_ns(), finite, evaluated, engine)
            unread, evaluated = (token,), ()


class OnnxBatchDecoder:
    """The same for several rows, which the engine begins together and ends together."""

    def __init__(self, model: OnnxModel, rows: int) -> None:
        self._model, self._rows = model, rows
        self._generator = model.generator(rows)

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold; nothing can be held."""
        if before[0]:
            raise BackendError(
                Status.UNSUPPORTED,
                "onnxruntime-genai takes the prompts of a batch once, so nothing can stand before",
                "measure a batch without a depth, or a depth with batch 1",
            )
        self._generator.rewind_to(0)

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """The prompts in one pass, then one per token."""
        pad = self._model.settings.pad
        if any(pad in prompt for prompt in prompts):
            raise BackendError(
                Status.UNSUPPORTED,
                f"token {pad} stands in a prompt of a batch, which the engine fills up with it",
                "leave that token out of the prompts",
            )
        evaluated = tuple(map(len, prompts))
        while True:
            begin = perf_counter_ns()
            if evaluated:
                self._generator.append_tokens(filled(prompts, pad))
            else:
                self._generator.generate_next_token()  # takes the arg max of the same logits
            logits = batch_logits(self._generator, self._rows)
            engine = perf_counter_ns() - begin
            best: list[int] = logits.argmax(1).tolist()
            finite = all(isfinite(row[token]) for row, token in zip(logits, best, strict=True))
            yield Step(tuple(best), perf_counter_ns(), finite, evaluated, engine)
            evaluated = ()


class OnnxBatch:
    """A :class:`slmbench.backends.decoding.Batch` of a single slot."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session

    def hold(self, preamble: Ids) -> None:
        """Start cold."""
        self._session.keep(0)
        if preamble:
            self._session.append(preamble)

    def admit(self, arrivals: Sequence[Arrival]) -> Logits:
        """The one prompt."""
        (arrival,) = arrivals
        return self._next(arrival.tokens)

    def advance(self, tokens: Mapping[int, int]) -> Logits:
        """One token more."""
        return self._next(tuple(tokens.values()))

    def release(self, slots: Sequence[int]) -> None:
        """Forget it."""
        self._session.keep(0)

    def _next(self, tokens: Ids) -> Logits:
        self._session.append(tokens)
        return np.array(self._session.last()[None], dtype=np.float32)


class OnnxReader:
    """A :class:`slmbench.backends.speculative.Reader` in a session that it has to itself."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session
        self.room = session.model.settings.context

    def clear(self) -> None:
        """Forget everything."""
        self._session.keep(0)

    def read(self, tokens: Ids, wanted: int) -> Picks:
        """One pass; only where several picks are wanted, all logits are fetched."""
        self._session.append(tokens)
        if wanted < 1:
            return Picks((), finite=True)
        rows = self._session.rows(wanted) if wanted > 1 else self._session.last()[None]
        best = rows.argmax(1)
        finite = np.isfinite(rows[np.arange(len(best)), best]).all()
        return Picks(tuple(best.tolist()), bool(finite))

    def keep(self, length: int) -> None:
        """Go back."""
        self._session.keep(length)
