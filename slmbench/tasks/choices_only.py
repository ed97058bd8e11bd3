"""The choices without the question: the items of a task, for a model that must guess.

What a model scores on them it knows from the answers alone: which of them is likelier text, or
an artefact of how the wrong ones were written. A task is only as hard as what lies above that.
"""

from __future__ import annotations

from slmbench.errors import UsageError
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest

CONTEXT = "Answer:"
"""Takes the place of every question. The continuations, with their delimiter, stay as they are."""
_HINT = "leave out choices_only for this task"


def without_questions(items: ItemSet) -> ItemSet:
    """The same items by id, gold and choices, each choice scored after :data:`CONTEXT`.

    UsageError where the answers cannot be told apart without the question: the task is not
    multiple choice with a right answer, its choices stand in the contexts (WinoGrande), or they
    are letters whose texts do.
    """
    if why := _obstacle(items):
        raise UsageError(f"task {items.task!r} cannot be asked without its questions: {why}",
                         hint=_HINT)  # fmt: skip
    return items.model_copy(
        update={
            "source": f"{items.source}, choices without the question",
            "items": tuple(_alone(item) for item in items.items),
        }
    )


def _alone(item: Item) -> Item:
    asked = tuple(request.model_copy(update={"context": CONTEXT}) for request in _scored(item))
    return item.model_copy(update={"requests": asked})


def _obstacle(items: ItemSet) -> str:
    """Why not; empty when it can be."""
    if items.scorer != "multiple_choice":
        return "it is not multiple choice with a right answer"
    asked = [item for item in items.items if item.requests]
    if any(len(_scored(item)) != len(item.requests) for item in asked):
        return "its choices are not scored by log-likelihood"
    if any(len({r.context for r in _scored(item)}) > 1 for item in asked):
        return "its choices stand in the contexts, and what is scored is the same for all of them"
    if all(_is_letter(r.continuation) for item in asked for r in _scored(item)):
        return "its choices are letters, and their texts stand in the question"
    return ""


def _is_letter(continuation: str) -> bool:
    """Whether it is a label: ``A``, ``b.``, ``(C)``."""
    label = continuation.strip().strip("().:")
    return len(label) == 1 and label.isalpha()


def _scored(item: Item) -> tuple[LoglikelihoodRequest, ...]:
    return tuple(r for r in item.requests if isinstance(r, LoglikelihoodRequest))
