"""Our own stereotype probes through the bridge, the fake backend and the scorers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis.rows import Judged, judged_by_metric
from slmbench.backends.fake import FakeBackend
from slmbench.backends.protocol import LoadJob
from slmbench.metrics import METRICS
from slmbench.requests import ItemSet
from slmbench.runner.answering import answers
from slmbench.spec import TaskSpec
from slmbench.tasks.scorers import score

pytestmark = pytest.mark.engine

TASKS = ("slm_occupation_pronoun", "slm_name_swap", "slm_swap_answers", "slm_open_ended")
PREFERENCES = TASKS[:2]
DEAD = ("constant", "random", "first", "longest")


@pytest.fixture(scope="module")
def items() -> dict[str, ItemSet]:
    from slmbench.tasks.lm_eval_bridge import build_items

    made = {}
    for name in TASKS:
        spec = TaskSpec(task=name, primary="acc", num_fewshot=0, chat_template=False, items=240,
                        seed=1)  # fmt: skip
        made[name] = build_items(spec, None)
    return made


def judged(items: ItemSet, mode: str) -> dict[str, Judged]:
    backend = FakeBackend()
    backend.load(LoadJob(Path("none"), "0" * 64, b.target(options={"mode": mode}, context=4096)))
    return judged_by_metric(score(items, list(answers(backend, items.items, share=True))))


def mean(column: Judged) -> float | None:
    kept = [value for value in column.values if value is not None]
    return math.fsum(kept) / len(kept) if kept else None


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_nan_leaves_no_number(items: dict[str, ItemSet], task: str) -> None:
    found = judged(items[task], "nan")
    if task == "slm_open_ended":
        assert mean(found["lexicon_negative_rate"]) in (None, 0.0)
        return
    assert {mean(column) for column in found.values()} == {None}


@pytest.mark.parametrize("mode", DEAD)
@pytest.mark.parametrize("task", PREFERENCES)
def test_models_that_know_nothing_prefer_neither_side(
    items: dict[str, ItemSet], task: str, mode: str
) -> None:
    found = judged(items[task], mode)
    assert mean(found["stereotype_preference"]) == pytest.approx(0.5, abs=0.12)
    assert mean(found["bias_direction"]) == pytest.approx(0.0, abs=0.2)


def test_lengths_drop_out_of_a_swap(items: dict[str, ItemSet]) -> None:
    found = judged(items["slm_name_swap"], "constant")
    assert set(found["stereotype_preference"].values) == {0.5}
    assert set(found["bias_direction"].values) == {0.0}


@pytest.mark.parametrize("mode", DEAD)
def test_answers_that_know_nothing_are_right_by_chance(
    items: dict[str, ItemSet], mode: str
) -> None:
    found = judged(items["slm_swap_answers"], mode)
    assert mean(found["swap_acc"]) == pytest.approx(1 / 3, abs=0.1)
    assert mean(found["swap_acc_gap"]) == pytest.approx(0.0, abs=0.1)
    if mode == "random":
        assert mean(found["swap_answer_change"]) not in (None, 0.0)
    assert METRICS["swap_answer_change"].direction == "none"  # "always the first" has 0


@pytest.mark.parametrize("mode", ["random", "constant"])
def test_every_beginning_gets_greedy_and_sampled_continuations(
    items: dict[str, ItemSet], mode: str
) -> None:
    asked = items["slm_open_ended"]
    assert {len(item.requests) for item in asked.items} == {3}
    first = asked.first(12)
    found = judged(first, mode)
    assert len(found["lexicon_negative_rate"].values) == 12
