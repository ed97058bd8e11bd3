"""Texts that are compared, asked in an order of their own, and put back before they are judged.

If the stereotypical sentence were always asked first, whatever an engine does to the first request
of a pair would pass for a preference. So every item has its order, drawn by its own texts; what
stands in the item's ``target`` says which: digit k is the number of the text that request k has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class OrderError(ValueError):
    """What should be an order of the requests is none."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Texts in the order in which they are asked."""

    texts: tuple[str, ...]
    order: str
    """Digit k: the number that ``texts[k]`` had."""

    @property
    def first(self) -> int:
        """Where number 0 is now."""
        return self.order.index("0")


def shuffled(texts: Sequence[str]) -> Shuffled:
    """The texts in an order that depends on nothing but themselves (at most ten of them)."""
    joined = "\0".join(texts)
    numbers = sorted(
        range(len(texts)), key=lambda i: hashlib.sha256(f"{i}\0{joined}".encode()).hexdigest()
    )
    return Shuffled(tuple(texts[i] for i in numbers), "".join(map(str, numbers)))


def restored(values: Sequence[T], order: str) -> tuple[T, ...]:
    """Values by request as values by number; an empty order leaves them as they are.

    Raises :class:`OrderError` when the order does not name each of them once.

    >>> restored(("b", "c", "a"), "120")
    ('a', 'b', 'c')
    """
    if not order:
        return tuple(values)
    if sorted(order) != [str(i) for i in range(len(values))]:
        raise OrderError(order)
    return tuple(values[order.index(str(i))] for i in range(len(values)))


def own_sentences(docs: Any) -> Any:
    """``process_docs`` of our own pairs: ``sentences`` in an order of their own."""
    return _in_order(docs, "sentences")


def own_texts(docs: Any) -> Any:
    """The same for ``texts``."""
    return _in_order(docs, "texts")


def _in_order(docs: Any, column: str) -> Any:
    def convert(doc: Mapping[str, Any]) -> dict[str, Any]:
        drawn = shuffled(doc[column])
        return {column: list(drawn.texts), "order": drawn.order, "gold": drawn.first}

    return docs.map(convert)
