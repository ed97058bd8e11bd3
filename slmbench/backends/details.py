"""Every scored token with the distribution that it was one outcome of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from slmbench.requests import TokenDetail

if TYPE_CHECKING:
    from slmbench.backends.protocol import LogprobMatrix

_ROWS = 16
"""Rows that are held in float64 at a time."""


def token_details(
    parts: Iterable[LogprobMatrix], tokens: Sequence[int]
) -> tuple[TokenDetail, ...] | None:
    """One detail per token; None if a number among them is NaN or infinite.

    ``parts``: float32 log-softmax rows of the positions that predict ``tokens``, in order, some
    rows at a time, over the full vocabulary [nats]. mean = sum p log p and
    sd = sqrt(sum p (log p - mean)^2) in float64: the same as sqrt(sum p (log p)^2 - mean^2)
    without the cancellation. They are what Min-K%++ (Zhang et al. 2024) standardises with.
    """
    import numpy as np

    found: list[TokenDetail] = []
    for part in parts:
        for start in range(0, len(part), _ROWS):
            rows = part[start : start + _ROWS].astype(np.float64)
            goals = np.asarray(tokens[len(found) : len(found) + len(rows)])
            own = rows[np.arange(len(rows)), goals]
            p = np.exp(rows)
            rows[p == 0] = 0.0  # -inf included: what cannot happen counts nothing
            mean = (p * rows).sum(1)
            rows -= mean[:, None]
            sd = np.sqrt((p * rows * rows).sum(1))
            if not (np.isfinite(own).all() and np.isfinite(mean).all()):
                return None
            found += [
                TokenDetail(logprob=a, mean=b, sd=c)
                for a, b, c in zip(own.tolist(), mean.tolist(), sd.tolist(), strict=True)
            ]
    return tuple(found)
