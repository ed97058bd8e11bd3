"""Rounds of processes with scripted workers: order, labels, stopping, going on, endings."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import builders as b
from round_players import POINT, Players, Shelf, timed_cell, timed_phase
from slmbench.records import MachinePeaks, Observation, PhaseRecord, Status
from slmbench.runner import rounds
from slmbench.runner.environment import LIBRARIES, fingerprint
from slmbench.runner.events import Silent
from slmbench.runner.protocol import CellJob
from slmbench.runner.rounds import RoundCell, planned_processes, run_rounds, shuffled
from slmbench.runner.supervisor import Outcome
from slmbench.spec import RunSpec, Target

Answers = Callable[[CellJob], tuple[PhaseRecord, ...]]
NAMES = ("a", "b", "c", "d", "e")
HERE = b.environment().model_copy(update={"libraries": fingerprint(LIBRARIES).libraries})


def steady(job: CellJob) -> tuple[PhaseRecord, ...]:
    return (timed_phase(0.1, 0.1),)


def players(answers: Answers = steady, **changes: Any) -> Players:
    return Players(answers, environment=HERE, **changes)


def run(
    monkeypatch: pytest.MonkeyPatch, cast: Players, specs: list[RunSpec], shelf: Shelf | None = None
) -> list[Outcome]:
    monkeypatch.setattr(rounds, "run_job", cast)
    cells = [RoundCell(spec, Path(), "0" * 64) for spec in specs]
    return list(run_rounds(cells, shelf or Shelf(), Silent(), session="S"))


def test_every_cell_has_one_process_in_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players()
    found = run(monkeypatch, cast, [timed_cell(n, processes=4) for n in NAMES])
    assert len(cast.jobs) == 20
    for number in range(4):
        one = cast.order[5 * number : 5 * number + 5]
        assert {name for name, _ in one} == set(NAMES)
        assert {process for _, process in one} == {number}
    assert {o.spec.variant.name for o in found} == set(NAMES)
    for outcome in found:
        assert [(p.process, p.round) for p in outcome.phases] == [(n, f"S-{n}") for n in range(4)]
        assert outcome.seconds == 4.0
        assert outcome.observer is not None
        assert outcome.observer.meters_s == 1.0


def test_the_order_is_random_differs_between_rounds_and_is_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = [timed_cell(n, processes=6) for n in NAMES]
    first, again, other = players(), players(), players()
    run(monkeypatch, first, specs)
    run(monkeypatch, again, specs)
    run(monkeypatch, other, [timed_cell(n, processes=6, seed=2) for n in NAMES])
    assert first.order == again.order
    assert first.order != other.order
    turns = [tuple(n for n, _ in first.order[5 * r : 5 * r + 5]) for r in range(6)]
    assert len(set(turns)) > 3
    assert turns[0] != NAMES or turns[1] != NAMES


def test_every_place_is_as_likely_as_any_other() -> None:
    """Of 4 cells each stands first in a quarter of the rounds (4 sd of a binomial: 0.05)."""
    firsts = [shuffled(4, 1234, number)[0] for number in range(1200)]
    for cell in range(4):
        assert abs(firsts.count(cell) / 1200 - 0.25) < 0.05


def test_suites_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players()
    one = [timed_cell(n, processes=2) for n in "ab"]
    two = [timed_cell(n, suite="energy", processes=2) for n in "ab"]
    run(monkeypatch, cast, [one[0], two[0], one[1], two[1]])
    assert [job.spec.suite for job in cast.jobs] == ["latency"] * 4 + ["energy"] * 4


def test_one_process_takes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players()
    (outcome,) = run(monkeypatch, cast, [timed_cell("a")])
    assert [(p.process, p.round) for p in outcome.phases] == [(0, "S-0")]
    assert outcome.status is Status.OK


def noisy(job: CellJob) -> tuple[PhaseRecord, ...]:
    """Processes scatter by 5 % around 0.1 s."""
    return (timed_phase(0.1 * math.exp(0.05 * (-1) ** job.process)),)


def notes(outcome: Outcome) -> list[Observation]:
    return [o for p in outcome.phases for o in p.observations]


def test_a_cell_that_is_known_well_enough_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players()
    spec = timed_cell("a", processes=3, max_processes=9, precision=0.02)
    (outcome,) = run(monkeypatch, cast, [spec])
    assert len(cast.jobs) == 3
    (note,) = notes(outcome)
    assert (note.kind, note.value) == ("precision_reached", 0.0)
    assert "after 3 processes" in note.message


def test_a_cell_goes_on_until_its_interval_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sd of logs about 0.05: t(n - 1) · 0.05 / √n falls below 4 % only after 8 processes or so."""
    cast = players(noisy)
    spec = timed_cell("a", processes=3, max_processes=40, precision=0.04)
    (outcome,) = run(monkeypatch, cast, [spec])
    assert 7 <= len(cast.jobs) <= 11
    (note,) = notes(outcome)
    assert note.kind == "precision_reached"
    assert note.value <= 0.04
    assert outcome.phases[-1].observations == (note,)


