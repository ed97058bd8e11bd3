"""Grades of energy figures: what kind of source a number of joules rests on.

A wall meter covers everything; a hardware counter what it is wired to; sampled power misses what
happens between samples; a load model restates time and load; a constant restates time alone.
Numbers of different grades are not ranked against each other, and D and E are no axis of a front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from slmbench.records import Method

Grade = Literal["A", "B", "C", "D", "E"]

SOURCES: Mapping[Grade, str] = {
    "A": "wall meter",
    "B": "hardware counter",
    "C": "sampled power",
    "D": "load model",
    "E": "constant",
}
"""What a grade stands for, strongest first."""
RANKED: frozenset[Grade] = frozenset({"A", "B", "C"})
"""Grades that may be ranked, each among its own."""
WALL = "wall"
"""Scopes of wall meters begin with it."""
LOAD_MODEL, CONSTANT_MODEL = "cpu by machine load", "cpu constant"
"""How the scopes of modelled energy end."""
_LOADS = (LOAD_MODEL, "machine load scaling", "from RAPL")


def grade(method: Method | str, scope: str, reason: str = "") -> Grade | None:
    """Grade of an energy figure from how it was read and what it covers; None: of no source.

    A modelled total is D at best, even with a counter inside it; it is E unless its scope or its
    reason says that the processor's share follows the load.

    >>> grade("sampled", "wall, whole machine"), grade("counter", "gpu0 board")
    ('A', 'B')
    >>> grade("modelled", "whole machine, modelled, cpu constant"), grade("derived", "x")
    ('E', None)
    """
    if method == "modelled":
        told = f"{scope}; {reason}"
        return "D" if any(words in told for words in _LOADS) else "E"
    if method not in ("sampled", "counter"):
        return None
    if scope.startswith(WALL):
        return "A"
    return "B" if method == "counter" else "C"


def weakest(grades: Iterable[Grade]) -> Grade | None:
    """The label of a total: the weakest of its parts; None without parts.

    >>> weakest(["B", "A", "D"])
    'D'
    """
    return max(grades, default=None)
