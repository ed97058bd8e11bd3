"""Packed scoring for llama.cpp: many prefix trees in one batch, told apart by sequence ids."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from slmbench.backends.llama_session import Cell, LlamaSession, Logits
from slmbench.backends.protocol import BackendError
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Tree

MAX_OUTPUTS = 512
"""Most logit rows of one decode call: 100 MB for a vocabulary of 49,152."""
_SLICE = 8
"""Rows that one thread turns into log-probabilities at a time: they stay in its cache."""


class Tally:
    """Log-probabilities and greedy flags of tokens, in the order in which they are asked for."""

    def __init__(self, threads: int) -> None:
        self.logprobs: list[float] = []
        self.greedy: list[bool] = []
        self._threads = threads

    def add(self, rows: Logits, goals: Sequence[tuple[int, int]]) -> None:
        """Add log softmax(rows[row])[token] for each (row, token); overwrites ``rows``."""
        at = np.array([row for row, _ in goals])
        goal = rows[at, np.array([token for _, token in goals])]
        parts = [rows[start : start + _SLICE] for start in range(0, len(rows), _SLICE)]
        if len(parts) > 1 and self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                found = list(pool.map(_tops_and_norms, parts))
        else:
            found = [_tops_and_norms(part) for part in parts]
        tops = np.concatenate([top for top, _ in found])
        norms = np.concatenate([norm for _, norm in found])
        self.logprobs += (goal.astype(np.float64) - norms[at]).tolist()
        self.greedy += (goal == tops[at]).tolist()


def log_softmax(rows: Logits) -> Logits:
    """Float32 log-softmax of each row."""
    copy = rows.copy()
    _, norms = _tops_and_norms(copy)
    return (rows.astype(np.float64) - norms[:, None]).astype(np.float32)


def _tops_and_norms(rows: Logits) -> tuple[Logits, Logits]:
    """Largest value and log-sum-exp of each row; overwrites them. NaN stays NaN."""
    tops = rows.max(1)
    with np.errstate(all="ignore"):
        np.subtract(rows, tops[:, None], out=rows)
        np.exp(rows, out=rows)
        return tops, tops + np.log(rows.sum(1))


class PackedScorer:
    """Scores packs in a session of its own."""

    def __init__(self, session: LlamaSession) -> None:
        self._session = session
        self._preamble: Ids = ()
        session.clear()

    def close(self) -> None:
        """Free the session's cells."""
        self._session.close()

    def holds(self, pack: Pack) -> bool:
        """Whether the session has cells for it."""
        return len(pack.preamble) + pack.tokens <= self._session.settings.context

    def score(self, pack: Pack) -> list[TokenScore]:
        """One score per pair of the pack, in order; a failure leaves the session empty."""
        try:
            return self._score(pack)
        except BackendError:
            self._session.clear()
            self._preamble = ()
            raise

    def _score(self, pack: Pack) -> list[TokenScore]:
        self._hold(pack.preamble)
        cells: list[Cell] = []
        wants: dict[int, list[tuple[int, int]]] = {}
        number, pair = 1, 0
        for tree in pack.trees:
            owners = _owners(tree, number)
            for row, (token, depth) in enumerate(zip(tree.ids, tree.depths(), strict=True)):
                cells.append(Cell(token, len(pack.preamble) + depth, owners[row], wanted=False))
            start = len(cells) - len(tree.ids)
            for goals in tree.goals:
                for row, token in zip(goals.rows, goals.tokens, strict=True):
                    wants.setdefault(start + row, []).append((pair, token))
                pair += 1
            number = max(max(owned) for owned in owners) + 1
        for cell in wants:
            cells[cell] = cells[cell]._replace(wanted=True)
        for sequence in range(1, number):
            self._session.fork(0, sequence)
        scores = self._evaluate(cells, wants, pair)
        for sequence in range(1, number):
            self._session.drop(sequence)
        return scores

    def _evaluate(
        self, cells: Sequence[Cell], wants: dict[int, list[tuple[int, int]]], pairs: int
    ) -> list[TokenScore]:
        tally = Tally(self._session.settings.threads)
        order: list[int] = []
        for wanted, rows in self._session.feed(cells):
            goals = [(at, want) for at, cell in enumerate(wanted) for want in wants[cell]]
            order += [pair for _, (pair, _) in goals]
            tally.add(rows, [(at, token) for at, (_, token) in goals])
        logprobs: list[list[float]] = [[] for _ in range(pairs)]
        greedy: list[list[bool]] = [[] for _ in range(pairs)]
        for pair, value, best in zip(order, tally.logprobs, tally.greedy, strict=True):
            logprobs[pair].append(value)
            greedy[pair].append(best)
        return [TokenScore.of(*found) for found in zip(logprobs, greedy, strict=True)]

    def _hold(self, ids: Ids) -> None:
        """Make sequence 0 hold the preamble and nothing else."""
        if ids == self._preamble:
            return
        self._session.clear()
        self._preamble = ()
        for _ in self._session.feed([Cell(t, at, (0,), wanted=False) for at, t in enumerate(ids)]):
            pass
        self._preamble = ids


def _owners(tree: Tree, first: int) -> list[tuple[int, ...]]:
    """Sequences that see each node: one per distinct end, numbered from ``first``."""
    ends = list(dict.fromkeys(goals.rows[-1] for goals in tree.goals))
    owners: list[list[int]] = [[] for _ in tree.ids]
    for sequence, end in enumerate(ends, first):
        for node in tree.path(end):
            owners[node].append(sequence)
    return [tuple(owned) for owned in owners]