def test_a_cell_that_stays_imprecise_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players(noisy)
    spec = timed_cell("a", processes=2, max_processes=4, precision=0.01)
    (outcome,) = run(monkeypatch, cast, [spec])
    assert len(cast.jobs) == 4
    (note,) = notes(outcome)
    assert note.kind == "precision_not_reached"
    assert note.value > 0.01
    assert f"ttft of {POINT}" in note.message
    assert "1.0% either side" in note.message


def test_a_precise_cell_ends_while_another_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = players(lambda job: noisy(job) if job.spec.variant.name == "b" else steady(job))
    specs = [timed_cell(n, processes=2, max_processes=5, precision=0.001) for n in "ab"]
    found = run(monkeypatch, cast, specs)
    assert [o.spec.variant.name for o in found] == ["a", "b"]
    assert [name for name, _ in cast.order].count("a") == 2
    assert [name for name, _ in cast.order].count("b") == 5


def test_figures_that_nobody_judges_end_after_the_declared_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cast = players(lambda job: (b.phase("decode", b.measurement("peak_rss", 1e6)),))
    spec = timed_cell("a", processes=2, max_processes=5, precision=0.01)
    (outcome,) = run(monkeypatch, cast, [spec])
    assert len(cast.jobs) == 2
    assert notes(outcome) == []


@pytest.mark.parametrize("stop_after", range(1, 6))
def test_after_ctrl_c_only_what_is_missing_is_run(
    monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """Two cells, three rounds: whatever is finished is kept, and nothing is run twice."""
    specs, shelf = [timed_cell(n, processes=3) for n in "ab"], Shelf()
    first = players(stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, first, specs, shelf)
    assert len(shelf.there) == stop_after
    second = players()
    found = run(monkeypatch, second, specs, shelf)
    assert sorted(first.order + second.order) == [(n, p) for n in "ab" for p in range(3)]
    assert {o.spec.variant.name for o in found} == {"a", "b"}
    for outcome in found:
        assert [p.process for p in outcome.phases] == [0, 1, 2]


def test_rounds_after_a_break_are_rounds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes before and after a break did not run beside each other."""
    specs, shelf = [timed_cell(n, processes=2) for n in "ab"], Shelf()
    monkeypatch.setattr(rounds, "run_job", players(stop_after=1))
    cells = [RoundCell(spec, Path(), "0" * 64) for spec in specs]
    with pytest.raises(KeyboardInterrupt):
        list(run_rounds(cells, shelf, Silent(), session="S"))
    monkeypatch.setattr(rounds, "run_job", players())
    found = list(run_rounds(cells, shelf, Silent(), session="T"))
    labels = {o.spec.variant.name: [p.round for p in o.phases] for o in found}
    early = next(name for name, seen in labels.items() if seen[0].startswith("S"))
    late = {"a": "b", "b": "a"}[early]
    assert labels[early] == ["S-0", "T-0"]
    assert labels[late] == ["T-0", "T-1"]


def test_a_cell_that_was_finished_but_not_sealed_runs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, shelf = timed_cell("a", processes=2), Shelf()
    run(monkeypatch, players(), [spec], shelf)
    again = players()
    (outcome,) = run(monkeypatch, again, [spec], shelf)
    assert again.jobs == []
    assert (outcome.status, len(outcome.phases)) == (Status.OK, 2)


def test_processes_of_another_engine_are_not_mixed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before: other libraries are installed now. Known only afterwards: another python."""
    old = b.environment()
    spec, shelf = timed_cell("a", processes=3), Shelf()
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, Players(steady, stop_after=2, environment=old), [spec], shelf)
    cast = players()
    (outcome,) = run(monkeypatch, cast, [spec], shelf)
    assert [process for _, process in cast.order] == [0, 1, 2]
    foreign = spec.model_copy(update={"target": b.target(python="/other/python")})
    shelf = Shelf()
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, Players(steady, stop_after=2, environment=old), [foreign], shelf)
    cast = players()
    (outcome,) = run(monkeypatch, cast, [foreign], shelf)
    assert [process for _, process in cast.order] == [2, 0, 1]
    assert outcome.environment == HERE
    assert [p.process for p in outcome.phases] == [0, 1, 2]


