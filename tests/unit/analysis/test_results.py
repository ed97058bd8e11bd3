"""Stored runs become the right rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import Results, load_results
from slmbench.analysis.rows import MetricRow
from slmbench.records import Provenance, Status

BASE = b.variant("base")


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def only(results: Results, metric: str, **where: str) -> MetricRow:
    """The one row of that metric."""
    found = [
        r
        for r in results.metric_rows
        if r.metric == metric and all(getattr(r, k) == v for k, v in where.items())
    ]
    assert len(found) == 1, found
    return found[0]


def test_a_task_gives_mean_interval_and_chance(shelf: b.Shelf) -> None:
    items = b.choice_items("arc_easy", 50, choices=4)
    spec = b.cell(BASE, b.task())
    shelf.task(spec, items, {"acc": [1] * 45 + [0] * 5, "margin": [0.5, 1.5] * 25})
    results = load_results(shelf.root)
    row = only(results, "acc")
    assert (row.estimate.value, row.estimate.n, row.chance) == (0.9, 50, 0.25)
    assert (row.estimate.low, row.estimate.high) == pytest.approx((0.786, 0.957), abs=5e-4)
    assert (row.primary, row.provenance, row.flags) == (True, Provenance.MEASURED, ())
    assert not only(results, "margin").primary
    table = results.metrics()
    shown = table[table.metric == "acc"].iloc[0]
    assert (shown.value, shown.unit, shown.direction) == (0.9, "fraction", "higher")
    assert (shown.status, shown.provenance, shown["flags"]) == ("ok", "measured", "")
    assert table["parent"].isna().all(), "a root has no parent"


def test_chance_is_flagged(shelf: b.Shelf) -> None:
    items = b.choice_items("arc_easy", 40, choices=4)
    shelf.task(b.cell(BASE, b.task()), items, {"acc": [1, 0, 0, 0] * 10})
    shelf.task(b.cell(BASE, b.task("piqa")), items, {"acc": [0] * 40})
    flags = {r.run.spec.work_name: r.flags for r in load_results(shelf.root).metric_rows}
    assert flags["arc_easy"] == ("not above chance",)
    assert "below chance" in flags["piqa"]


def test_unscored_items_are_counted_not_scored(shelf: b.Shelf) -> None:
    items = b.choice_items("arc_easy", 10)
    shelf.task(b.cell(BASE, b.task()), items, {"acc": [1.0] * 6 + [0.0] * 2 + [None] * 2})
    row = only(load_results(shelf.root), "acc")
    assert (row.estimate.value, row.estimate.n, row.n_failed) == (0.75, 8, 2)
    assert "unscored items" in row.flags


def test_nothing_scored_is_null_with_a_reason(shelf: b.Shelf) -> None:
    shelf.task(b.cell(BASE, b.task()), b.choice_items("arc_easy", 3), {"acc": [None] * 3})
    row = only(load_results(shelf.root), "acc")
    assert (row.estimate.value, row.provenance) == (None, Provenance.UNAVAILABLE)
    assert row.reason


def test_clusters_are_used(shelf: b.Shelf) -> None:
    scores = {"acc": [1.0] * 20 + [0.0] * 20}
    apart = b.choice_items("a", 40)
    together = b.choice_items("b", 40).model_copy(
        update={
            "items": tuple(
                item.model_copy(update={"cluster": str(i // 10)})
                for i, item in enumerate(b.choice_items("b", 40).items)
            )
        }
    )
    shelf.task(b.cell(BASE, b.task("a")), apart, scores)
    shelf.task(b.cell(BASE, b.task("b")), together, scores)
    widths = {
        r.run.spec.work_name: r.estimate.high - r.estimate.low
        for r in load_results(shelf.root).metric_rows
        if r.estimate.high is not None and r.estimate.low is not None
    }
    assert widths["b"] > 1.5 * widths["a"]


def test_stereotype_distance_is_derived(shelf: b.Shelf) -> None:
    spec = b.cell(BASE, b.task("pairs", "stereotype_distance"), suite="bias")
    scores = {"stereotype_preference": [1.0] * 30 + [0.0] * 10}
    shelf.task(spec, b.choice_items("pairs", 40, choices=2), scores)
    row = only(load_results(shelf.root), "stereotype_distance")
    assert (row.estimate.value, row.provenance, row.primary) == (0.25, Provenance.DERIVED, True)
    assert row.direction == "none"  # a dead model has 0


def test_a_failed_cell_is_one_row(shelf: b.Shelf) -> None:
    shelf.failure(b.cell(BASE, b.task()), Status.CRASHED, "died of SIGILL", signal="SIGILL")
    shelf.failure(b.cell(BASE, b.workload(), suite="latency"), Status.TIMEOUT, "too slow")
    table = load_results(shelf.root).metrics().set_index("task")
    assert list(table.loc["arc_easy", ["metric", "status", "reason", "provenance"]]) == [
        "acc",
        "crashed",
        "died of SIGILL",
        "unavailable",
    ]
    assert table.loc["latency", "metric"] == "tpot"
    assert table["value"].isna().all()
    assert table["primary"].all()


def test_timings_keep_point_phase_and_observations(shelf: b.Shelf) -> None:
    quiet = [0.0100, 0.0101, 0.0099, 0.0102, 0.0098, 0.0100, 0.0101]
    spec = b.cell(BASE, b.workload("latency", (32, 8), (128, 8)), suite="latency")
    shelf.load(
        spec,
        b.phase("warm_up", b.measurement("tpot", 0.5, point="pp32+tg8")),
        b.phase("timed", b.measurement("tpot", *quiet, point="pp32+tg8")),
        b.phase(
            "timed",
            b.measurement("tpot", *[t * (1 + i) for i, t in enumerate(quiet)], point="pp128+tg8"),
            seen=[b.loaded()],
        ),
    )
    results = load_results(shelf.root)
    row = only(results, "tpot", point="pp32+tg8", phase="timed")
    assert (row.estimate.value, row.estimate.low, row.estimate.high) == (0.01, 0.0098, 0.0102)
    assert row.primary
    assert not only(results, "tpot", phase="warm_up").primary
    assert "loaded machine" not in row.flags
    assert set(only(results, "tpot", point="pp128+tg8").flags) >= {"loaded machine", "noisy"}
    assert len(results.samples()) == 15


def test_single_and_unavailable_readings(shelf: b.Shelf) -> None:
    spec = b.cell(BASE, b.workload("energy"), suite="energy")
    shelf.load(
        spec,
        b.phase("window", b.measurement("energy_gross", 3.0), b.measurement("energy_per_token")),
        b.phase("window", b.measurement("energy_gross", 5.0), b.measurement("energy_per_token")),
    )
    results = load_results(shelf.root)
    gross = only(results, "energy_gross")
    assert (gross.estimate.value, gross.estimate.n) == (4.0, 2)
    assert "few samples" in gross.flags
    absent = only(results, "energy_per_token")
    assert (absent.estimate.value, absent.provenance) == (None, Provenance.UNAVAILABLE)
    assert (absent.reason, absent.primary) == ("no such counter here", True)


def test_maxima_take_the_maximum(shelf: b.Shelf) -> None:
    shelf.load(
        b.cell(BASE, b.workload("memory"), suite="memory"),
        b.phase("total", b.measurement("peak_memory", 3e8)),
        b.phase("decode", b.measurement("peak_rss", 1e8, 3e8, 2e8)),
    )
    results = load_results(shelf.root)
    assert only(results, "peak_rss").estimate.value == 3e8
    assert only(results, "peak_rss").estimate.low is None
    assert only(results, "peak_memory").flags == ("single reading",)


def test_tokens_are_not_independent(shelf: b.Shelf) -> None:
    measured = b.measurement("itl", *[0.01 + i * 1e-6 for i in range(50)])
    shelf.load(b.cell(BASE, b.workload(), suite="latency"), b.phase("timed", measured))
    row = only(load_results(shelf.root), "itl")
    assert (row.estimate.low, row.flags) == (None, ("dependent samples",))


def test_simulated_kernels_get_no_speed(shelf: b.Shelf) -> None:
    spec = b.cell(BASE, b.workload(), suite="latency")
    timed = b.phase("timed", b.measurement("tpot", *[0.01] * 8))
    shelf.load(spec, timed, model=b.model(kernel="simulated"))
    row = only(load_results(shelf.root), "tpot")
    assert (row.estimate.value, row.provenance) == (None, Provenance.UNAVAILABLE)
    assert row.flags == ("simulated kernel",)


def test_the_newest_good_run_counts(shelf: b.Shelf) -> None:
    spec, items = b.cell(BASE, b.task()), b.choice_items("arc_easy", 4)
    shelf.task(spec, items, {"acc": [0] * 4}, run_id=f"2026-{b.MACHINE}")
    shelf.task(spec, items, {"acc": [1] * 4}, run_id=f"2027-{b.MACHINE}")
    shelf.failure(spec, Status.OOM, "no memory", run_id=f"2028-{b.MACHINE}")
    shelf.task(spec, items, {"acc": [0] * 4}, machine="f" * 16)
    shown = load_results(shelf.root).metric_rows
    assert sorted((r.run.record.machine, r.estimate.value) for r in shown) == [
        (b.MACHINE, 1.0),
        ("f" * 16, 0.0),
    ]
    assert len(load_results(shelf.root, every_run=True).runs()) == 4
    assert len(load_results(shelf.root, only={"0" * 64}).runs()) == 0
    assert len(load_results(shelf.root, only={spec.digest}).runs()) == 2


def test_damage_is_named_not_counted(shelf: b.Shelf) -> None:
    good = b.cell(BASE, b.task())
    shelf.task(good, b.choice_items("arc_easy", 4), {"acc": [1] * 4})
    broken = shelf.task(b.cell(BASE, b.task("piqa")), b.choice_items("piqa", 4), {"acc": [1] * 4})
    (broken / "record.json").write_text('{"schema_ver')
    scores = shelf.task(b.cell(BASE, b.task("boolq")), b.choice_items("q", 4), {"acc": [1] * 4})
    next((scores / "scores").glob("*.jsonl")).write_text("{nonsense\n")
    results = load_results(shelf.root)
    assert [q.folder for q in results.quarantined] == [broken]
    rows = {r.run.spec.work_name: r for r in results.metric_rows}
    assert set(rows) == {"arc_easy", "boolq"}
    assert rows["boolq"].estimate.value is None
    assert "cannot be read" in rows["boolq"].reason


def test_items_table(shelf: b.Shelf) -> None:
    shelf.task(b.cell(BASE, b.task()), b.choice_items("arc_easy", 3), {"acc": [1, 0, None]})
    table = load_results(shelf.root).items()
    assert list(table["item_id"]) == ["arc_easy/0", "arc_easy/1", "arc_easy/2"]
    assert list(table["value"].isna()) == [False, False, True]
    assert table["failure"].iloc[2] == "non_finite"


def test_reading_results_loads_no_engine(tmp_path: Path) -> None:
    code = (
        "import sys, slmbench; slmbench.load_results(sys.argv[1]).metrics();"
        "bad = {'torch', 'transformers', 'llama_cpp', 'lm_eval', 'plotly'} & set(sys.modules);"
        "sys.exit(','.join(bad) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
