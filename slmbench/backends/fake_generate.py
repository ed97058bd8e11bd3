"""Decoding of the fake, timed and in batches: one hash state per sequence."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from slmbench.backends.decoding import Arrival
from slmbench.backends.steps import Step
from slmbench.prefix_tree import Ids

if TYPE_CHECKING:
    from slmbench.backends.decoding import Logits

State = hashlib.blake2b


class FakeBatch:
    """A :class:`slmbench.backends.decoding.Batch` of hash states."""

    def __init__(
        self,
        begin: Callable[[Ids], State],
        row: Callable[[State, int], Logits],
        pauses: tuple[float, float],
    ) -> None:
        """``row``: logits of a state after so many written tokens; ``pauses``: before the first
        token and before each later one [s]."""
        self._begin, self._row, self._pauses = begin, row, pauses
        self._preamble: Ids = ()
        self._rows: dict[int, tuple[State, int]] = {}

    def hold(self, preamble: Ids) -> None:
        """Forget all rows."""
        self._preamble, self._rows = preamble, {}

    def admit(self, arrivals: Sequence[Arrival]) -> Logits:
        """Begin a row per slot."""
        for arrival in arrivals:
            for slot in arrival.slots:
                self._rows[slot] = self._begin(self._preamble + arrival.tokens), 0
        return self._read([arrival.slots[0] for arrival in arrivals], self._pauses[0])

    def advance(self, tokens: Mapping[int, int]) -> Logits:
        """One token more for each slot."""
        for slot, token in tokens.items():
            state, written = self._rows[slot]
            state.update(token.to_bytes(2, "little"))
            self._rows[slot] = state, written + 1
        return self._read(list(tokens), self._pauses[1])

    def release(self, slots: Sequence[int]) -> None:
        """Forget these rows."""
        for slot in slots:
            del self._rows[slot]

    def _read(self, slots: Sequence[int], pause: float) -> Logits:
        import numpy as np

        if pause:
            time.sleep(pause)
        return np.stack([self._row(*self._rows[slot]) for slot in slots])


class FakeDecoder:
    """A :class:`slmbench.backends.steps.Decoder` whose engine does nothing but sleep."""

    def __init__(
        self,
        begin: Callable[[Ids], State],
        pick: Callable[[State, int], int],
        pauses: tuple[float, float],
        *,
        finite: bool,
    ) -> None:
        """``pick``: the token after a state and so many written tokens; ``pauses`` as above."""
        self._begin, self._pick, self._pauses, self._finite = begin, pick, pauses, finite
        self._held: tuple[Ids, ...] = ()

    def hold(self, before: Sequence[Ids]) -> None:
        """Forget all rows; takes no time."""
        self._held = tuple(before)

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """Sleep, then know the tokens."""
        states = [self._begin(old + new) for old, new in zip(self._held, prompts, strict=True)]
        evaluated = tuple(map(len, prompts))
        pause, later = self._pauses
        for written in count():
            begin = time.perf_counter_ns()
            if pause:
                time.sleep(pause)
            slept = time.perf_counter_ns() - begin
            ids = tuple(self._pick(state, written) for state in states)
            yield Step(ids, time.perf_counter_ns(), self._finite, evaluated, slept)
            evaluated, pause = (), later
            for state, token in zip(states, ids, strict=True):
                state.update(token.to_bytes(2, "little"))
