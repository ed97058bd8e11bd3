"""A suite that asks for the choices alone, with the fake backend: cells, resume, tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakeworld import ITEMS, TASKS, World
from slmbench.adaptive import Followers
from slmbench.analysis import load_results
from slmbench.api import Request, plan_suites, run_suites
from slmbench.records import Status
from slmbench.requests import ItemSet, LoglikelihoodRequest
from slmbench.runner.prepare import items_path
from slmbench.spec import TaskSpec
from slmbench.store import read_store
from slmbench.tasks.choices_only import without_questions

ASKED = "quality.tasks.0.choices_only=true"
UNTIL = "quality.tasks.0.until={halfwidth: 0.9, every: 2}"
ALONE = f"{TASKS[0]} (choices only)"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def _request(world: World, *more: str) -> Request:
    """With the baseline's items where the preparing child would have put them."""
    request = world.request(ASKED, *more, suites=("quality",))
    real, alone = (c.spec.work for c in plan_suites(request).plan.cells[:2])
    assert isinstance(real, TaskSpec)
    assert isinstance(alone, TaskSpec)
    assert items_path(alone) != items_path(real)
    items = ItemSet.model_validate_json(items_path(real).read_text())
    items_path(alone).write_text(without_questions(items).model_dump_json())
    return request


def test_it_runs_beside_the_task_and_is_paired_by_item(world: World) -> None:
    summary = run_suites(_request(world), world.results)
    assert summary.failed == ()
    assert summary.ran == 4  # two variants x (the task + its baseline)
    assert run_suites(_request(world), world.results).ran == 0
    results = load_results(world.results)
    assert {r.spec.work_name for r in results.baseline_runs} == {ALONE}
    assert set(results.metrics()["task"]) == {TASKS[0]}
    table = results.baselines()
    alone = table[table["baseline"] == "choices only"]
    assert (alone["n"] == ITEMS).all()
    assert alone["value"].notna().all()
    assert alone["told"].notna().all()
    for run in results.baseline_runs:
        (real,) = (r for r in results.stored if r.spec.variant == run.spec.variant)
        assert [o.item_id for o in run.outputs()] == [o.item_id for o in real.outputs()]
        asked = results.item_set(run)
        assert asked is not None
        contexts = {r.context for i in asked.items for r in i.requests
                    if isinstance(r, LoglikelihoodRequest)}  # fmt: skip
        assert contexts == {"Answer:"}


def test_it_neither_stops_early_nor_is_followed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []
    original = Followers.watcher

    def watcher(self: Followers, spec, until, items):  # type: ignore[no-untyped-def]
        followed.append(spec.work_name)
        return original(self, spec, until, items)

    monkeypatch.setattr(Followers, "watcher", watcher)
    run_suites(_request(world, UNTIL), world.results)
    assert set(followed) == {TASKS[0]}
    for run in read_store(world.results).runs:
        assert run.record.status is Status.OK
        assert (run.record.adaptive is None) == run.spec.is_baseline
