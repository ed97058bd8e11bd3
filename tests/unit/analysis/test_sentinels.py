"""Answers of no skill, judged by the scorers that judge the models."""

from __future__ import annotations

import builders as b
from slmbench.analysis.sentinels import MEANINGS, sentinels
from slmbench.requests import GenerateRequest, Item, ItemSet, LoglikelihoodRequest, RollingRequest


def _means(items: ItemSet, metric: str) -> dict[str, float]:
    found = {}
    for one in sentinels(items):
        values = [v for v in one.judged[metric].values if v is not None]
        found[one.name] = sum(values) / len(values)
    return found


def _listed(n: int) -> ItemSet:
    """Questions that show their two choices; the right one is the second."""
    items = b.choice_items("q", n, choices=2)
    shown = tuple(
        item.model_copy(
            update={
                "gold": 1,
                "choices": ("alpha", "beta"),
                "requests": tuple(
                    LoglikelihoodRequest(context="alpha or beta?", continuation=f" {c}")
                    for c in ("alpha", "beta")
                ),
            }
        )
        for item in items.items
    )
    return items.model_copy(update={"items": shown})


def _asked(scorer: str, targets: tuple[str, ...]) -> ItemSet:
    items = tuple(
        Item(
            item_id=f"i{i}",
            cluster=f"i{i}",
            group=target,
            target=target,
            requests=(GenerateRequest(prompt="Who?", max_tokens=8),),
        )
        for i, target in enumerate(targets)
    )
    return ItemSet(
        task="t", source="s", data_sha256="0" * 64, licence="CC0-1.0", scorer=scorer,
        population=len(items), items=items,
    )  # fmt: skip


def test_a_constant_model_shares_every_tie() -> None:
    means = _means(b.choice_items("q", 40, choices=4), "acc")
    assert means["constant"] == 0.25
    assert 0.05 < means["random"] < 0.5


def test_the_first_answer_counts_only_where_the_prompt_lists_the_choices() -> None:
    assert "first answer" not in _means(b.choice_items("q", 4), "acc")
    means = _means(_listed(6), "acc")
    assert means["first answer"] == 0.0
    assert means["longest answer"] == 0.0


def test_they_are_the_same_every_time() -> None:
    items = b.choice_items("q", 20)
    assert sentinels(items) == sentinels(items)


def test_always_abstaining_answers_no_control() -> None:
    names = {s.name for s in sentinels(_asked("exact_match", ("yes", "no")))}
    assert names == {"always abstains", "constant text"}
    means = _means(_asked("exact_match", ("yes", "no")), "exact_match")
    assert means == {"always abstains": 0.0, "constant text": 0.5}


def test_nothing_is_made_up_where_there_is_no_choice() -> None:
    single = b.choice_items("q", 3, choices=1)
    assert sentinels(single) == ()
    text = single.items[0].model_copy(update={"requests": (RollingRequest(text="a b"),)})
    assert sentinels(single.model_copy(update={"items": (text,)})) == ()


def test_a_scorer_that_refuses_leaves_the_sentinel_out() -> None:
    odd = b.choice_items("q", 3, choices=3).model_copy(update={"scorer": "nowhere"})
    assert sentinels(odd) == ()


def test_each_is_explained() -> None:
    for one in (*sentinels(_listed(2)), *sentinels(_asked("exact_match", ("yes",)))):
        assert one.meaning == MEANINGS[one.name]
