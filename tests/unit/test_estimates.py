"""Estimates say where they come from: the same cell, like cells, or a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from round_players import timed_cell
from samples import cell, finished_run, record, variant
from slmbench.estimates import _UNKNOWN_PACE, _process, estimates
from slmbench.plan import Cell
from slmbench.records import ObserverCost, PhaseRecord
from slmbench.runner.environment import fingerprint
from slmbench.spec import Load, RunSpec, Variant, WorkloadPoint, WorkloadSpec
from slmbench.store import seal


def planned(spec: RunSpec) -> Cell:
    return Cell(
        spec,
        Variant(
            name=spec.variant.name, format="fake", stage="base", technique="none", licence="MIT"
        ),
    )


def test_the_basis_is_the_nearest_thing_that_was_run_here(tmp_path: Path) -> None:
    ran, like, other = cell("piqa"), cell("piqa", ref=variant("v2")), cell("hellaswag")
    phase = PhaseRecord(phase="items", started_utc="", duration_ns=7_000_000_000)
    here = record(ran, machine=fingerprint(()).machine).model_copy(update={"phases": (phase,)})
    seal(tmp_path, finished_run(ran, here))
    found = estimates(tmp_path, [planned(s) for s in (ran, like, other)])
    assert [e.basis for e in found] == ["same cell", "like cells", "guess"]
    assert [e.seconds for e in found[:2]] == [7.0, 7.0]
    assert found[2].seconds > 0
    assert found[2].memory_bytes is None


def test_another_machine_tells_nothing(tmp_path: Path) -> None:
    seal(tmp_path, finished_run(cell("piqa")))
    (found,) = estimates(tmp_path, [planned(cell("piqa"))])
    assert found.basis == "guess"


def test_a_guess_grows_with_the_items(tmp_path: Path) -> None:
    few = cell("piqa")
    many = few.model_copy(update={"work": few.work.model_copy(update={"items": 200})})
    small, large = estimates(tmp_path, [planned(few), planned(many)])
    assert large.seconds > 10 * small.seconds


def test_a_timed_cell_counts_its_processes_and_is_bounded_by_its_budget(tmp_path: Path) -> None:
    def guess(**changes: object) -> float:
        (found,) = estimates(tmp_path, [planned(timed_cell("a", **changes))])
        return found.seconds

    assert guess(processes=4) == pytest.approx(4 * guess())
    assert guess(repeats=1000) > 100 * guess(repeats=10, budget_s=0.5)
    assert guess(repeats=1000, budget_s=5.0) == pytest.approx(guess(repeats=9000, budget_s=5.0))


def test_what_processes_took_with_their_starts_is_the_next_estimate(tmp_path: Path) -> None:
    spec = timed_cell("a", processes=2)
    cost = ObserverCost(supervisor_cpu_s=0.1, supervisor_rss_bytes=1, wall_s=42.0, meters_s=0.1)
    here = record(spec, machine=fingerprint(()).machine).model_copy(update={"observer": cost})
    seal(tmp_path, finished_run(spec, here))
    (found,) = estimates(tmp_path, [planned(spec)])
    assert (found.basis, found.seconds) == ("same cell", 42.0)


def test_a_load_takes_its_arrivals_or_its_answers_whichever_is_longer() -> None:
    def seconds(load: Load) -> float:
        work = WorkloadSpec(
            workload="serving",
            points=(WorkloadPoint(prompt_tokens=450, output_tokens=190),),  # 2 s at the guess
            repeats=1,
            warmup=0,
            window_s=0,
            idle_s=0,
            seed=1,
            loads=(load,),
        )
        return _process(work, _UNKNOWN_PACE) - _UNKNOWN_PACE.start_s

    assert seconds(Load(scenario="poisson", rate=0.1, requests=10, warmup=0)) == 100
    assert seconds(Load(scenario="poisson", rate=5, requests=10, warmup=0)) == 20
    assert seconds(Load(scenario="offline", requests=10, warmup=3)) == 26
    assert seconds(Load(scenario="sweep", rate=0.1, requests=10, warmup=0)) == 120
