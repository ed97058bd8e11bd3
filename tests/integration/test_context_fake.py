"""Our sets about contexts and premises through the bridge, the fake backend and the scorers.

The sentinels must not look good on any metric that says which way is better, unless its
companion shows why: always abstaining is perfect where one should, and 0 on the controls.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import builders as b
from slmbench.analysis.constructs.contrasts import of_groups, of_metrics
from slmbench.analysis.rows import Judged, judged_by_metric
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import LoadJob
from slmbench.requests import ItemSet
from slmbench.runner.answering import answers
from slmbench.spec import TaskSpec
from slmbench.tasks.scorers import score

pytestmark = pytest.mark.engine

TASKS = (
    "slm_nonexistent", "slm_counterfactual_context", "slm_unanswerable_context",
    "slm_unanswerable_score", "slm_inconsistent_context",
)  # fmt: skip
HALF = {
    "slm_nonexistent": "abstention_correct",
    "slm_unanswerable_score": "decline_correct",
    "slm_inconsistent_context": "conflict_correct",
}
"""Task -> the metric that always and never abstaining share."""


_JUDGED: dict[tuple[str, str], dict[str, Judged]] = {}


@pytest.fixture(scope="module")
def items() -> dict[str, ItemSet]:
    from slmbench.tasks.lm_eval_bridge import build_items

    made = {}
    for name in TASKS:
        spec = TaskSpec(task=name, primary="acc", num_fewshot=0, chat_template=False, items=None,
                        seed=1)  # fmt: skip
        made[name] = build_items(spec, None)
    return made


def judged(items: ItemSet, mode: str) -> dict[str, Judged]:
    """What a fake gets; each is asked once."""
    if (items.task, mode) not in _JUDGED:
        _JUDGED[items.task, mode] = _ask(items, mode)
    return _JUDGED[items.task, mode]


def _ask(items: ItemSet, mode: str) -> dict[str, Judged]:
    backend = FakeBackend()
    target = b.target(options={"mode": mode}, context=4096)
    backend.load(LoadJob(Path("none"), "0" * 64, target))
    # every beginning of a drawn set is a stratified sample
    asked = items if _scored(items) else items.first(len(items.items) // 6)
    return judged_by_metric(score(asked, list(answers(backend, asked.items, share=True))))


def _scored(items: ItemSet) -> bool:
    return items.items[0].requests[0].kind == "loglikelihood"


def mean(column: Judged) -> float | None:
    kept = [value for value in column.values if value is not None]
    return math.fsum(kept) / len(kept) if kept else None


@pytest.mark.parametrize("task", TASKS)
def test_a_model_whose_numbers_are_nan_has_no_score(items: dict[str, ItemSet], task: str) -> None:
    found = judged(items[task], "nan")
    assert found
    assert {mean(column) for column in found.values()} == {None}


@pytest.mark.parametrize("mode", ["constant", "random", "first", "longest", "abstain"])
@pytest.mark.parametrize("task", sorted(HALF))
def test_every_sentinel_is_half_right(items: dict[str, ItemSet], task: str, mode: str) -> None:
    found = judged(items[task], mode)[HALF[task]]
    value = mean(found)
    if task == "slm_nonexistent" and mode == "constant":
        assert value is None  # it writes blanks: a failure, no answer
        return
    assert value is not None
    n = len(found.values)
    assert abs(value - 0.5) < 4 * 0.5 / n**0.5, (mode, value)


@pytest.mark.parametrize("mode", ["random", "first", "longest"])
def test_sentinels_follow_a_context_by_chance(items: dict[str, ItemSet], mode: str) -> None:
    found = judged(items["slm_counterfactual_context"], mode)
    for metric in ("context_faithful", "parametric_rate", "other_rate"):
        assert mean(found[metric]) == pytest.approx(1 / 3, abs=0.1), metric


@pytest.mark.parametrize("mode", ["constant", "random", "first", "longest"])
def test_sentinels_rank_nothing(items: dict[str, ItemSet], mode: str) -> None:
    for task, metric, group in (
        ("slm_unanswerable_score", "decline_score", "unanswerable"),
        ("slm_inconsistent_context", "conflict_score", "conflicting"),
    ):
        found = of_groups(judged(items[task], mode), metric, group).auroc()
        assert found.value == pytest.approx(0.5, abs=0.1), (task, mode)


def test_always_abstaining_loses_on_the_controls(items: dict[str, ItemSet]) -> None:
    found = judged(items["slm_nonexistent"], "abstain")
    assert (mean(found["abstention_rate"]), mean(found["answer_rate_control"])) == (1.0, 0.0)
    assert (mean(found["premise_rejected"]), mean(found["premise_accepted_control"])) == (1.0, 0.0)
    assert of_metrics(found, "abstention_rate", "answer_rate_control").balanced().value == 0.5
    read = judged(items["slm_unanswerable_context"], "abstain")
    assert (mean(read["no_ans_accuracy"]), mean(read["has_ans_f1"])) == (1.0, 0.0)
    assert mean(read["squad2_f1"]) == pytest.approx(0.5, abs=0.01)


def test_babbling_answers_everything_and_nothing_right(items: dict[str, ItemSet]) -> None:
    found = judged(items["slm_nonexistent"], "random")
    assert (mean(found["abstention_rate"]), mean(found["answer_rate_control"])) == (0.0, 1.0)
    read = judged(items["slm_unanswerable_context"], "random")
    assert {mean(read[m]) for m in ("has_ans_f1", "has_ans_exact", "no_ans_accuracy")} == {0.0}


def test_a_sample_has_as_many_of_each_kind() -> None:
    from slmbench.tasks.lm_eval_bridge import build_items

    for name in ("slm_unanswerable_context", "slm_inconsistent_context"):
        spec: dict[str, Any] = {"task": name, "primary": "acc", "num_fewshot": 0, "seed": 1}
        made = build_items(TaskSpec(**spec, chat_template=False, items=100), None)
        groups = [item.group for item in made.items]
        assert sorted(map(groups.count, set(groups))) == [50, 50]
