"""Closed-book and sampled answers through the whole path, with the fake backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakeworld import World
from slmbench.analysis import load_results
from slmbench.api import Request, plan_suites, run_suites
from slmbench.requests import GenerateRequest, Item, ItemSet
from slmbench.runner.prepare import items_path
from slmbench.spec import TaskSpec
from slmbench.store import read_store

PRIMARY = {"slm_nq_open": "answer_correct", "slm_triviaqa_samples": "greedy_correct"}
SCORERS = {"slm_nq_open": "short_answer", "slm_triviaqa_samples": "self_consistency"}
ITEMS = 12


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def request_of(world: World) -> Request:
    """Both tasks, with toy questions where the preparing child would have put theirs."""
    suite = {
        "name": "closed",
        "title": "toy questions",
        "description": "for tests",
        "seed": 1,
        "sizes": {"demo": {"items": ITEMS, "timeout_s": 30}},
        "tasks": [{"task": task, "primary": primary} for task, primary in PRIMARY.items()],
    }
    path = world.root / "closed.yaml"
    path.write_text(json.dumps(suite))
    request = Request(suites=(str(path),), models=str(world.models))
    for cell in plan_suites(request).plan.cells:
        assert isinstance(cell.spec.work, TaskSpec)
        where = items_path(cell.spec.work)
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(toy(cell.spec.work.task).model_dump_json())
    return request


def toy(task: str) -> ItemSet:
    samples = 4 if task.endswith("samples") else 0
    return ItemSet(
        task=task,
        source="test",
        data_sha256="0" * 64,
        licence="CC0-1.0",
        scorer=SCORERS[task],
        population=ITEMS,
        items=tuple(
            Item(
                item_id=f"q{n}",
                cluster=f"q{n}",
                requests=(
                    GenerateRequest(prompt=f"Question {n}?", max_tokens=6, logprobs=True),
                    *(GenerateRequest(prompt=f"Question {n}?", max_tokens=6, temperature=1.0,
                                      seed=1000 * n + s) for s in range(samples)),
                ),
                target=json.dumps(["x"]),
            )
            for n in range(ITEMS)
        ),
    )  # fmt: skip


def test_answers_are_graded_ranked_and_derived(world: World) -> None:
    summary = run_suites(request_of(world), world.results)
    assert summary.failed == ()
    results = load_results(world.results)
    assert len(results.stored) == 4
    table = results.metrics()
    graded = table[(table["task"] == "slm_nq_open") & (table["metric"] == "hallucination_rate")]
    assert len(graded) == 2
    assert (graded["value"] == 1.0).all()  # the fake writes letters, never "x" alone
    derived = results.constructs()
    closed = derived[derived["task"] == "slm_nq_open"].set_index("metric")
    assert (closed.loc["simpleqa_f", "value"] == 0.0).all()
    assert (closed.loc["answer_coverage", "value"] == 1.0).all()
    assert closed.loc["answer_auroc", "value"].isna().all()
    sampled = derived[derived["task"] == "slm_triviaqa_samples"]
    assert "semantic_entropy_auroc" in set(sampled["metric"])


def test_samples_differ_and_confidences_are_kept(world: World) -> None:
    run_suites(request_of(world), world.results)
    for run in read_store(world.results).runs:
        rows = list(run.scores())
        sure = [row.value for row in rows if row.metric == "answer_confidence"]
        assert len(sure) == ITEMS
        assert all(value is not None and 0 < value <= 1 for value in sure)
        if run.spec.work_name == "slm_triviaqa_samples":
            spread = [row.value for row in rows if row.metric == "semantic_entropy"]
            assert max(value or 0 for value in spread) > 1
