"""Judging by the task itself: lm-eval's filters and ``process_results``, for all other tasks.

The documents travel in the items' ``target``. Metrics that slmbench's table does not know are
left out, because nothing could say in which direction they point. Importing imports lm-eval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from lm_eval.api.instance import Instance

from slmbench.metrics import METRICS
from slmbench.records import ScoreRow
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodOutput
from slmbench.tasks.definitions import define
from slmbench.tasks.lm_eval_bridge import configuration, configured
from slmbench.tasks.scorers.answers import Answered, UnscorableError, Values, judge

_SPLIT = "test"


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """One row per item and known metric; a failed answer makes the item's rows null."""
    docs = {item.item_id: json.loads(item.target) for item in item_set.items}
    task = _task(item_set.task, list(docs.values()))
    names = tuple(name for name in task.aggregation() if name in METRICS)

    def values(answered: Answered) -> Values:
        doc = docs[answered.item.item_id]
        results = _filtered(task, doc, answered)
        found: Mapping[str, Any] = task.process_results(doc, results)
        return {name: _number(found.get(name)) for name in names}

    return judge(item_set, outputs, lambda _: names, values)


def _task(name: str, docs: list[dict[str, Any]]) -> Any:
    config = configuration(define(name))
    config |= {"process_docs": None, "test_split": _SPLIT, "fewshot_config": None}
    return configured(config, {_SPLIT: datasets.Dataset.from_list(docs)})


def _filtered(task: Any, doc: Mapping[str, Any], answered: Answered) -> list[Any]:
    """Answers after the task's first filter, in request order, as lm-eval would pass them."""
    instances = []
    for index, response in enumerate(_responses(answered)):
        instance = Instance(
            request_type=task.OUTPUT_TYPE, doc=doc, arguments=(), idx=index, metadata=("", 0, 1)
        )
        instance.resps.append(response)
        instances.append(instance)
    ensemble = task._filters[0]  # noqa: SLF001 - lm-eval offers no other way to one filter
    ensemble.apply(instances)
    return [instance.filtered_resps[ensemble.name] for instance in instances]


def _responses(answered: Answered) -> list[Any]:
    if answered.output is None:
        raise UnscorableError("no_answer")
    first = answered.output.outputs[0]
    if not isinstance(first, LoglikelihoodOutput):
        return [answered.generated().text]
    logprobs = answered.logprobs()
    if _is_rolling(answered.item):
        return list(logprobs)
    greedy = [o.greedy for o in answered.output.outputs if isinstance(o, LoglikelihoodOutput)]
    if None in greedy:
        raise UnscorableError("greedy_unknown")
    return list(zip(logprobs, greedy, strict=True))


def _is_rolling(item: Item) -> bool:
    return item.requests[0].kind == "rolling"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
