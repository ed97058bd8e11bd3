"""A suite that asks its items again in other words, with the fake backend: cells and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakeworld import ITEMS, TASKS, World
from slmbench.analysis import load_results
from slmbench.api import Request, plan_suites, run_suites
from slmbench.requests import ItemSet
from slmbench.runner.prepare import items_path
from slmbench.spec import TaskSpec
from slmbench.store import read_store
from slmbench.store.rescore import rescore_store
from slmbench.tasks.perturbed import disturbed

ASKED = "quality.tasks.0.perturb=[typos, case]"
UNTIL = "quality.tasks.0.until={halfwidth: 0.9, every: 2}"


class _Toy:
    """The toy items of the world: ``question 3?``."""

    def prompt(self, doc: Mapping[str, Any]) -> object:
        return str(doc["question"])

    def answers(self, doc: Mapping[str, Any]) -> str:
        return "yes, no"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(made.cache))
    return made


def _request(world: World, *more: str) -> Request:
    """With the disturbed items where the preparing child would have put them."""
    request = world.request(ASKED, *more, suites=("quality",))
    real, *others = (c.spec.work for c in plan_suites(request).plan.cells[:3])
    assert isinstance(real, TaskSpec)
    items = ItemSet.model_validate_json(items_path(real).read_text())
    docs = [{"question": f"question {index}?"} for index in range(ITEMS)]
    for work in others:
        assert isinstance(work, TaskSpec)
        assert items_path(work) != items_path(real)
        made = disturbed(items, docs, _Toy(), work)
        items_path(work).write_text(made.model_dump_json())
    return request


def test_they_run_beside_the_task_and_are_paired_by_item(world: World) -> None:
    summary = run_suites(_request(world, UNTIL), world.results)
    assert summary.failed == ()
    assert summary.ran == 6  # two variants x (the task + two disturbances)
    assert run_suites(_request(world, UNTIL), world.results).ran == 0
    results = load_results(world.results)
    names = {f"{TASKS[0]} (typos)", f"{TASKS[0]} (case)"}
    assert {r.spec.work_name for r in results.baseline_runs} == names
    assert set(results.metrics()["task"]) == {TASKS[0]}
    assert all((run.record.adaptive is None) == run.spec.is_baseline
               for run in read_store(world.results).runs)  # fmt: skip
    table = results.robustness()
    assert len(table) == 4
    assert (table["changed"] == 1).all()
    assert table["drop"].notna().all()
    assert table["flip_rate_high"].notna().all()
    children = table[table["variant"] == "small"]
    assert children["drop_delta"].notna().all()
    assert (children["drop_delta_n"] == children["n"]).all()


def test_they_are_judged_again_like_all_others(world: World) -> None:
    run_suites(_request(world), world.results)
    found = rescore_store(world.results, write=False)
    assert [run.outcome for run in found.runs] == ["same"] * 6
