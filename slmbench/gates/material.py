"""What gates ask: real items where their data can be had, our own where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.errors import SlmbenchError
from slmbench.plan import task_definition
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest
from slmbench.runner.events import Silent
from slmbench.runner.prepare import prepare_items
from slmbench.spec import SuiteTask, TaskSpec
from slmbench.spec.load import load_suite, suite_names

_SEED = 1234
_WANTED = (("hellaswag", "acc_norm"), ("arc_easy", "acc_norm"))
_OWN = (("slm_counterfactual_context", "context_faithful"),
        ("slm_occupation_pronoun", "stereotype_preference"))  # fmt: skip
"""Ship with slmbench: their data need no download."""


@dataclass(frozen=True, slots=True)
class TaskItems:
    """One task's items."""

    primary: str
    items: ItemSet


@dataclass(frozen=True, slots=True)
class Material:
    """Items, and which tasks could not be had."""

    sets: tuple[TaskItems, ...]
    missing: tuple[str, ...] = ()
    """``task: reason``."""

    @property
    def item_sets(self) -> tuple[ItemSet, ...]:
        """The sets alone."""
        return tuple(found.items for found in self.sets)

    @property
    def label(self) -> str:
        """``20 items of hellaswag, 20 of arc_easy``."""
        return ", ".join(f"{len(s.items.items)} items of {s.items.task}" for s in self.sets)


def choice_items(count: int) -> Material:
    """``count`` items each of two public tasks; our own two where there is no data or lm-eval."""
    found = _prepared([_spec(task, primary, count) for task, primary in _WANTED])
    if found.sets:
        return found
    own = _prepared([_spec(task, primary, count) for task, primary in _OWN])
    return Material(own.sets, (*found.missing, *own.missing))


def suite_items(count: int) -> Material:
    """``count`` items of every task of every suite that ships."""
    tasks: dict[tuple[str, int], SuiteTask] = {}
    for name in suite_names():
        for task in load_suite(name).tasks:
            tasks.setdefault((task.task, task.num_fewshot), task)
    specs = [_spec(t.task, t.primary, count, t.num_fewshot) for t in tasks.values()]
    return _prepared(specs)


def texts_of(sets: Sequence[ItemSet]) -> list[str]:
    """Contexts, and contexts with their continuation, as plain text; each once, in order."""
    found: dict[str, None] = {}
    for item in (item for items in sets for item in items.items):
        for request in item.requests:
            if isinstance(request, LoglikelihoodRequest) and isinstance(request.context, str):
                found[request.context] = None
                found[request.context + request.continuation] = None
    return list(found)


def passages(sets: Sequence[ItemSet], count: int) -> list[str]:
    """The ``count`` longest contexts with their right answer: text to read distributions on."""
    texts = [text for items in sets for item in items.items if (text := _whole(item))]
    return sorted(texts, key=lambda text: (-len(text), text))[:count]


def _whole(item: Item) -> str:
    asked = [r for r in item.requests if isinstance(r, LoglikelihoodRequest)]
    gold = item.gold or 0
    if gold >= len(asked) or not isinstance(asked[gold].context, str):
        return ""
    return f"{asked[gold].context}{asked[gold].continuation}"


def _spec(task: str, primary: str, count: int, shots: int = 0) -> TaskSpec | str:
    """The task's settings; why it cannot be had as text."""
    try:
        definition = task_definition(task)
    except SlmbenchError as error:
        return f"{task}: {error.message}"
    return TaskSpec(
        task=task,
        primary=primary,
        num_fewshot=shots,
        chat_template=False,
        items=count,
        seed=_SEED,
        definition=definition,
    )


def _prepared(specs: Sequence[TaskSpec | str]) -> Material:
    good = [spec for spec in specs if isinstance(spec, TaskSpec)]
    missing = [spec for spec in specs if isinstance(spec, str)]
    sets: list[TaskItems] = []
    for spec, found in zip(good, prepare_items(good, Silent()), strict=True):
        if found.path is None:
            missing.append(f"{spec.task}: {found.reason}")
        else:
            items = ItemSet.model_validate_json(found.path.read_text("utf-8"))
            sets.append(TaskItems(spec.primary, items))
    return Material(tuple(sets), tuple(missing))
