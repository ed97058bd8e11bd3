"""How long a process took to start, from what its worker told."""

from __future__ import annotations

import time

import builders as b
from round_players import timed_cell
from slmbench.records import PhaseRecord
from slmbench.runner import supervisor
from slmbench.runner.protocol import CellJob


def phase(name: str, seconds: float = 0.0) -> PhaseRecord:
    return PhaseRecord(phase=name, started_utc="", duration_ns=round(seconds * 1e9))


def started(*phases: PhaseRecord, ago: float, cell: CellJob) -> dict[str, tuple[float, str]]:
    attempt = supervisor._Attempt()
    attempt.begun = time.monotonic() - ago
    found = supervisor._with_start(attempt, phases, cell)
    return {m.metric: (m.samples[0], m.scope) for p in found for m in p.measurements}


def test_a_timed_process_knows_its_start_and_what_was_cached() -> None:
    job = CellJob(spec=timed_cell("a"), items=None, cold=True, page_cache="page cache dropped")
    ((seconds, scope),) = started(phase("load", 0.1), ago=2.0, cell=job).values()
    assert 2.0 <= seconds < 2.5
    assert scope == "interpreter and engine import included, page cache dropped"
    assert set(started(phase("load"), ago=1.0, cell=job)) == {"start_time_cold"}


def test_idling_before_the_load_is_not_starting() -> None:
    job = CellJob(spec=timed_cell("a"), items=None)
    found = started(phase("idle_unloaded", 30.0), phase("load"), ago=31.5, cell=job)
    assert 1.5 <= found["start_time"][0] < 2.0


def test_nobody_times_the_start_of_a_task() -> None:
    job = CellJob(spec=b.cell(b.variant("a"), b.task()), items=None)
    assert started(phase("load"), ago=1.0, cell=job) == {}
