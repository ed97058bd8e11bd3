"""Greedy decoding step by step, and how its clock is read: one rule for all engines."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter_ns
from typing import Protocol

from slmbench.prefix_tree import Ids


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
    engine_ns: int = 0
    """How long the engine's own calls of this step took, their waiting included [ns]."""
    drafted: int = 0
    """Tokens that a draft had proposed for this step and those that became known with it."""
    accepted: int = 0
    """How many of them were accepted."""


class Decoder(Protocol):
    """Rows that are written side by side; end tokens are ignored."""

    def hold(self, before: Sequence[Ids]) -> None:
        """Start cold, then put these tokens into the cache, one sequence per row.

        All have the same length, which may be 0. When it returns, the engine has done the work.
        """

    def steps(self, prompts: Sequence[Ids]) -> Iterator[Step]:
        """After what is held: the prompts, then a token per row and step, until closed."""


@dataclass(frozen=True, slots=True)
class Timed:
    """So many steps with the time at which they began."""

    start_ns: int
    """perf_counter_ns before the prompts were handed over."""
    steps: tuple[Step, ...]

    @property
    def engine_ns(self) -> int:
        """Time in the engine's calls from the first token to the last one [ns]."""
        return sum(step.engine_ns for step in self.steps[1:])

    @property
    def drafted(self) -> int:
        """Tokens that a draft proposed."""
        return sum(step.drafted for step in self.steps)

    @property
    def accepted(self) -> int:
        """How many of them were accepted."""
        return sum(step.accepted for step in self.steps)


def timed_steps(decoder: Decoder, rows: Sequence[Ids], n: int, depth: int) -> Timed:
    """``n`` steps after each row; the first ``depth`` tokens are cached before the clock starts.

    Python's garbage collection waits until the last token: a full pass takes milliseconds in
    a process that holds an engine.
    """
    before, prompts = [row[:depth] for row in rows], [row[depth:] for row in rows]
    decoder.hold(before)
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = perf_counter_ns()
        steps = tuple(islice(decoder.steps(prompts), n))
    finally:
        if collecting:
            gc.enable()
    return Timed(start, steps)
