"""The pages per kind of cost: which are written, what stands on them, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

import builders as b
import cost_store as c
from slmbench.analysis import load_results
from slmbench.records import SkipRecord, Status
from slmbench.report import write_report
from slmbench.report.costs import COSTS
from slmbench.report.costs.entries import Change, Entry, Reading, Table, Words
from slmbench.store import save_skips

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def entry(table: Table, row: int, head: str) -> Entry:
    """The entry of a row below the first head that begins so."""
    (place, *_) = [i for i, h in enumerate(table.heads) if h.title.startswith(head)]
    return table.rows[row].cells[place]


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """A root and a variant that is 20 % faster, in five rounds together."""
    shelf = b.Shelf(tmp_path)
    for what, speed in ((c.ROOT, 1.0), (c.SMALL, 1.25)):
        spec = c.timed(what)
        told = {"peaks": c.PEAKS, "observer": c.OBSERVER, "model": c.MODEL}
        shelf.load(spec, *c.rounds(spec, speed), **told)
    return tmp_path


def test_pages_appear_where_there_are_runs_and_go_with_them(tmp_path: Path, timed: Path) -> None:
    out = tmp_path / "out"
    write_report(load_results(timed), out, title="t")
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "performance.html"]
    only = b.Shelf(tmp_path / "other")
    only.load(c.timed(c.ROOT, "memory", ("pp128+tg16",), "memory"), *c.memory_phases(2e8))
    write_report(load_results(only.root), out, title="t")
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "memory.html"]


def test_a_cost_page_loads_nothing_and_all_links_lead_somewhere(
    timed: Path, tmp_path: Path
) -> None:
    write_report(load_results(timed), tmp_path / "out", title=f"A & B {HOSTILE}")
    text = (tmp_path / "out" / "performance.html").read_text("utf-8")
    assert "<script>alert(1)" not in text
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert re.findall(r"sha256-([^']+?)(?:'|&#39;)", policy.group(1)) == digests
    markup = re.sub(r"<script.*?</script>|<style>.*?</style>", "", text, flags=re.S)
    assert not re.search(r"<[^>]*\s(src|srcset|data|action|poster)=", markup)
    assert "http:" not in markup
    assert "https:" not in markup
    for anchor in re.findall(r'href="#([^"]+)"', markup):
        assert markup.count(f'id="{anchor}"') == 1, anchor
    ids = re.findall(r'\bid="([^"]+)"', markup)
    assert len(ids) == len(set(ids))
    cells = re.findall(r"<td[^>]*>", markup)
    assert cells
    assert all("data-provenance=" in cell for cell in cells)


def test_times_bear_their_processes_and_steadiness(timed: Path) -> None:
    table = c.tables(c.cost_pages_of(timed)["performance"])["latency-latency-tg128"]
    found = entry(table, 0, "Time per output token")
    assert isinstance(found, Reading)
    assert found.cell.value == pytest.approx(0.0101, rel=0.01)
    assert found.cell.range
    assert "5 processes" in found.extra
    assert (found.word, found.tone) == ("steady", "good")
    assert "between 5 processes" in found.reason
    assert not any(h.title.startswith("Time to first") for h in table.heads)


def test_the_ratio_to_the_parent_is_of_rounds(timed: Path) -> None:
    table = c.tables(c.cost_pages_of(timed)["performance"])["latency-latency-pp512"]
    assert entry(table, 0, "× parent") is None
    found = entry(table, 1, "× parent")
    assert isinstance(found, Change)
    assert (found.text, found.basis, found.verdict) == ("× 0.80", "5 rounds", "better")
    assert "m-root" in found.tooltip
    assert "sign test" in found.tooltip


def test_interference_is_told_on_every_number_that_it_touched(tmp_path: Path) -> None:
    spec = c.timed(c.ROOT)
    b.Shelf(tmp_path).load(spec, *c.rounds(spec, seen=[b.loaded()]))
    page = c.cost_pages_of(tmp_path)["performance"]
    found = entry(c.tables(page)["latency-latency-tg128"], 0, "Time per output token")
    assert isinstance(found, Reading)
    assert (found.word, found.tone) == ("disturbed", "bad")
    assert "loaded machine" in found.flags
    assert "loaded machine" in {f.flag for f in page.flags}


def test_shares_of_the_peaks_and_what_they_rest_on(timed: Path) -> None:
    page = c.cost_pages_of(timed)["performance"]
    (part,) = [p for p in page.parts if p.anchor == "roofline"]
    assert any("20.0 GB/s" in text and "33.0 MB" in text for text in part.lead)
    table = part.tables[0]
    assert [(h.title.split()[0], h.below) for h in table.heads][:2] == [
        ("MBU", "tg128"), ("MFU", "pp512"),
    ]  # fmt: skip
    bandwidth = entry(table, 0, "MBU")
    assert isinstance(bandwidth, Reading)
    assert bandwidth.cell.value == pytest.approx((8e7 + 23040 * 65) / 0.0101 / 2e10, rel=0.01)
    share = entry(table, 0, "Engine's share")
    assert isinstance(share, Reading)
    assert share.cell.shown == "98.0 %"


def test_tails_without_enough_requests_are_told_not_shown(timed: Path, tmp_path: Path) -> None:
    (part,) = [p for p in c.cost_pages_of(timed)["performance"].parts if p.anchor == "percentiles"]
    assert not part.tables
    assert "at most 15 here" in part.notes[0]
    spec = c.timed(c.ROOT)
    many = b.Shelf(tmp_path / "many")
    many.load(spec, *c.rounds(spec, processes=16))
    page = c.cost_pages_of(many.root)["performance"]
    table = c.tables(page)["tail-latency-ttft-pp512"]
    p90, p95 = entry(table, 0, "p90"), entry(table, 0, "p95")
    assert isinstance(p90, Reading)
    assert isinstance(p95, Reading)
    assert p90.cell.value is not None
    assert p90.cell.range
    assert p95.cell.value is None
    assert "72" in p95.cell.reason


def test_what_is_simulated_gets_no_number_and_a_reason(timed: Path, tmp_path: Path) -> None:
    why = "simulated kernels: dense arithmetic stands for the compression"
    skip = SkipRecord(suite="latency", variant="m-fake", target="t-cpu", work="latency", reason=why)
    save_skips(timed, "latency", (skip,))
    page = c.cost_pages_of(timed)["performance"]
    assert page.simulated == ("m-fake on t-cpu",)
    write_report(load_results(timed), tmp_path / "out", title="t")
    text = (tmp_path / "out" / "performance.html").read_text("utf-8")
    assert "no credit for speed, memory or energy" in text
    assert "m-fake on t-cpu" in text


def test_a_failed_run_says_so_in_its_cells(timed: Path) -> None:
    b.Shelf(timed).failure(c.timed(b.variant("m-q2", parent="m-root")), Status.OOM, "too large")
    table = c.tables(c.cost_pages_of(timed)["performance"])["latency-latency-tg128"]
    (row,) = [r for r in table.rows if r.name == "m-q2"]
    assert isinstance(row.cells[0], Reading)
    assert row.cells[0].cell.status == "oom"
    assert "too large" in row.cells[0].cell.tooltip


def test_every_page_has_its_words() -> None:
    assert list(COSTS) == ["performance", "memory", "energy", "scaling", "serving"]
    assert all(about.caution and about.question for about in COSTS.values())


def test_the_runtime_is_shown_apart_from_the_model(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    for what, peak in ((c.ROOT, 4e8), (c.SMALL, 2e8)):
        spec = c.timed(what, "memory", ("pp128+tg16",), "memory")
        shelf.load(spec, *c.memory_phases(peak))
    page = c.cost_pages_of(tmp_path)["memory"]
    table = c.tables(page)["memory-memory-summary"]
    runtime, of_model = entry(table, 1, "Runtime"), entry(table, 1, "Memory of the model")
    assert isinstance(runtime, Reading)
    assert isinstance(of_model, Reading)
    assert (runtime.cell.shown, of_model.cell.shown) == ("60.0 MB", "140 MB")
    ratio = entry(table, 1, "× parent")
    assert isinstance(ratio, Change)
    assert (ratio.text, ratio.verdict) == ("× 0.50", "no interval")
    phases = c.tables(page)["memory-memory-peak_rss"]
    assert [h.title for h in phases.heads] == ["runtime", "load", "prefill"]
    (figure,) = [f for f in page.figures if f.name == "memory-memory-figure"]
    grey, blue = figure.spec["data"]
    assert list(grey["x"]) == pytest.approx([60, 60])
    assert list(blue["x"]) == pytest.approx([340, 140])


def test_the_line_through_contexts_is_held_against_the_formula(tmp_path: Path) -> None:
    b.Shelf(tmp_path).load(
        c.timed(c.ROOT, "memory_context", ("pp240+tg16", "pp496+tg16", "pp1008+tg16"), "memory"),
        *c.context_phases(),
    )
    page = c.cost_pages_of(tmp_path)["memory"]
    table = c.tables(page)["context-memory"]
    assert [row.name for row in table.rows] == ["m-root", "cache: pss_anon", "prefill: peak_rss"]
    ratio = entry(table, 1, "b / formula")
    assert isinstance(ratio, Reading)
    assert ratio.cell.value == pytest.approx(1, abs=0.01)
    told = entry(table, 2, "What b is")
    assert isinstance(told, Words)
    assert "buffers" in told.text
    (cache, paid) = page.figures
    assert len(cache.spec["data"][-1]["x"]) == 6
    assert "the formula" in cache.caption
    assert "prefill: peak_rss" in paid.caption


def test_what_fits_is_answered_from_tries(tmp_path: Path) -> None:
    spec = c.timed(c.ROOT, "oom_frontier", ("pp240+tg16",), "memory",
                   memory_limits=(100 * c.MB, 400 * c.MB, 800 * c.MB))  # fmt: skip
    b.Shelf(tmp_path).load(spec, *c.frontier_phases())
    table = c.tables(c.cost_pages_of(tmp_path)["memory"])["frontier-memory-256"]
    assert [h.title for h in table.heads] == [
        "Fits on 100 MB?", "Fits on 400 MB?", "Fits on 800 MB?",
    ]  # fmt: skip
    answers = [e for e in table.rows[0].cells if isinstance(e, Words)]
    assert [(e.text, e.tone) for e in answers] == [
        ("no", "bad"), ("yes", "good"), ("not known", "warn"),
    ]  # fmt: skip
    assert "up to 2048 tokens, the whole window" in answers[1].below
    assert any("1,234 major faults" in line for line in answers[1].below)
    assert "1 oom" in answers[0].tooltip


def _energy_store(root: Path) -> b.Shelf:
    """Three systems with a counter, one at the wall; the model beside one."""
    shelf = b.Shelf(root)
    board, wall = "gpu0 board only", "wall, whole machine"
    for name, joules, seconds, scope in (
        ("a", 100.0, 10.0, board), ("b", 60.0, 7.0, board), ("d", 80.0, 12.0, board),
        ("e", 500.0, 10.0, wall),
    ):  # fmt: skip
        spec = c.timed(b.variant(name), "energy", ("pp128+tg64",), "energy")
        windows = [c.window(joules * k, seconds, scope, 30 * seconds) for k in (1, 1.01, 0.99)]
        shelf.load(spec, *windows)
    return shelf


def test_energies_are_parted_by_grade_and_scope_and_never_ordered(tmp_path: Path) -> None:
    page = c.cost_pages_of(_energy_store(tmp_path).root)["energy"]
    table = c.tables(page)["energy-energy-pp128-tg64"]
    assert [row.name for row in table.rows] == [
        "Grade A: wall meter · wall, whole machine", "e",
        "Grade B: hardware counter · gpu0 board only", "a", "b", "d",
    ]  # fmt: skip
    gross, net = entry(table, 3, "Energy per output"), entry(table, 3, "Energy above idle per out")
    assert isinstance(gross, Reading)
    assert isinstance(net, Reading)
    assert gross.cell.value == pytest.approx(100 / 640)
    assert net.cell.value == pytest.approx(80 / 640)
    assert gross.cell.grade == "B"
    model = c.tables(page)["energy-energy-pp128-tg64-model"]
    assert model.rows[0].name.startswith("Grade D: load model")
    (figure,) = [f for f in page.figures if f.name.startswith("energy-energy")]
    assert "Grade B (hardware counter), gpu0 board only" in figure.caption
    assert all(len(trace["x"]) == 3 for trace in figure.spec["data"])


def test_model_and_meter_and_time_are_held_against_each_other(tmp_path: Path) -> None:
    page = c.cost_pages_of(_energy_store(tmp_path).root)["energy"]
    agreement = c.tables(page)["agreement-table"]
    ratio = entry(agreement, 0, "Modelled /")
    assert isinstance(ratio, Reading)
    assert ratio.cell.value == pytest.approx(3)
    verdicts = {row.name + row.below[2]: row for row in c.tables(page)["information-table"].rows}
    of_model = verdicts[
        "Energy per request (codecarbon model)whole machine, modelled, cpu by machine load"
    ].cells[1]
    of_meter = verdicts["Energy per requestgpu0 board only"].cells[1]
    assert isinstance(of_model, Words)
    assert isinstance(of_meter, Words)
    assert (of_model.text, of_meter.text) == ("no", "yes")


def test_energy_that_nobody_could_read_has_its_reason(tmp_path: Path) -> None:
    nothing = b.measurement("energy_gross", point="pp128+tg64", reason="no RAPL counters")
    spec = c.timed(c.ROOT, "energy", ("pp128+tg64",), "energy")
    estimate = c.window(10, 1, "x", 30).measurements[-2:]
    b.Shelf(tmp_path).load(spec, b.phase("window", nothing, *estimate))
    page = c.cost_pages_of(tmp_path)["energy"]
    (part,) = [p for p in page.parts if p.anchor == "grades"]
    assert part.notes == ("No measured figure: no RAPL counters (m-root on fake-cpu).",)
    assert "energy-energy-pp128-tg64" not in c.tables(page)
