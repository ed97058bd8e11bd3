"""Choices that stand for something: which role stands where, and scores per character."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from slmbench.tasks.scorers.answers import Answered, UnscorableError


def by_role(target: str, roles: Collection[str], default: Sequence[str]) -> Mapping[str, int]:
    """Index of each role's choice.

    Args:
        target: JSON list of roles in the order of the choices; empty means ``default``.
        roles: roles that may occur, each at most once.
        default: the order of items without a target.

    Raises UnscorableError for a list that is none of these.
    """
    if not target:
        return {role: index for index, role in enumerate(default)}
    try:
        order = json.loads(target)
    except ValueError:
        raise UnscorableError("unknown_roles") from None
    known = isinstance(order, list) and all(isinstance(r, str) and r in roles for r in order)
    if not known or len(set(order)) != len(order):
        raise UnscorableError("unknown_roles")
    return {role: index for index, role in enumerate(order)}


def per_character(answered: Answered, count: int | None = None) -> tuple[float, ...]:
    """Log-likelihood of each choice over its characters [nats/char], in order.

    Raises UnscorableError for a failed or empty choice, or for another number of choices than
    ``count`` (None: any).
    """
    logprobs = answered.logprobs()
    lengths = [len(choice) for choice in answered.item.choices]
    if len(logprobs) != len(lengths) or 0 in lengths or not logprobs:
        raise UnscorableError("empty_continuation")
    if count is not None and len(logprobs) != count:
        raise UnscorableError(f"not_{count}_choices")
    return tuple(lp / n for lp, n in zip(logprobs, lengths, strict=True))