def test_a_crash_in_process_3_of_5_ends_the_cell_and_keeps_what_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ending(job: CellJob) -> Status:
        bad = job.spec.variant.name == "a" and job.process == 2
        return Status.CRASHED if bad else Status.OK

    cast = players(ending=ending)
    found = run(monkeypatch, cast, [timed_cell(n, processes=5) for n in "ab"])
    assert [name for name, _ in cast.order].count("a") == 3
    assert [name for name, _ in cast.order].count("b") == 5
    crashed = next(o for o in found if o.spec.variant.name == "a")
    assert (crashed.status, crashed.signal) == (Status.CRASHED, "SIGSEGV")
    assert [p.process for p in crashed.phases] == [0, 1, 2]
    assert crashed.seconds == 3.0
    assert found[0] is crashed  # told when it happened, not when the rounds are over


def test_a_round_of_several_slots_has_a_process_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def slots(spec: RunSpec) -> tuple[Target, ...]:
        return tuple(spec.target.model_copy(update={"context": c}) for c in (512, 1024, 2048))

    monkeypatch.setattr(rounds, "slots_of", slots)
    spec, cast = timed_cell("a", processes=2), players()
    (outcome,) = run(monkeypatch, cast, [spec])
    assert planned_processes(spec) == 6
    assert sorted(job.process for job in cast.jobs) == list(range(6))
    assert {job.process: job.runs_on.context for job in cast.jobs} == {
        0: 512, 1: 1024, 2: 2048, 3: 512, 4: 1024, 5: 2048
    }  # fmt: skip
    assert [p.round for p in outcome.phases] == ["S-0"] * 3 + ["S-1"] * 3


def test_only_the_first_of_several_processes_is_cold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    artefact = tmp_path / "model.bin"
    artefact.write_bytes(b"x" * 100_000)
    cast = players()
    monkeypatch.setattr(rounds, "run_job", cast)
    for processes in (1, 3):
        cell = RoundCell(timed_cell("a", processes=processes), artefact, "0" * 64)
        list(run_rounds([cell], Shelf(), Silent()))
    alone, first, *others = cast.jobs
    assert alone.page_cache.startswith("page cache as it was")
    assert first.page_cache.startswith("page cache dropped")
    assert [job.cold for job in (alone, *others)] == [False] * 3


def test_peaks_are_asked_for_once_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    cast = players()

    def peaks(target: Target) -> MachinePeaks:
        assert cast.jobs == []
        asked.append(target.name)
        return MachinePeaks(
            threads=2, read_bandwidth=1e10, gemm_flops={}, llc_bytes=None, measured_utc="",
            method="by hand",
        )  # fmt: skip

    monkeypatch.setattr(rounds, "run_job", cast)
    cells = [RoundCell(timed_cell(n, processes=2), Path(), "0" * 64) for n in "ab"]
    found = list(run_rounds(cells, Shelf(), Silent(), peaks=peaks))
    assert asked == ["fake-cpu"]
    assert all(o.peaks is not None and o.peaks.read_bandwidth == 1e10 for o in found)


def test_tasks_have_one_process() -> None:
    assert planned_processes(b.cell(b.variant("a"), b.task())) == 1
