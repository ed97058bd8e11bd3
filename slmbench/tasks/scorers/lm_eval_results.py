"""Judging by the task itself: lm-eval's filters and ``process_results``, for all other tasks.

The documents travel in the items' ``target``. Metrics that slmbench's table does not know are
left out, because nothing could say in which direction they point. Importing imports lm-eval.

A generation task may have several filters. The strict one (named ``strict…``, else the first)
gives the metric its plain name, the one named ``flexible…`` gives ``<metric>_flexible``; any
other is not reported. Beside the scores stand how often each found no answer, and lengths.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_FLEXIBLE = "_flexible"
_FAILURE_RATE = "extraction_failure_rate"


@dataclass(frozen=True, slots=True)
class _Filter:
    """One of the task's filter pipelines and what its results are called."""

    ensemble: Any
    suffix: str
    """Behind the metric's name: empty, or ``_flexible``."""


@dataclass(frozen=True, slots=True)
class _Extracted:
    """Answers after a filter, in request order, as lm-eval would pass them."""

    results: list[Any]
    failed: bool
    """The filter found nothing and put its fallback there."""


def score(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> list[ScoreRow]:
    """One row per item and known metric; a failed answer makes the item's rows null.

    Generation tasks also get ``extraction_failure_rate`` (per filter), ``output_tokens`` and
    ``truncation_rate``; log-likelihood tasks ``straddle_rate``.
    """
    docs = {item.item_id: json.loads(item.target) for item in item_set.items}
    task = _task(item_set.task, list(docs.values()))
    generates = task.OUTPUT_TYPE == "generate_until"
    filters = _filters(task) if generates else (_Filter(_pipelines(task)[0], ""),)
    names = tuple(dict.fromkeys(_names(task, filters)))

    def values(answered: Answered) -> Values:
        doc = docs[answered.item.item_id]
        found: dict[str, float | None] = {}
        for each in filters:
            extracted = _extract(task, each.ensemble, doc, answered)
            results: Mapping[str, Any] = task.process_results(doc, extracted.results)
            found |= {f"{name}{each.suffix}": _number(value) for name, value in results.items()}
            found[_FAILURE_RATE + each.suffix] = float(extracted.failed)
        found |= answered.lengths() if generates else {"straddle_rate": answered.straddle_rate()}
        return found

    return judge(item_set, outputs, lambda _: names, values)


def _task(name: str, docs: list[dict[str, Any]]) -> Any:
    config = configuration(define(name))
    config |= {"process_docs": None, "test_split": _SPLIT, "fewshot_config": None}
    return configured(config, {_SPLIT: datasets.Dataset.from_list(docs)})


def _pipelines(task: Any) -> Sequence[Any]:
    ensembles: Sequence[Any] = task._filters  # noqa: SLF001 - lm-eval offers no other way to them
    return ensembles


def _filters(task: Any) -> tuple[_Filter, ...]:
    ensembles = _pipelines(task)
    lenient = next((e for e in ensembles if e.name.startswith("flexible")), None)
    plain = [e for e in ensembles if e is not lenient] or ensembles
    strict = next((e for e in plain if e.name.startswith("strict")), plain[0])
    if lenient is None or lenient is strict:
        return (_Filter(strict, ""),)
    return (_Filter(strict, ""), _Filter(lenient, _FLEXIBLE))


def _names(task: Any, filters: Sequence[_Filter]) -> Iterator[str]:
    """The metrics that are reported, in order."""
    for each in filters:
        yield from (
            known for name in task.aggregation() if (known := f"{name}{each.suffix}") in METRICS
        )
    if task.OUTPUT_TYPE == "generate_until":
        yield from (_FAILURE_RATE + each.suffix for each in filters)
        yield from ("output_tokens", "truncation_rate")
    else:
        yield "straddle_rate"


def _extract(task: Any, ensemble: Any, doc: Mapping[str, Any], answered: Answered) -> _Extracted:
    """Put the answers through a filter pipeline step by step, as lm-eval's own ``apply`` does."""
    instances = [
        Instance(
            request_type=task.OUTPUT_TYPE,
            doc=doc,
            arguments=(),
            idx=index,
            metadata=("", 0, 1),
            resps=[response],
        )
        for index, response in enumerate(_responses(answered))
    ]
    responses: list[Any] = [instance.resps for instance in instances]
    failed = False
    for make in ensemble.filters:
        step = make()
        responses = list(step.apply(responses, [doc] * len(instances)))
        fallback = getattr(step, "fallback", None)
        failed = failed or (fallback is not None and _all_are(fallback, responses))
    return _Extracted(responses, failed or _all_are("", responses))


def _all_are(wanted: Any, found: Any) -> bool:
    """Whether nothing but ``wanted`` (or white space, for "") is in nested lists of answers."""
    if isinstance(found, str):
        return bool(found.strip() == wanted)
    if found == wanted:
        return True
    return isinstance(found, list) and all(_all_are(wanted, each) for each in found)


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
