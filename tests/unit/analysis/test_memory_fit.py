"""Memory against context: a known line is found again, and b is held against the formula."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis.memory_fit import Line, cache_line, headline, memory_lines, memory_rows
from slmbench.analysis.memory_frames import FIT_COLUMNS
from slmbench.analysis.results import load_results
from slmbench.records import PhaseRecord, Provenance
from slmbench.spec import RunSpec, WorkloadSpec
from slmbench.spec.points import parse_point

KV = 23040
POINTS = ("pp240+tg16", "pp496+tg16", "pp1008+tg16", "pp2032+tg16")
MB = 10**6


def spec(name: str = "a", points: tuple[str, ...] = POINTS) -> RunSpec:
    work = WorkloadSpec(
        workload="memory_context",
        points=tuple(map(parse_point, points)),
        repeats=1,
        warmup=0,
        window_s=0,
        idle_s=0,
        seed=1,
        processes=2,
    )
    return b.cell(b.variant(name), work, suite="memory")


def phases(
    cache: float = KV, prefill: float = 2 * KV, points: tuple[str, ...] = POINTS
) -> list[PhaseRecord]:
    """Processes whose memory is 60 MB + cache x T, then 70 MB + prefill x T, ± 1 kB."""
    found = []
    for process in range(2 * len(points)):
        name = points[process % len(points)]
        point = parse_point(name)
        cells = point.tokens * point.batch
        noise = 1000 if process < len(points) else -1000
        held = b.measurement("pss_anon", 60 * MB + cache * cells + noise, point=name)
        peak = b.measurement("peak_rss", 70 * MB + prefill * cells + noise, point=name)
        for phase in (b.phase("load", b.measurement("peak_rss", 1e9)), b.phase("cache", held),
                      b.phase("prefill", peak)):  # fmt: skip
            found.append(phase.model_copy(update={"process": process}))
    return found


def lines(folder: Path, *made: PhaseRecord, points: tuple[str, ...] = POINTS) -> tuple[Line, ...]:
    b.Shelf(folder).load(spec(points=points), *made)
    return memory_lines(load_results(folder).stored)


def test_a_known_line_is_recovered(tmp_path: Path) -> None:
    found = lines(tmp_path, *phases())
    cache = cache_line(found)
    assert cache is not None
    assert (cache.phase, cache.quantity, cache.n) == ("cache", "pss_anon", 8)
    assert cache.contexts == (256, 512, 1024, 2048)
    assert cache.per_token.value == pytest.approx(KV, abs=1)
    assert cache.fixed.value == pytest.approx(60 * MB, abs=100)
    assert cache.per_token.low is not None
    assert cache.per_token.low < KV < (cache.per_token.high or 0)
    assert cache.worst == pytest.approx(1000, abs=1)
    assert cache.kv_ratio.value == pytest.approx(1.0, abs=1e-4)
    assert "within 5 %" in cache.told


def test_buffers_on_top_of_the_cache_are_named(tmp_path: Path) -> None:
    paid = headline(lines(tmp_path, *phases(prefill=2 * KV)))
    assert paid is not None
    assert (paid.phase, paid.quantity) == ("prefill", "peak_rss")
    assert paid.kv_ratio.value == pytest.approx(2.0, abs=1e-3)
    assert "23,040 B/token of buffers" in paid.told


def test_logits_of_every_position_are_recognised(tmp_path: Path) -> None:
    paid = headline(lines(tmp_path, *phases(prefill=KV + 4 * 49152)))
    assert paid is not None
    assert "logits of every prompt position" in paid.told


def test_an_engine_that_reserves_nothing_is_judged_after_its_prefill(tmp_path: Path) -> None:
    found = lines(tmp_path, *phases(cache=0.0, prefill=1.1 * KV))
    ahead = next(line for line in found if line.phase == "cache")
    assert "nothing is reserved" in ahead.told
    judged = cache_line(found)
    assert judged is not None
    assert judged.phase == "prefill"
    assert judged.kv_ratio.value == pytest.approx(1.1, abs=1e-3)


def test_a_batch_counts_all_its_cells(tmp_path: Path) -> None:
    points = ("pp112+tg16xb2", "pp240+tg16xb2", "pp496+tg16xb2")
    labels = tuple(parse_point(name).label for name in points)
    found = lines(tmp_path, *phases(points=labels), points=labels)
    assert found[0].contexts == (256, 512, 1024)


def test_one_context_is_no_line(tmp_path: Path) -> None:
    found = lines(tmp_path, *phases(points=POINTS[:1]), points=POINTS[:1])
    assert {line.per_token.value for line in found} == {None}
    assert "two contexts" in found[0].told
    assert headline(found) is None


def test_the_rows_of_a_run(tmp_path: Path) -> None:
    b.Shelf(tmp_path).load(spec(), *phases())
    results = load_results(tmp_path)
    rows = {row.metric: row for row in memory_rows(results.stored[0])}
    assert set(rows) == {"memory_per_token", "memory_fixed", "kv_ratio"}
    assert rows["memory_per_token"].primary
    assert rows["kv_ratio"].provenance is Provenance.DERIVED
    told = {row.metric for row in results.metric_rows}
    assert set(rows) <= told
    assert [row.metric for row in results.metric_rows if row.primary] == ["memory_per_token"]


def test_the_table_has_its_columns(tmp_path: Path) -> None:
    b.Shelf(tmp_path).load(spec(), *phases())
    table = load_results(tmp_path).memory_fit()
    assert list(table.columns) == [c.name for c in FIT_COLUMNS]
    assert list(table["phase"]) == ["cache", "prefill"]
    empty = load_results(tmp_path, only=()).memory_fit()
    assert list(empty.columns) == list(table.columns)
