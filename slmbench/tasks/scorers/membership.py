"""Scores by which an attacker would tell records that were trained on from those that were not.

Higher always means "more like a member", so that every attack has the same sign. The item's target
is JSON with ``member``; the scores never look at it. Sources: the table of metrics.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence

from slmbench.records import ScoreRow
from slmbench.requests import ItemOutput, ItemSet, LoglikelihoodOutput, RollingRequest, TokenDetail
from slmbench.tasks.scorers.answers import Answered, UnscorableError, paired

METRICS = ("mia_loss", "mia_zlib", "mia_mink", "mia_minkpp")
LOWEST = 0.2
"""Share of the tokens that Min-K% looks at; at least one token."""
_LEAST_SD = 1e-6
"""Below this a distribution is a point: its one token is no surprise, z = 0."""
_LEVEL = 9
"""Of zlib."""


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Four rows per record, weighted by tokens nowhere; a failed text has null rows.

    Answers without token details still have the first two.
    """
    return [row for answered in paired(item_set, outputs) for row in _rows(answered)]


def lowest_mean(values: Sequence[float]) -> float:
    """Mean of the lowest fifth, at least one value.

    >>> lowest_mean([-1.0, -5.0, -2.0]), lowest_mean(list(range(10)))
    (-5.0, 0.5)
    """
    count = max(1, math.floor(LOWEST * len(values)))
    return math.fsum(sorted(values)[:count]) / count


def surprise(detail: TokenDetail) -> float:
    """(log p - mean) / sd of one token; 0 where the distribution is a single point."""
    if detail.sd < _LEAST_SD:
        return 0.0
    return (detail.logprob - detail.mean) / detail.sd


def _rows(answered: Answered) -> Iterator[ScoreRow]:
    item = answered.item
    found: dict[str, float] = {}
    failure = "no_token_details"
    try:
        found = _values(answered)
    except UnscorableError as error:
        failure = str(error)
    for metric in METRICS:
        value = found.get(metric)
        yield ScoreRow(
            item_id=item.item_id,
            cluster=item.cluster,
            group=item.group,
            metric=metric,
            value=value,
            failure=None if value is not None else failure,
        )


def _values(answered: Answered) -> dict[str, float]:
    (total,) = answered.logprobs()
    assert answered.output is not None
    (output,) = answered.output.outputs
    (request,) = answered.item.requests
    assert isinstance(output, LoglikelihoodOutput)
    if not isinstance(request, RollingRequest):
        raise UnscorableError("not_a_text")
    if not output.tokens or not request.text:
        raise UnscorableError("empty_continuation")
    found = {
        "mia_loss": total / output.tokens,
        "mia_zlib": total / len(zlib.compress(request.text.encode(), _LEVEL)),
    }
    if len(output.details) == output.tokens:
        found["mia_mink"] = lowest_mean([d.logprob for d in output.details])
        found["mia_minkpp"] = lowest_mean([surprise(d) for d in output.details])
    return found
