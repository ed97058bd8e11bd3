"""How likely a text is: nats per token by protocol, and bits per byte.

``rolling``: an item is a document. Value -ln p / tokens weighs as many as its tokens, and
-log2 p / bytes as many as its UTF-8 bytes, so that the pooled value is a ratio of sums.
``gptq`` and ``llama.cpp``: the item is one long text, a row is one window of it, and windows are
the samples. Perplexities are the exponentials of the pooled values (Jelinek et al. 1977), made
when results are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodOutput, RollingRequest
from slmbench.tasks.scorers.answers import Answered, UnscorableError, paired
from slmbench.tasks.texts import text_metrics


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """Two rows per document, or one per window; a failed text has null rows with the reason."""
    return [row for answered in paired(item_set, outputs) for row in _rows(answered)]


def _rows(answered: Answered) -> Iterator[ScoreRow]:
    item = answered.item
    request = item.requests[0]
    assert isinstance(request, RollingRequest), "the bridge makes nothing else for this scorer"
    metrics = text_metrics(request.protocol, request.window)
    try:
        output = _output(answered)
        rows = list(
            _document_rows(item, request, output)
            if request.protocol == "rolling"
            else _window_rows(item, metrics[0], output)
        )
    except UnscorableError as error:
        rows = [_row(item, item.item_id, metric, None, str(error)) for metric in metrics]
    yield from rows


def _output(answered: Answered) -> LoglikelihoodOutput:
    answered.logprobs()  # raises for whatever cannot be judged
    assert answered.output is not None
    (output,) = answered.output.outputs
    assert isinstance(output, LoglikelihoodOutput)
    return output


def _document_rows(
    item: Item, request: RollingRequest, output: LoglikelihoodOutput
) -> Iterator[ScoreRow]:
    nats, octets = -(output.logprob or 0.0), len(request.text.encode())
    if not output.tokens or not octets:
        raise UnscorableError("empty_continuation")
    yield _row(item, item.item_id, "nll_rolling", (nats / output.tokens, output.tokens))
    yield _row(item, item.item_id, "bpb_rolling", (nats / math.log(2) / octets, octets))


def _window_rows(item: Item, metric: str, output: LoglikelihoodOutput) -> Iterator[ScoreRow]:
    if not output.windows:
        raise UnscorableError("text_shorter_than_a_window")
    for index, window in enumerate(output.windows):
        if not window.tokens:
            raise UnscorableError("empty_window")
        value = (-window.logprob / window.tokens, window.tokens)
        yield _row(item, f"{item.item_id}/{index}", metric, value)


def _row(
    item: Item,
    item_id: str,
    metric: str,
    value: tuple[float, int] | None,
    failure: str | None = None,
) -> ScoreRow:
    """A row with (value, weight); windows are their own clusters, documents keep theirs."""
    return ScoreRow(
        item_id=item_id,
        cluster=item.cluster if item_id == item.item_id else item_id,
        group=item.group,
        metric=metric,
        value=None if value is None else value[0],
        failure=failure,
        weight=None if value is None else float(value[1]),
    )
