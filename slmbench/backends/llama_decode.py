"""Timed decoding in llama.cpp: as little as possible between two calls of the engine.

The arrays of a batch are made once and written as numpy arrays; logits are read where the
engine keeps them. llama-bench (``tools/llama-bench`` of llama.cpp) hands over as many tokens at
a time and asks for the last one's logits only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from math import isfinite
from time import perf_counter_ns
from typing import Any

import llama_cpp.llama_cpp as api
import numpy as np
import numpy.typing as npt

from slmbench.backends.llama_session import LlamaSession, Logits
from slmbench.backends.speculative import Picks
from slmbench.backends.steps import Step
from slmbench.prefix_tree import Ids

_Ints = npt.NDArray[np.int32]


class LlamaDecoder:
    """A :class:`slmbench.backends.steps.Decoder` in a session, which it has to itself."""

    def __init__(self, session: LlamaSession, rows: int) -> None:
        self._session, self._rows = session, rows
        self._batch = _Arrays(session.call_tokens)
        self._held = 0

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold and evaluate; no logits are asked for."""
        self._session.clear()
        self._held = len(before[0])
        if self._held:
            for _ in self._fed(before, first=0, wanted=False):
                pass
            self._session.wait()

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """The prompts in calls as large as the engine takes, then a call per token."""
        begin, best, finite = perf_counter_ns(), [], True
        for logits in self._fed(prompts, first=self._held, wanted=True):
            best += self._pick(logits)
            finite = finite and self._finite(logits, best[-len(logits) :])
        lengths = tuple(map(len, prompts))
        now = perf_counter_ns()
        yield Step(tuple(best), now, finite, lengths, now - begin)
        batch = self._batch.step(self._rows, [self._held + n for n in lengths])
        decode, rows = self._session.decode, self._session.rows
        while True:
            self._batch.put(best)
            begin = perf_counter_ns()
            decode(batch)
            logits = rows(self._rows)
            engine = perf_counter_ns() - begin
            best = self._pick(logits)
            finite = self._finite(logits, best)
            yield Step(tuple(best), perf_counter_ns(), finite, (), engine)
            self._batch.advance()

    def _fed(self, rows: Sequence[Ids], *, first: int, wanted: bool) -> Iterator[Logits]:
        """Evaluate the rows one after the other, from position ``first`` on.

        Yields the logits of those rows whose last token was in a call, call by call.
        """
        tokens: _Ints = np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])
        lengths = [len(row) for row in rows]
        owners: _Ints = np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
        places: _Ints = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]) + first
        asked = np.zeros(len(tokens), dtype=np.int8)
        if wanted:
            asked[np.cumsum(lengths) - 1] = 1
        size = self._session.call_tokens
        for start in range(0, len(tokens), size):
            part = slice(start, start + size)
            self._session.decode(
                self._batch.fill(tokens[part], places[part], owners[part], asked[part])
            )
            if count := int(asked[part].sum()):
                yield self._session.rows(count)

    @staticmethod
    def _pick(logits: Logits) -> list[int]:
        """Arg max of each row; NaN is the largest."""
        if len(logits) == 1:
            return [int(logits[0].argmax())]
        best: list[int] = logits.argmax(1).tolist()
        return best

    @staticmethod
    def _finite(logits: Logits, best: Sequence[int]) -> bool:
        return all(isfinite(row[token]) for row, token in zip(logits, best, strict=True))


class LlamaReader:
    """A :class:`slmbench.backends.speculative.Reader` in a session that it has to itself."""

    def __init__(self, session: LlamaSession, room: int) -> None:
        self._session, self.room = session, room
        self._batch = _Arrays(session.call_tokens)
        self._length = 0

    def clear(self) -> None:
        """Forget everything."""
        self._session.clear()
        self._length = 0

    def read(self, tokens: Ids, wanted: int) -> Picks:
        """In calls as large as the engine takes."""
        ids: _Ints = np.asarray(tokens, dtype=np.int32)
        places: _Ints = np.arange(len(ids), dtype=np.int32) + self._length
        asked = np.arange(len(ids)) >= len(ids) - wanted
        best: list[int] = []
        finite = True
        for start in range(0, len(ids), self._session.call_tokens):
            part = slice(start, start + self._session.call_tokens)
            struct = self._batch.fill(ids[part], places[part], places[part] * 0, asked[part])
            self._session.decode(struct)
            if count := int(asked[part].sum()):
                logits = self._session.rows(count)
                found = logits.argmax(1)
                finite = finite and bool(np.isfinite(logits[np.arange(count), found]).all())
                best += found.tolist()
        if not wanted:
            self._session.wait()
        self._length += len(ids)
        return Picks(tuple(best), finite)

    def keep(self, length: int) -> None:
        """Give the cells of all later tokens back."""
        self._session.cut(0, length)
        self._length = min(self._length, length)


class _Arrays:
    """A ``llama_batch`` over arrays of our own, a sequence per token."""

    def __init__(self, size: int) -> None:
        self._token = np.zeros(size, dtype=np.int32)
        self._place = np.zeros(size, dtype=np.int32)
        self._owner = np.zeros(size, dtype=np.int32)
        self._asked = np.ones(size, dtype=np.int8)
        self._counts = np.ones(size, dtype=np.int32)
        self._lists = self._owner.ctypes.data + 4 * np.arange(size, dtype=np.uintp)
        self._live = slice(0)
        self.struct = api.llama_batch()
        self.struct.token = _pointer(self._token, api.llama_token)
        self.struct.pos = _pointer(self._place, api.llama_pos)
        self.struct.n_seq_id = _pointer(self._counts, ctypes.c_int32)
        self.struct.seq_id = _pointer(self._lists, ctypes.POINTER(api.llama_seq_id))
        self.struct.logits = _pointer(self._asked, ctypes.c_int8)

    def fill(self, tokens: _Ints, places: _Ints, owners: _Ints, asked: Any) -> Any:
        """The batch with these tokens."""
        self.struct.n_tokens = count = len(tokens)
        self._token[:count] = tokens
        self._place[:count] = places
        self._owner[:count] = owners
        self._asked[:count] = asked
        return self.struct

    def step(self, rows: int, places: Sequence[int]) -> Any:
        """The batch of one token per row, at these positions."""
        self._live = slice(rows)
        here = np.array(places, dtype=np.int32)
        return self.fill(here * 0, here, np.arange(rows, dtype=np.int32), 1)

    def put(self, tokens: Sequence[int]) -> None:
        """The next tokens of the rows."""
        self._token[self._live] = tokens

    def advance(self) -> None:
        """All rows one position on."""
        self._place[self._live] += 1


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
