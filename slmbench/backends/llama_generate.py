"""Answers in batches for llama.cpp: a sequence per answer, a preamble and prompts shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slmbench.backends.decoding import Arrival
from slmbench.backends.llama_session import Cell, LlamaSession, Logits
from slmbench.prefix_tree import Ids


class LlamaBatch:
    """A :class:`slmbench.backends.decoding.Batch` in a session, which it has to itself."""

    def __init__(self, session: LlamaSession) -> None:
        self._session = session
        self._held = self._first = 0
        self._positions: dict[int, int] = {}

    def hold(self, preamble: Ids) -> None:
        """Start cold; a preamble takes sequence 0, and the slots follow after it."""
        self._session.clear()
        self._positions = {}
        self._held, self._first = len(preamble), 1 if preamble else 0
        self._logits([Cell(t, at, (0,), wanted=False) for at, t in enumerate(preamble)])

    def admit(self, arrivals: Sequence[Arrival]) -> Logits:
        """Cells of a prompt carry the sequences of all its answers, which copies nothing."""
        cells: list[Cell] = []
        for arrival in arrivals:
            owners = tuple(slot + self._first for slot in arrival.slots)
            if self._held:
                for sequence in owners:
                    self._session.fork(0, sequence)
            end = self._held + len(arrival.tokens)
            cells += [
                Cell(token, at, owners, wanted=at == end - 1)
                for at, token in enumerate(arrival.tokens, self._held)
            ]
            self._positions.update(dict.fromkeys(arrival.slots, end))
        return self._logits(cells)

    def advance(self, tokens: Mapping[int, int]) -> Logits:
        """One decode call for all slots."""
        cells = [
            Cell(token, self._positions[slot], (slot + self._first,), wanted=True)
            for slot, token in tokens.items()
        ]
        for slot in tokens:
            self._positions[slot] += 1
        return self._logits(cells)

    def release(self, slots: Sequence[int]) -> None:
        """Give cells back that no other sequence shares."""
        for slot in slots:
            self._session.drop(slot + self._first)
            del self._positions[slot]

    def _logits(self, cells: Sequence[Cell]) -> Logits:
        """Copies, because the engine's memory is only lent until the next call."""
        parts = [rows.copy() for _, rows in self._session.feed(cells)]
        return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
