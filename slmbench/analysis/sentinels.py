"""What answers of no skill score on an item set, by the very scorer that judges the models.

A metric that a dead model can do well in must not be shown without saying so. Everything here is
computed from the items: no model is asked. Numbers that are no plain mean are left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slmbench.analysis.rows import Judged, judged_by_metric
from slmbench.errors import SlmbenchError
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.tasks.scorers import score

SEED = 20_250_602
ABSTAINS = "I do not know."
CONSTANT = "yes"
FIRST = "first answer"

MEANINGS: Mapping[str, str] = {
    "random": "log-likelihoods drawn at random, seeded",
    "constant": "the same log-likelihood for every choice: a model that cannot tell them apart",
    FIRST: "always the choice that the prompt lists first",
    "longest answer": "always the choice with the most characters",
    "always abstains": f"“{ABSTAINS}” to every question",
    "constant text": f"“{CONSTANT}” to every question",
}


@dataclass(frozen=True, slots=True)
class Sentinel:
    """One way to answer without any skill, and how it is judged."""

    name: str
    judged: Mapping[str, Judged]

    @property
    def meaning(self) -> str:
        """What it answers."""
        return MEANINGS[self.name]


def sentinels(items: ItemSet) -> tuple[Sentinel, ...]:
    """Sentinels for sets that only ask to choose or only to write; empty for any other.

    One that its scorer refuses is left out.
    """
    kinds = {type(request) for item in items.items for request in item.requests}
    if kinds == {LoglikelihoodRequest}:
        if any(len(item.requests) < 2 for item in items.items):
            return ()  # nothing to choose between
        names = [n for n in _CHOOSING if n != FIRST or _listed(items)]
        return tuple(s for name in names if (s := _judged(name, items, _chosen)) is not None)
    if kinds == {GenerateRequest}:
        return tuple(s for name in _WRITING if (s := _judged(name, items, _written)) is not None)
    return ()


def _listed(items: ItemSet) -> bool:
    """Whether the prompts show the choices: only then can a model know which is the first."""
    return all(_shows(item) for item in items.items)


def _shows(item: Item) -> bool:
    request = item.requests[0]
    if not isinstance(request, LoglikelihoodRequest) or not item.choices:
        return False
    context = request.context
    if not isinstance(context, str):
        context = "\n".join(turn.content for turn in context)
    return all(choice.strip() in context for choice in item.choices)


_Answer = Callable[[str, Item], ItemOutput]


def _judged(name: str, items: ItemSet, answer: _Answer) -> Sentinel | None:
    try:
        rows = score(items, [answer(name, item) for item in items.items])
    except (SlmbenchError, LookupError, ValueError):  # items of another version
        return None
    return Sentinel(name, judged_by_metric(rows))


def _chosen(name: str, item: Item) -> ItemOutput:
    lengths = [len(r.continuation) for r in item.requests if isinstance(r, LoglikelihoodRequest)]
    values = _CHOOSING[name](item.item_id, lengths)
    return ItemOutput(
        item_id=item.item_id,
        outputs=tuple(
            LoglikelihoodOutput(logprob=value, tokens=1, context_tokens=1, greedy=False)
            for value in values
        ),
    )


def _random(item_id: str, lengths: list[int]) -> list[float]:
    draw = random.Random(f"{SEED} {item_id}")  # noqa: S311 - no secret
    return [-5.0 - draw.random() for _ in lengths]


_Likelihoods = Callable[[str, list[int]], list[float]]
_CHOOSING: Mapping[str, _Likelihoods] = {
    "random": _random,
    "constant": lambda _, lengths: [-5.0] * len(lengths),
    FIRST: lambda _, lengths: [-1.0, *[-1e3] * (len(lengths) - 1)],
    "longest answer": lambda _, lengths: [10.0 * n - 1e6 for n in lengths],
}
_WRITING: Mapping[str, str] = {"always abstains": ABSTAINS, "constant text": CONSTANT}


def _written(name: str, item: Item) -> ItemOutput:
    text = _WRITING[name]
    tokens = tuple(range(1, len(text.split()) + 1))
    one = GenerateOutput(
        text=text,
        token_ids=tokens,
        prompt_tokens=1,
        evaluated_tokens=1,
        start_ns=0,
        token_ns=tokens,
        finish="stop",
        token_logprobs=(-1.0,) * len(tokens),
    )
    return ItemOutput(item_id=item.item_id, outputs=(one,) * len(item.requests))
