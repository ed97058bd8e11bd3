"""Items paired with their outputs, and what every scorer needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slmbench.errors import SlmbenchError
from slmbench.records import ScoreRow
from slmbench.requests import GenerateOutput, Item, ItemOutput, ItemSet, LoglikelihoodOutput


class UnscorableError(Exception):
    """This item's answer cannot be judged; the text becomes the row's ``failure``."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One item with the answers to its requests; ``output`` is None when it was not answered."""

    item: Item
    output: ItemOutput | None

    def logprobs(self) -> tuple[float, ...]:
        """Log-likelihoods in request order [nats]; UnscorableError if any is missing."""
        values: list[float] = []
        for output in self._outputs():
            if not isinstance(output, LoglikelihoodOutput):
                raise UnscorableError("not_a_loglikelihood")
            if output.failure is not None or output.logprob is None:
                raise UnscorableError(output.failure or "no_logprobs")
            values.append(output.logprob)
        return tuple(values)

    def tokens(self) -> tuple[int, ...]:
        """Scored tokens of each log-likelihood, in request order."""
        return tuple(o.tokens for o in self._outputs() if isinstance(o, LoglikelihoodOutput))

    def straddle_rate(self) -> float:
        """Share of the log-likelihoods in which a token reached from context to continuation."""
        scored = [o for o in self._outputs() if isinstance(o, LoglikelihoodOutput)]
        return sum(o.straddle for o in scored) / len(scored)

    def generated(self) -> GenerateOutput:
        """The one generated answer; UnscorableError if it failed."""
        (output,) = self._outputs()
        if not isinstance(output, GenerateOutput):
            raise UnscorableError("not_a_generation")
        if output.failure is not None:
            raise UnscorableError(output.failure)
        return output

    def generations(self) -> tuple[GenerateOutput, ...]:
        """Every generated answer, failed ones included; UnscorableError for anything else."""
        found = tuple(o for o in self._outputs() if isinstance(o, GenerateOutput))
        if len(found) < len(self._outputs()) or not found:
            raise UnscorableError("not_a_generation")
        return found

    def lengths(self) -> dict[str, float]:
        """``output_tokens`` and ``truncation_rate`` of the one generated answer."""
        output = self.generated()
        return {
            "output_tokens": float(len(output.token_ids)),
            "truncation_rate": float(output.finish == "length"),
        }

    def _outputs(self) -> tuple[LoglikelihoodOutput | GenerateOutput, ...]:
        if self.output is None:
            raise UnscorableError("no_answer")
        return self.output.outputs


Values = Mapping[str, float | None]
"""Metric to value; a None value is a metric that this item does not have."""


def judge(
    item_set: ItemSet,
    outputs: Sequence[ItemOutput],
    metrics: Callable[[Item], Sequence[str]],
    values: Callable[[Answered], Values],
) -> list[ScoreRow]:
    """One row per item and metric; an item that cannot be judged has null values and a reason.

    Args:
        item_set: the items.
        outputs: their answers, in any order; items may be missing, strangers may not.
        metrics: the metrics that an item is judged by.
        values: their values; raises UnscorableError.
    """
    rows: list[ScoreRow] = []
    for answered in paired(item_set, outputs):
        failure = None
        found: Values = {}
        try:
            found = values(answered)
        except UnscorableError as error:
            failure = str(error)
        item = answered.item
        for metric in metrics(item):
            value = found.get(metric)
            rows.append(
                ScoreRow(
                    item_id=item.item_id,
                    cluster=item.cluster,
                    group=item.group,
                    metric=metric,
                    value=value,
                    failure=(failure or "not_applicable") if value is None else None,
                )
            )
    return rows


def winner_share(scores: Sequence[float], wanted: int) -> float:
    """Credit of one choice: 1 if it alone is largest, 1/k if k share the maximum, else 0.

    argmax would hand every tie to the first choice, which makes a model that answers nothing
    perfect on data whose right answer is always the first.

    >>> winner_share([-1.0, -2.0, -1.0], 0), winner_share([-1.0, -2.0], 1)
    (0.5, 0.0)
    """
    best = max(scores)
    return 1 / scores.count(best) if scores[wanted] == best else 0.0


def paired(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> Iterator[Answered]:
    """Every item of the set with its answer, in the set's order.

    SlmbenchError for outputs of unknown items or with another number of answers.
    """
    by_id = {output.item_id: output for output in outputs}
    known = {item.item_id for item in item_set.items}
    if strangers := sorted(by_id.keys() - known):
        raise SlmbenchError(
            f"{item_set.task}: outputs of unknown items: {', '.join(strangers[:5])}"
        )
    for item in item_set.items:
        output = by_id.get(item.item_id)
        if output is not None and len(output.outputs) != len(item.requests):
            raise SlmbenchError(
                f"{item_set.task}: item {item.item_id} has {len(item.requests)} requests "
                f"and {len(output.outputs)} outputs"
            )
        yield Answered(item, output)
