"""``slmbench show suite NAME``: what a suite asks, of which data, and what it does not measure."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from slmbench.cli.output import Value, emit
from slmbench.data.catalogue import by_hub
from slmbench.errors import SlmbenchError
from slmbench.metrics import METRICS
from slmbench.spec import Suite
from slmbench.spec.load import load_suite
from slmbench.spec.suite import Size, SizeKnobs, SuiteTask
from slmbench.tasks.definitions import TaskDefinition, data_path, define
from slmbench.tasks.refusals import scorer_of

WIDTH = 96
_FORMS: Mapping[str, str] = {
    "multiple_choice": "choices by log-likelihood",
    "loglikelihood": "log-likelihood",
    "loglikelihood_rolling": "log-likelihood of a text",
    "generate_until": "written answer",
}


@dataclass(frozen=True, slots=True)
class ShownTask:
    """One task of a suite, in words."""

    task: str
    primary: str
    """Metric that stands for it."""
    primary_label: str
    definition: str
    """Of the primary metric."""
    scorer: str
    prompt: str
    items: dict[str, str]
    """By size: how many are asked, of how many."""
    data: str
    licence: str
    note: str
    """Why something is not known on this machine; empty otherwise."""


def execute(arguments: argparse.Namespace) -> int:
    """As text, as one JSON object, or its tasks as rows."""
    suite = load_suite(arguments.names[1])
    tasks = [_shown(suite, task) for task in suite.tasks]
    if arguments.format == "json":
        print(json.dumps(_document(suite, tasks), indent=1, ensure_ascii=False))
    elif arguments.format == "table":
        print("\n".join(_text(suite, tasks)))
    else:
        emit(*_rows(suite, tasks), arguments.format)
    return 0


def _document(suite: Suite, tasks: list[ShownTask]) -> dict[str, object]:
    return {
        "name": suite.name,
        "title": suite.title,
        "description": suite.description.strip(),
        "seed": suite.seed,
        "sizes": {
            name: knobs.model_dump(mode="json", exclude_none=True)
            for name, knobs in suite.sizes.items()
        },
        "tasks": [asdict(task) for task in tasks],
        "workloads": [w.workload for w in suite.workloads],
    }


def _rows(suite: Suite, tasks: list[ShownTask]) -> tuple[list[str], list[list[Value]]]:
    sizes = list(suite.sizes)
    head = ["task", "primary metric", "judged by", "asked as", *sizes, "data", "licence"]
    rows: list[list[Value]] = [
        [t.task, t.primary, t.scorer, t.prompt, *(t.items[s] for s in sizes), t.data, t.licence]
        for t in tasks
    ]
    return head, rows


def _text(suite: Suite, tasks: list[ShownTask]) -> Iterator[str]:
    yield f"{suite.name}: {suite.title}"
    yield from ("", "What it does and does not measure")
    yield from _wrapped(suite.description)
    yield from ("", "Sizes")
    for name, knobs in suite.sizes.items():
        yield f"  {name:<9} {_size(knobs)}"
    for task in tasks:
        yield from ("", task.task)
        for label, text in _facts(task):
            yield from _wrapped(text, f"  {label:<9} ")
    if suite.workloads:
        yield from ("", f"Workloads: {', '.join(w.workload for w in suite.workloads)}")


def _facts(task: ShownTask) -> Iterator[tuple[str, str]]:
    yield "primary", f"{task.primary}: {task.definition}"
    yield "judged by", task.scorer or "not known"
    yield "asked as", task.prompt
    yield "items", ", ".join(f"{size}: {count}" for size, count in task.items.items())
    yield "data", f"{task.data or 'not known'} ({task.licence or 'licence not known'})"
    if task.note:
        yield "note", task.note


def _wrapped(text: str, label: str = "  ") -> list[str]:
    indent = " " * len(label)
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=label, subsequent_indent=indent
    )


def _size(knobs: SizeKnobs) -> str:
    said = knobs.model_dump(exclude_none=True)
    count = said.pop("items", None)
    parts = [f"{count} items a task"] if count is not None else []
    parts += [f"{name} {_plain(value)}" for name, value in said.items()]
    return ", ".join(parts)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(str(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(suite: Suite, task: SuiteTask) -> ShownTask:
    declared = METRICS.get(task.primary)
    defined, judge, note = None, "", ""
    try:
        defined = define(task.task)
        judge = scorer_of(defined)
    except SlmbenchError as error:  # a stock task without lm-eval: the suite can still be shown
        note = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
    known = None if defined is None or defined.dataset is None else by_hub(*defined.dataset)
    population = None if defined is None else _population(defined)
    if known is not None and population is None:
        population = known.splits[0].items if known.splits else None
    licence = defined.licence if defined is not None else ""
    return ShownTask(
        task.task,
        task.primary,
        declared.label if declared else task.primary,
        declared.definition if declared else "not in this version's table of metrics",
        judge,
        _prompt(task, defined),
        {size: _count(suite, task, size, population) for size in suite.sizes},
        "" if defined is None else _data(defined),
        licence or (known.licence if known is not None else ""),
        note,
    )


def _prompt(task: SuiteTask, defined: TaskDefinition | None) -> str:
    said = [] if defined is None else [_FORMS.get(defined.output_type, defined.output_type)]
    said.append("model's own chat template" if task.chat_template else "plain text")
    if task.num_fewshot:
        said.append(f"{task.num_fewshot} examples")
    if defined is not None and (samples := defined.sampling.samples):
        said.append(f"{samples} samples beside the greedy answer")
    if task.choices_only:
        said.append("once more with the choices alone")
    if task.perturb:
        said.append(f"once more with: {', '.join(task.perturb)}")
    return "; ".join(said)


def _data(defined: TaskDefinition) -> str:
    if defined.data_file is not None:
        return f"our own {defined.data_file}"
    if defined.dataset is None:
        return ""
    return " ".join(part for part in defined.dataset if part)


def _population(defined: TaskDefinition) -> int | None:
    """Items of an own task's data; None where the data are not here to be counted."""
    if defined.data_file is None:
        return None
    try:
        with data_path(defined).open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return None


def _count(suite: Suite, task: SuiteTask, size: Size, population: int | None) -> str:
    asked: object = suite.sizes[size].items if task.items is None else task.items
    if isinstance(asked, dict):
        asked = asked.get(size, 0)
    if isinstance(asked, tuple):
        return f"{len(asked)} named"
    if asked == 0:
        return "none"
    if not isinstance(asked, int):
        return "all" if population is None else f"all {population}"
    if population is None:
        return str(asked)
    return f"all {population}" if asked >= population else f"{asked} of {population}"
