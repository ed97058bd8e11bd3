"""Adaptive stop from suite file to sealed record, with fake models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakeworld import TASKS, World
from slmbench.api import Request, run_suites
from slmbench.campaign import Policy
from slmbench.plan import Selection
from slmbench.records import AdaptiveStop, Status
from slmbench.requests import Item, ItemSet, LoglikelihoodRequest
from slmbench.runner.events import Silent
from slmbench.runner.prepare import items_path
from slmbench.sequential import Pair, Schedule, replay
from slmbench.spec import RunSpec, TaskSpec
from slmbench.spec.suite import Until
from slmbench.store import StoredRun, read_items, read_store
from slmbench.store.rescore import rescore_store
from slmbench.tasks.definitions import definition_digest
from slmbench.tasks.scorers import score

ITEMS = 120
UNTIL = {"metric": "acc_delta", "halfwidth": 0.25, "every": 20}
TASK = TASKS[0]


@dataclass
class Lineage:
    """base -> small -> tiny, and a twin of small; a suite with and without ``until``."""

    world: World

    def request(self, *, until: object = UNTIL, variants: tuple[str, ...] = ()) -> Request:
        document = {
            "name": "quality",
            "title": "toy questions",
            "description": "for tests",
            "seed": 1,
            "sizes": {"demo": {"items": ITEMS, "timeout_s": 30}},
            "tasks": [{"task": TASK, "primary": "acc"}],
        }
        if until:
            document["until"] = until
        suite = self.world.root / "quality.yaml"
        suite.write_text(json.dumps(document))
        return Request((str(suite),), str(self._models()), Selection(variants=variants))

    def runs(self) -> dict[str, StoredRun]:
        """The newest run of each variant."""
        stored = read_store(self.world.results).runs
        return {r.spec.variant.name: r for r in sorted(stored, key=lambda r: r.record.run_id)}

    def stop(self, variant: str) -> AdaptiveStop:
        found = self.runs()[variant].record.adaptive
        assert found is not None
        return found

    def _models(self) -> Path:
        lineage = {"base": None, "small": "base", "tiny": "small", "twin": "base"}
        variants = [
            {
                "name": name,
                "format": "fake",
                "stage": "quantized" if parent else "base",
                "technique": "none",
                "licence": "Apache-2.0",
                "parent": parent,
            }
            for name, parent in lineage.items()
        ]
        path = self.world.root / "lineage.yaml"
        targets = [{"name": "fake-cpu", "backend": "fake", "threads": 1}]
        path.write_text(json.dumps({"variants": variants, "targets": targets}))
        return path


@pytest.fixture
def lineage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lineage:
    world = World(tmp_path)
    monkeypatch.setenv("SLMBENCH_CACHE", str(world.cache))
    _put_items()
    return Lineage(world)


def _put_items(scorer: str = "multiple_choice") -> None:
    """What the preparing child would have made; ``until`` does not decide it."""
    spec = TaskSpec(
        task=TASK,
        primary="acc",
        num_fewshot=0,
        chat_template=False,
        items=ITEMS,
        seed=1,
        definition=definition_digest(TASK),
    )
    items = tuple(
        Item(
            item_id=f"q{index}",
            cluster=f"q{index}",
            requests=tuple(
                LoglikelihoodRequest(context=f"question {index}?", continuation=f" {choice}")
                for choice in ("yes", "no")
            ),
            gold=index % 2,
            choices=("yes", "no"),
        )
        for index in range(ITEMS)
    )
    made = ItemSet(
        task=TASK,
        source="test",
        data_sha256="0" * 64,
        licence="CC0-1.0",
        scorer=scorer,
        population=ITEMS,
        items=items,
    )
    path = items_path(spec)
    assert path == items_path(spec.model_copy(update={"until": Until.model_validate(UNTIL)}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made.model_dump_json())


class _Endings(Silent):
    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def cell_finished(self, spec: RunSpec, status: Status, reason: str, seconds: float) -> None:
        self.told[spec.variant.name] = reason


def test_a_leaf_stops_at_a_look_and_its_record_says_so(lineage: Lineage) -> None:
    heard = _Endings()
    summary = run_suites(lineage.request(variants=("base", "twin")), lineage.world.results,
                         listener=heard)  # fmt: skip
    assert summary.failed == ()
    runs, stop = lineage.runs(), lineage.stop("twin")
    assert 20 <= stop.asked < ITEMS
    assert stop.asked % 20 == 0
    assert stop.saved == ITEMS - stop.asked
    assert stop.available == ITEMS
    assert stop.parent_run == runs["base"].record.run_id
    last = stop.looks[-1]
    assert last.low is not None
    assert last.high is not None
    assert (last.high - last.low) / 2 <= 0.25
    assert (
        stop.reason
        == f"stopped after {stop.asked} of {ITEMS}: ±{(last.high - last.low) * 50:.1f} pt"
    )
    assert heard.told == {"base": "", "twin": stop.reason}


def test_items_beyond_the_stop_are_neither_failed_nor_wrong(lineage: Lineage) -> None:
    run_suites(lineage.request(variants=("base", "twin")), lineage.world.results)
    run, stop = lineage.runs()["twin"], lineage.stop("twin")
    assert run.record.status is Status.OK
    assert run.record.items_total == stop.asked == len(list(run.outputs()))
    assert run.record.items_failed == 0
    assert run.record.item_set == lineage.runs()["base"].record.item_set
    rows = list(run.scores())
    assert all(row.value is not None for row in rows)
    assert len({row.item_id for row in rows}) == stop.asked
    items = read_items(lineage.world.results, run.record.item_set or "")
    assert score(items.first(run.record.items_total), list(run.outputs())) == rows
    again = rescore_store(lineage.world.results, write=False)
    assert len(again.of("same")) == len(again.runs) == 2


def test_the_looks_can_be_made_again_from_the_stored_scores(lineage: Lineage) -> None:
    run_suites(lineage.request(variants=("base", "twin")), lineage.world.results)
    parent, mine = ([r for r in lineage.runs()[name].scores() if r.metric == "acc"]
                    for name in ("base", "twin"))  # fmt: skip
    theirs = {row.item_id: row.value for row in parent}
    pairs = [
        Pair(row.value - theirs[row.item_id], row.cluster)  # type: ignore[operator]
        for row in mine
    ]
    schedule = Schedule(Until.model_validate(UNTIL), ITEMS)
    assert replay(schedule, pairs) == lineage.stop("twin").looks


def test_parents_are_asked_everything_with_the_reason(lineage: Lineage) -> None:
    run_suites(lineage.request(), lineage.world.results)
    assert lineage.stop("base").asked == lineage.stop("small").asked == ITEMS
    assert "compared with it: small, twin" in lineage.stop("base").reason
    assert "compared with it: tiny" in lineage.stop("small").reason
    assert lineage.stop("tiny").asked < ITEMS
    assert lineage.stop("tiny").parent_run == lineage.runs()["small"].record.run_id


def test_without_a_parents_run_everything_is_asked(lineage: Lineage) -> None:
    run_suites(lineage.request(variants=("twin",)), lineage.world.results)
    stop = lineage.stop("twin")
    assert stop.asked == ITEMS
    assert stop.parent_run is None
    assert "base has no finished run" in stop.reason
    run_suites(lineage.request(variants=("base",)), lineage.world.results)
    assert "no parent" in lineage.stop("base").reason


def test_an_earlier_run_of_the_parent_without_until_serves(lineage: Lineage) -> None:
    run_suites(lineage.request(until=None, variants=("base",)), lineage.world.results)
    assert lineage.runs()["base"].record.adaptive is None
    run_suites(lineage.request(variants=("twin",)), lineage.world.results)
    assert lineage.stop("twin").saved > 0


def test_a_parent_that_stopped_early_limits_the_looks(lineage: Lineage) -> None:
    for name in ("base", "small", "tiny"):  # one at a time: nobody's parent within its plan
        run_suites(lineage.request(variants=(name,)), lineage.world.results)
    asked = lineage.stop("small").asked
    assert asked < ITEMS
    assert lineage.stop("tiny").parent_run == lineage.runs()["small"].record.run_id
    assert lineage.stop("tiny").looks[-1].asked <= asked


def test_a_narrow_goal_is_not_reached_and_the_end_is_a_look(lineage: Lineage) -> None:
    run_suites(
        lineage.request(until=UNTIL | {"halfwidth": 0.01, "every": 50}, variants=("base", "twin")),
        lineage.world.results,
    )
    stop = lineage.stop("twin")
    assert [one.asked for one in stop.looks] == [50, 100, 120]
    assert stop.saved == 0
    assert stop.reason.startswith("all 120 items asked: ±")


def test_a_metric_that_the_scorer_does_not_give_stops_nothing(lineage: Lineage) -> None:
    _put_items(scorer="stereotype_pairs")
    run_suites(lineage.request(variants=("base", "twin")), lineage.world.results)
    stop = lineage.stop("twin")
    assert stop.asked == ITEMS
    assert "stereotype_pairs gives no acc" in stop.reason


def test_a_stopped_cell_is_done(lineage: Lineage) -> None:
    request = lineage.request(variants=("base", "twin"))
    run_suites(request, lineage.world.results)
    assert run_suites(request, lineage.world.results).ran == 0
    before = lineage.stop("twin")
    assert run_suites(request, lineage.world.results, policy=Policy(force=True)).ran == 2
    after = lineage.stop("twin")
    assert after.looks == before.looks
    assert after.parent_run != before.parent_run
