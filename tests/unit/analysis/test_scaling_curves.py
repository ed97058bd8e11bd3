"""From stored latency runs to the tables of scaling."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.scaling_curves import length_of
from slmbench.analysis.scaling_frames import EXPONENT_COLUMNS, SCALING_COLUMNS
from slmbench.records import MachinePeaks, PhaseRecord, Status
from slmbench.spec import RunSpec, WorkloadSpec
from slmbench.spec.points import parse_point

POINTS = ("pp256", "pp512", "pp1024", "pp2048", "tg16@d256", "tg16@d1024", "tg16@d2048")
PEAKS = MachinePeaks(
    threads=2, read_bandwidth=1e10, gemm_flops={}, llc_bytes=None, measured_utc="", method="test"
)
KV = 23040


def spec(name: str = "a", points: tuple[str, ...] = POINTS, processes: int = 3) -> RunSpec:
    work = WorkloadSpec(
        workload="latency",
        points=tuple(map(parse_point, points)),
        repeats=2,
        warmup=0,
        window_s=0,
        idle_s=0,
        seed=1,
        processes=processes,
    )
    return b.cell(b.variant(name), work, suite="scaling")


def phases(points: tuple[str, ...] = POINTS, processes: int = 3) -> list[PhaseRecord]:
    """t = 0.01 + 0.001 T + 1e-6 T² and TPOT = 0.02 + 2 KV / bandwidth · T, ± 0.1 % by process."""
    found = []
    for process in range(processes):
        factor = 1 + 1e-3 * (process - 1)
        for name in points:
            point = parse_point(name)
            t = point.prompt_tokens
            measured = [b.measurement("ttft", *[factor * (0.01 + 1e-3 * t + 1e-6 * t * t)] * 2,
                                      point=name)]  # fmt: skip
            if point.output_tokens > 1:
                held = point.depth + 1 + point.output_tokens / 2
                step = factor * (0.02 + 2 * KV / 1e10 * held)
                measured.append(b.measurement("tpot", step, step, point=name))
            phase = b.phase("timed", *measured)
            found.append(phase.model_copy(update={"process": process, "round": f"s-{process}"}))
            found.append(b.phase("warm_up", b.measurement("ttft", 99.0, point=name)))
    return found


def test_both_quantities_of_a_run_are_fitted(tmp_path: Path) -> None:
    b.Shelf(tmp_path).load(spec(), *phases(), peaks=PEAKS)
    results = load_results(tmp_path)
    table = results.scaling().set_index("quantity")
    prefill, decode = table.loc["prefill"], table.loc["decode"]
    assert prefill["per_pair"] == pytest.approx(1e-6, rel=1e-3)
    assert prefill["per_pair_low"] > 0
    assert prefill["crossover"] == pytest.approx(1000, rel=1e-3)
    assert prefill["verdict"] == "quadratic term resolved"
    assert (prefill["lengths"], prefill["processes"], prefill["repetitions"]) == (4, 3, 2)
    assert decode["verdict"] == "grows with context"
    assert decode["kv_ratio"] == pytest.approx(2.0, rel=1e-3)
    assert decode["kv_seconds"] == pytest.approx(KV / 1e10)
    assert (decode["shortest"], decode["longest"]) == (265, 2057)
    local = results.scaling_exponents()
    assert len(local) == 3 + 2
    assert local["exponent"].iloc[2] > local["exponent"].iloc[0]
    assert list(table.reset_index().columns.sort_values()) == sorted(
        c.name for c in SCALING_COLUMNS
    )
    assert list(local.columns) == [c.name for c in EXPONENT_COLUMNS]


def test_reasons_stand_where_there_is_no_fit(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    shelf.failure(spec("failed"), Status.OOM, "no memory")
    few = ("pp256", "pp512", "pp1024")
    shelf.load(spec("few", few), *phases(few))
    shelf.load(spec("fake"), *phases(), model=b.model(kernel="simulated"))
    shelf.load(spec("plain"), *phases(processes=1))
    table = load_results(tmp_path).scaling().set_index(["variant", "quantity"])
    assert table.loc[("failed", "prefill"), "reason"] == "no memory"
    assert "3 lengths" in table.loc[("few", "prefill"), "reason"]
    assert ("few", "decode") not in table.index
    assert "simulated" in table.loc[("fake", "decode"), "reason"]
    assert table.loc[("fake", "decode"), "flags"] == "simulated kernel"
    assert table.loc[("plain", "prefill"), "flags"] == "one process"
    assert "bandwidth" in table.loc[("plain", "decode"), "kv_reason"]
    assert table.loc[("failed", "prefill"), "provenance"] == "unavailable"


def test_a_length_that_a_process_lacks_is_left_out_for_all(tmp_path: Path) -> None:
    found = [
        p
        for p in phases()
        if not (p.process == 2 and any(m.point == "pp2048" for m in p.measurements))
    ]
    b.Shelf(tmp_path).load(spec(), *found)
    table = load_results(tmp_path).scaling().set_index("quantity")
    assert table.loc["prefill", "lengths"] == 3
    assert "3 lengths" in table.loc["prefill", "reason"]


def test_short_latency_runs_are_not_about_scaling(tmp_path: Path) -> None:
    b.Shelf(tmp_path).load(spec("a", ("pp32", "pp128")), *phases(("pp32", "pp128")))
    assert len(load_results(tmp_path).scaling()) == 0


@pytest.mark.parametrize(
    ("name", "prefill", "decode"),
    [
        ("pp512", 512, None),
        ("tg16@d256", None, 256 + 1 + 8),
        ("pp512+tg32", 512, 512 + 16),
        ("pp512@d512", None, None),
        ("pp512xb4", None, None),
    ],
)
def test_lengths_of_points(name: str, prefill: float | None, decode: float | None) -> None:
    assert length_of(parse_point(name), "prefill") == prefill
    assert length_of(parse_point(name), "decode") == decode
