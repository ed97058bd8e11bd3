"""Estimates say where they come from: the same cell, like cells, or a guess."""

from __future__ import annotations

from pathlib import Path

from samples import cell, finished_run, record, variant
from slmbench.estimates import estimates
from slmbench.plan import Cell
from slmbench.records import PhaseRecord
from slmbench.runner.environment import fingerprint
from slmbench.spec import RunSpec, Variant
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
