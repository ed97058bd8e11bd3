"""Answers judged as they arrive, against what the parent answered."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodOutput, LoglikelihoodRequest
from slmbench.runner.watch import ParentAnswers, Watcher
from slmbench.spec.suite import Until

COUNT = 200


def items() -> ItemSet:
    """Two-choice questions whose first answer is right."""
    return ItemSet(
        task="toy",
        source="test",
        data_sha256="0" * 64,
        licence="CC0-1.0",
        scorer="multiple_choice",
        population=COUNT,
        items=tuple(
            Item(
                item_id=str(index),
                cluster=str(index),
                requests=tuple(
                    LoglikelihoodRequest(context="?", continuation=text) for text in (" a", " b")
                ),
                gold=0,
                choices=("a", "b"),
            )
            for index in range(COUNT)
        ),
    )


def answers(rights: Sequence[bool | None]) -> list[ItemOutput]:
    """Outputs that are right, wrong or (None) failed."""
    return [
        ItemOutput(
            item_id=str(index),
            outputs=tuple(
                LoglikelihoodOutput(
                    logprob=None if right is None else -1.0 if right == (choice == 0) else -2.0,
                    tokens=1,
                    context_tokens=1,
                    failure="non_finite" if right is None else None,
                )
                for choice in range(2)
            ),
        )
        for index, right in enumerate(rights)
    ]


def watcher(*, halfwidth: float = 0.05, asked: int = COUNT, failed: int = 0) -> Watcher:
    """A parent that was right in every item that it could be scored in."""
    values = {str(i): None if i < failed else 1.0 for i in range(asked)}
    until = Until(halfwidth=halfwidth, every=20)
    return Watcher(items(), until, ParentAnswers("r", asked, values))


def test_it_stops_at_the_first_narrow_look_only() -> None:
    watch, given = watcher(), answers([True] * COUNT)
    asked = next(n for n in range(20, COUNT, 20) if not watch.go_on(given[:n]))
    assert [one.asked for one in watch.looks] == list(range(20, asked + 1, 20))
    stop = watch.record(given[:asked])
    assert stop.looks == tuple(watch.looks)
    assert stop.saved == COUNT - asked > 0
    assert stop.reason.startswith(f"stopped after {asked} of {COUNT}: ±")


def test_a_loss_is_in_the_look_with_its_sign() -> None:
    watch = watcher(halfwidth=0.001)
    assert watch.go_on(answers([i % 4 != 0 for i in range(20)]))
    assert watch.looks[0].estimate == -0.25


def test_unscored_answers_on_either_side_make_no_pair() -> None:
    watch = watcher(failed=3)
    watch.go_on(answers([None if i > 17 else True for i in range(20)]))
    assert (watch.looks[0].asked, watch.looks[0].pairs) == (20, 15)


def test_the_end_of_the_items_is_a_look() -> None:
    watch, given = watcher(halfwidth=0.001), answers([True] * COUNT)
    for asked in range(20, COUNT, 20):
        assert watch.go_on(given[:asked])
    stop = watch.record(given)
    assert stop.looks[-1].asked == COUNT
    assert stop.saved == 0
    assert stop.reason.startswith(f"all {COUNT} items asked: ±")


def test_beyond_the_parents_items_nothing_more_can_be_learnt_of_the_difference() -> None:
    watch, given = watcher(halfwidth=0.001, asked=50), answers([True] * COUNT)
    for asked in range(20, COUNT, 20):
        assert watch.go_on(given[:asked])
    stop = watch.record(given)
    assert [one.asked for one in stop.looks] == [20, 40, 50]
    assert stop.asked == COUNT
    assert "after the 50 that the parent answered" in stop.reason


def test_a_cell_without_a_single_pair_says_so() -> None:
    watch, given = watcher(), answers([None] * COUNT)
    assert watch.go_on(given[:20])
    assert "too few pairs" in watch.record(given).reason
