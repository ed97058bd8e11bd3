"""The table of what fits: yes and no come from tries, never from a missing number."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis.frontier import Edge, edges
from slmbench.analysis.memory_frames import FRONTIER_COLUMNS
from slmbench.analysis.results import load_results
from slmbench.records import Measurement, PhaseRecord, ProbeEnding, Provenance, Status
from slmbench.spec import RunSpec, WorkloadSpec
from slmbench.spec.points import parse_point

LIMITS = (100_000_000, 200_000_000, 400_000_000, 800_000_000)


def spec() -> RunSpec:
    work = WorkloadSpec(
        workload="oom_frontier", points=(parse_point("pp240+tg16"),), repeats=1, warmup=0,
        window_s=0, idle_s=0, seed=1, memory_limits=LIMITS,
    )  # fmt: skip
    return b.cell(b.variant("a"), work, suite="memory")


def probe(limit: int, context: int, status: Status, batch: int = 1) -> PhaseRecord:
    ending = ProbeEnding(
        limit_bytes=limit, enforced_by="cgroup v1", context=context, batch=batch, status=status
    )
    readings = [b.measurement("peak_rss", 9e7), b.measurement("cgroup_peak", 8e7)]
    if status is Status.OK:
        readings += [b.measurement("decode_rate", 1e4 / context), b.measurement("major_faults", 7)]
    return b.phase("probe", *readings).model_copy(update={"probe": ending})


def measured(metric: str, point: str, value: float | None, reason: str = "") -> Measurement:
    return Measurement(
        metric=metric,
        samples=() if value is None else (value,),
        provenance=Provenance.MEASURED if value is not None else Provenance.UNAVAILABLE,
        method="counter",
        point=point,
        reason=reason,
    )


@pytest.fixture
def found(tmp_path: Path) -> tuple[Edge, ...]:
    frontier = b.phase(
        "frontier",
        measured("max_context", "100 MB", None, "nothing fits: oom"),
        measured("max_batch", "256 tokens, 100 MB", None, "nothing fits: oom"),
        measured("max_context", "200 MB", 128),
        measured("max_context", "400 MB", 2048),
        measured("max_batch", "256 tokens, 400 MB", 8),
        measured("max_context", "800 MB", None, "no answer within 60 s for the cell"),
    )
    made = (
        probe(100_000_000, 256, Status.OOM),
        probe(200_000_000, 128, Status.OK),
        probe(200_000_000, 256, Status.OOM),
        probe(400_000_000, 1024, Status.OK),
        probe(400_000_000, 2048, Status.OK),
        probe(400_000_000, 256, Status.OK, batch=8),
        frontier,
    )
    b.Shelf(tmp_path).load(spec(), *made)
    return edges(load_results(tmp_path).stored)


def test_yes_no_and_unknown(found: tuple[Edge, ...]) -> None:
    assert [edge.limit_bytes for edge in found] == list(LIMITS)
    assert [edge.fits for edge in found] == [False, False, True, None]
    assert [edge.max_context for edge in found] == [None, 128, 2048, None]
    assert [edge.max_batch for edge in found] == [None, None, 8, None]
    assert [edge.whole_window for edge in found] == [False, False, True, False]


def test_time_that_ran_out_is_not_a_no(tmp_path: Path) -> None:
    frontier = b.phase("frontier", measured("max_context", "100 MB", 128))
    made = (
        probe(100_000_000, 128, Status.OK),
        probe(100_000_000, 256, Status.TIMEOUT),
        frontier,
    )
    b.Shelf(tmp_path).load(spec(), *made)
    first = edges(load_results(tmp_path).stored)[0]
    assert (first.max_context, first.fits) == (128, None)


def test_what_it_was_like_at_the_edge(found: tuple[Edge, ...]) -> None:
    at_400 = found[2]
    assert at_400.decode_rate == pytest.approx(1e4 / 2048)
    assert (at_400.major_faults, at_400.peak) == (7, 8e7)
    assert at_400.endings == "3 ok"
    assert found[1].endings == "1 ok, 1 oom"
    assert found[3].endings == "implied by a smaller limit"


def test_the_table_has_its_columns(tmp_path: Path, found: tuple[Edge, ...]) -> None:
    table = load_results(tmp_path).frontier()
    assert list(table.columns) == [c.name for c in FRONTIER_COLUMNS]
    assert len(table) == len(found)
    assert table["fits"].isna().sum() == 1


def test_max_context_stands_for_the_workload(tmp_path: Path, found: tuple[Edge, ...]) -> None:
    rows = load_results(tmp_path).metric_rows
    assert {row.metric for row in rows if row.primary} == {"max_context"}
