"""A draft on its way from a planned cell to the engine, and what is told of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import builders as b
from round_players import Players, Shelf, timed_cell, timed_phase
from slmbench.backends.protocol import LoadJob
from slmbench.records import Provenance
from slmbench.requests import GenerateOutput, ItemOutput, LoglikelihoodOutput
from slmbench.runner import rounds, worker
from slmbench.runner.answering import Acceptance
from slmbench.runner.environment import LIBRARIES, fingerprint
from slmbench.runner.events import Silent
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.rounds import RoundCell, run_rounds
from slmbench.runner.timing import latency_measurements


@pytest.mark.parametrize("draft", [None, Path("/models/small.gguf")])
def test_rounds_hand_it_to_every_process(
    monkeypatch: pytest.MonkeyPatch, draft: Path | None
) -> None:
    here = b.environment().model_copy(update={"libraries": fingerprint(LIBRARIES).libraries})
    cast = Players(lambda _: (timed_phase(0.1),), environment=here)
    told: list[str | None] = []

    def run_job(job: WorkerJob, listener: Any) -> Any:
        told.append(job.draft)
        return cast(job, listener)

    monkeypatch.setattr(rounds, "run_job", run_job)
    cell = RoundCell(timed_cell("a", processes=2), Path("/models/large.gguf"), "0" * 64, draft)
    list(run_rounds([cell], Shelf(), Silent(), session="S"))
    assert told == [None if draft is None else str(draft)] * 2


@pytest.mark.parametrize("draft", [None, "/models/small.gguf"])
def test_the_worker_hands_it_to_the_engine(
    monkeypatch: pytest.MonkeyPatch, draft: str | None
) -> None:
    jobs: list[LoadJob] = []

    class Engine:
        def load(self, job: LoadJob) -> Any:
            jobs.append(job)
            return None

    class Backends:
        def load(self, _: str) -> type[Engine]:
            return Engine

    monkeypatch.setattr(worker, "BACKENDS", Backends())
    spec = timed_cell("a")
    cell = CellJob(spec=spec, items=None)
    job = WorkerJob(artefact="/m", artefact_sha256="0" * 64, cells=(cell,), draft=draft)
    worker._load(job, spec.target)
    assert [j.draft for j in jobs] == [None if draft is None else Path(draft)]
    assert jobs[0].path == Path("/m")


def output(drafted: int, accepted: int) -> GenerateOutput:
    return GenerateOutput(
        text="",
        token_ids=(1, 2, 3),
        prompt_tokens=4,
        evaluated_tokens=4,
        start_ns=0,
        token_ns=(10, 20, 20),
        finish="length",
        drafted=drafted,
        accepted=accepted,
    )


def test_a_repetition_is_a_sample_of_the_rate() -> None:
    found = {m.metric: m for m in latency_measurements([output(8, 6), output(4, 0)], "pp4+tg3")}
    assert found["acceptance_rate"].samples == (0.75, 0.0)
    assert found["acceptance_rate"].provenance is Provenance.DERIVED
    assert found["tpot"].samples == (5e-9, 5e-9), "two tokens after the first one, in 10 ns"
    plain = {m.metric for m in latency_measurements([output(0, 0)], "pp4+tg3")}
    assert "acceptance_rate" not in plain, "without proposals there is no rate, and never 0"


def test_answers_of_a_task_are_counted_together() -> None:
    seen = Acceptance()
    assert seen.observation() is None
    scored = LoglikelihoodOutput(logprob=-1.0, tokens=1, context_tokens=1)
    seen.add(ItemOutput(item_id="a", outputs=(output(8, 6), scored)))
    seen.add(ItemOutput(item_id="b", outputs=(output(0, 0), output(2, 2))))
    found = seen.observation()
    assert found is not None
    assert (found.kind, found.value, found.unit) == ("acceptance_rate", 0.8, "fraction")
    assert "8 of 10" in found.message


def test_outputs_without_a_draft_are_written_as_before() -> None:
    assert not {"drafted", "accepted"} & output(0, 0).model_dump().keys()
    assert output(4, 1).model_dump()["accepted"] == 1
