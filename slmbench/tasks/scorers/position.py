"""How likely tokens are by their position in the context: nats per token, in ranges that double.

Needs every token's log-probability (``metadata.details``). A position is the number of tokens of
the window before the token, the prefix token not counted. Each window of each text gives a row
per range, which weighs as many as its tokens; windows are the clusters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodOutput
from slmbench.tasks.scorers.answers import Answered, UnscorableError, paired

METRIC = "position_nll"
FIRST = 64
"""Tokens of the first range; the next is as long, then each twice the one before."""


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """A row per text, window and range; a text that failed has one null row with the reason."""
    return [row for answered in paired(item_set, outputs) for row in _rows(answered)]


def range_of(position: int) -> str:
    """The range that a position lies in, by its ends.

    >>> range_of(0), range_of(63), range_of(64), range_of(300)
    ('0 to 63', '0 to 63', '64 to 127', '256 to 511')
    """
    if position < FIRST:
        return f"0 to {FIRST - 1}"
    start = FIRST * 2 ** ((position // FIRST).bit_length() - 1)
    return f"{start} to {2 * start - 1}"


def starts(windows: Sequence[int]) -> tuple[int, ...]:
    """Position of the first scored token of each window, from the windows' scored tokens.

    All windows but the last are full and begin anew; the last is filled up with what stands
    before it (:func:`slmbench.backends.units.windows`).

    >>> starts([100]), starts([100, 100, 30])
    ((0,), (0, 0, 70))
    """
    last = windows[0] - windows[-1] if len(windows) > 1 else 0
    return (*[0] * (len(windows) - 1), last)


def _rows(answered: Answered) -> Iterator[ScoreRow]:
    item = answered.item
    try:
        output = _output(answered)
        found = list(_window_rows(item, output))
    except UnscorableError as error:
        found = [
            ScoreRow(item_id=item.item_id, cluster=item.cluster, group="", metric=METRIC,
                     value=None, failure=str(error))
        ]  # fmt: skip
    yield from found


def _output(answered: Answered) -> LoglikelihoodOutput:
    answered.logprobs()  # raises for whatever cannot be judged
    assert answered.output is not None
    (output,) = answered.output.outputs
    assert isinstance(output, LoglikelihoodOutput)
    if not output.details or len(output.details) != sum(w.tokens for w in output.windows):
        raise UnscorableError("no_logprobs")
    return output


def _window_rows(item: Item, output: LoglikelihoodOutput) -> Iterator[ScoreRow]:
    at = 0
    first = starts([window.tokens for window in output.windows])
    for number, (window, start) in enumerate(zip(output.windows, first, strict=True)):
        ranges: dict[str, list[float]] = {}
        for offset in range(window.tokens):
            detail = output.details[at + offset]
            ranges.setdefault(range_of(start + offset), []).append(-detail.logprob)
        at += window.tokens
        for name, nats in ranges.items():
            yield ScoreRow(
                item_id=f"{item.item_id}/{number}",
                cluster=f"{item.item_id}/{number}",
                group=name,
                metric=METRIC,
                value=math.fsum(nats) / len(nats),
                weight=float(len(nats)),
            )
