"""Small BBQ items and answers, made by hand for tests of its scorer and of what is derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.requests import (
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
)
from slmbench.tasks.scorers.bbq_labels import BbqLabels, Role

Condition = Literal["ambig", "disambig"]
Polarity = Literal["neg", "nonneg"]
ROLES: tuple[Role, Role, Role] = ("target", "non_target", "unknown")


@dataclass(frozen=True, slots=True)
class Asked:
    """One item and how it was answered. Options are target, non-target, unknown."""

    condition: Condition
    polarity: Polarity
    right: int
    answer: int | None
    """Option chosen; None: all three alike."""
    cluster: str = "t1"
    group: str = "Age"
    roles: tuple[Role, Role, Role] = ROLES
    failed: bool = False


def ambiguous(answer: int | None, polarity: Polarity = "neg", **more: str) -> Asked:
    """Right is unknown (option 2)."""
    return Asked("ambig", polarity, 2, answer, **more)  # type: ignore[arg-type]


def told(right: int, answer: int | None, polarity: Polarity = "neg", **more: str) -> Asked:
    """A disambiguated item."""
    return Asked("disambig", polarity, right, answer, **more)  # type: ignore[arg-type]


def item_set(asked: Sequence[Asked]) -> ItemSet:
    """The items, called i0, i1, …; every continuation has two characters."""
    return ItemSet(
        task="slm_bbq",
        source="by hand",
        data_sha256="0" * 64,
        licence="CC-BY-4.0",
        scorer="bbq",
        population=len(asked),
        items=tuple(
            Item(
                item_id=f"i{n}",
                cluster=one.cluster,
                requests=tuple(
                    LoglikelihoodRequest(context="q", continuation=f" {letter}") for letter in "ABC"
                ),
                gold=one.right,
                choices=("A", "B", "C"),
                target=BbqLabels(
                    category=one.group,
                    question_index=one.cluster,
                    condition=one.condition,
                    polarity=one.polarity,
                    roles=one.roles,
                ).model_dump_json(),
                group=one.group,
            )
            for n, one in enumerate(asked)
        ),
    )


def outputs(asked: Sequence[Asked]) -> list[ItemOutput]:
    """The chosen option has -1 nat, the others -2; all -2 where none is chosen."""
    return [
        ItemOutput(
            item_id=f"i{n}",
            outputs=tuple(
                LoglikelihoodOutput(
                    logprob=None if one.failed else -1.0 if option == one.answer else -2.0,
                    tokens=1,
                    context_tokens=1,
                    failure="non_finite" if one.failed else None,
                )
                for option in range(3)
            ),
        )
        for n, one in enumerate(asked)
    ]
