"""The page about long contexts: fits with their curves, grids with intervals, the symptom."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import cost_store as c
from slmbench.analysis import load_results
from slmbench.records import ScoreRow
from slmbench.report.costs.entries import Entry, Reading, Table, Tint, Words
from slmbench.spec import VariantRef
from slmbench.store import FinishedRun, save_items, seal


def entry(table: Table, row: int, head: str) -> Entry:
    """The entry of a row below the first head that begins so."""
    (place, *_) = [i for i, h in enumerate(table.heads) if h.title.startswith(head)]
    return table.rows[row].cells[place]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    spec = c.timed(c.ROOT, points=c.LENGTHS, suite="scaling")
    b.Shelf(tmp_path).load(spec, *c.quadratic(spec), peaks=c.PEAKS)
    return tmp_path


def test_a_grid_of_lengths_stands_on_its_own_page(grid: Path) -> None:
    found = c.cost_pages_of(grid)
    assert list(found) == ["scaling"]
    spec = c.timed(c.ROOT)
    b.Shelf(grid).load(spec, *c.rounds(spec))
    found = c.cost_pages_of(grid)
    assert list(found) == ["performance", "scaling"]
    assert "latency-scaling-pp256" not in c.tables(found["performance"])
    (part,) = [p for p in found["performance"].parts if p.anchor == "elsewhere"]
    assert "suite scaling" in part.notes[0]
    assert found["scaling"].runs == 1


def test_fits_stand_with_their_intervals_and_verdicts(grid: Path) -> None:
    found = c.tables(c.cost_pages_of(grid)["scaling"])
    prefill, decode = found["fits-scaling-prefill"], found["fits-scaling-decode"]
    verdict = entry(prefill, 0, "Verdict")
    assert isinstance(verdict, Words)
    assert (verdict.text, verdict.tone) == ("quadratic term resolved", "good")
    assert verdict.below == ("4 lengths, 256 to 2048", "3 processes")
    pairs, crossover = entry(prefill, 0, "c, per pair"), entry(prefill, 0, "T*")
    assert isinstance(pairs, Reading)
    assert isinstance(crossover, Reading)
    assert pairs.cell.value == pytest.approx(1e-6, rel=0.02)
    assert pairs.cell.shown.endswith("ns/token²")
    assert pairs.cell.range
    assert crossover.cell.value == pytest.approx(1000, rel=0.05)
    ratio = entry(decode, 0, "b / reading KV")
    assert isinstance(ratio, Reading)
    assert ratio.cell.value == pytest.approx(1e-5 / (23040 / 2e10), rel=0.02)


def test_local_exponents_rise_towards_two(grid: Path) -> None:
    table = c.tables(c.cost_pages_of(grid)["scaling"])["exponents-scaling-prefill"]
    assert [h.title for h in table.heads] == ["256 → 512", "512 → 1024", "1024 → 2048"]
    values = [e.cell.value or 0.0 for e in table.rows[0].cells if isinstance(e, Reading)]
    assert values == sorted(values)
    assert 1 < values[-1] < 2


def test_the_curve_is_drawn_through_its_readings(grid: Path) -> None:
    figures = {f.name: f for f in c.cost_pages_of(grid)["scaling"].figures}
    line, marks = figures["scaling-scaling-ttft"].spec["data"]
    assert list(marks["x"]) == [256, 512, 1024, 2048]
    assert line["x"][0] == pytest.approx(256)
    assert line["x"][-1] == pytest.approx(2048)
    assert line["y"][-1] == pytest.approx(marks["y"][-1], rel=0.01)
    axis = figures["scaling-scaling-ttft"].spec["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert list(axis["tickvals"]) == pytest.approx([0.5, 1, 2, 5])


def test_too_few_lengths_give_a_reason_and_no_curve(tmp_path: Path) -> None:
    spec = c.timed(c.ROOT, points=("pp256", "pp512", "pp1024", "pp2048"), suite="scaling")
    kept = [p for p in c.quadratic(spec) if p.measurements[0].point != "pp2048"]
    b.Shelf(tmp_path).load(spec, *kept)
    table = c.tables(c.cost_pages_of(tmp_path)["scaling"])["fits-scaling-prefill"]
    verdict = table.rows[0].cells[0]
    assert isinstance(verdict, Words)
    assert verdict.text == "no fit"
    assert "a fit needs 4" in verdict.below[0]
    assert len(table.rows[0].cells) == len(table.heads)


def test_the_grid_has_intervals_and_what_did_not_fit(tmp_path: Path) -> None:
    c.retrieval(b.Shelf(tmp_path), {100: 1.0, 200: 0.9, 400: 0.2})
    page = c.cost_pages_of(tmp_path)["scaling"]
    table = c.tables(page)["grid-long_context-slm_passkey"]
    assert [h.title for h in table.heads] == ["0 % deep", "50 % deep", "All depths"]
    assert [row.name for row in table.rows][1:] == [
        "100 words", "200 words", "400 words", "800 words",
    ]  # fmt: skip
    low = table.rows[3].cells[2]
    assert isinstance(low, Tint)
    assert (low.cell.n, low.heat) == (40, 20)
    assert low.cell.range
    assert "Wilson" in low.cell.detail or "score" in low.cell.detail
    lost = table.rows[4].cells[0]
    assert isinstance(lost, Words)
    assert "20 unscored" in lost.below
    symptom = c.tables(page)["symptoms-table"].rows[0].cells[0]
    assert isinstance(symptom, Words)
    assert (symptom.text, symptom.tone) == ("yes", "bad")
    assert "fails when long" in {f.flag for f in page.flags}


def _position(shelf: b.Shelf, what: VariantRef, rise: float) -> None:
    """Two ranges of each of ten windows; judgements have the window's id, as the scorer's."""
    items = b.choice_items("slm_long_text", 20, clusters=10)
    ranges = ("0 to 255", "256 to 511")
    rows = [
        ScoreRow(
            item_id=f"t/{i % 10}", cluster=f"c{i % 10}", group=ranges[i // 10],
            metric="position_nll", value=2.0 + 0.01 * (i % 10) + rise * (i // 10) + 1e-4 * i * i,
        )
        for i in range(20)
    ]  # fmt: skip
    spec = b.cell(what, b.task("slm_long_text", "position_nll"), suite="long_context")
    asked = items.model_copy(update={"scorer": "position"})
    made = b.record(spec, item_set=save_items(shelf.root, asked), items_total=20)
    run = FinishedRun(spec, b.environment(), made, (), tuple(rows), "position")
    seal(shelf.root, run)


def test_position_is_drawn_by_range(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    _position(shelf, c.ROOT, 0.5)
    _position(shelf, c.SMALL, 0.0)
    page = c.cost_pages_of(tmp_path)["scaling"]
    (figure,) = page.figures
    assert list(figure.spec["data"][0]["x"]) == ["0 to 255", "256 to 511"]
    table = c.tables(page)["symptoms-table"]
    said = {row.name: row.cells[0] for row in table.rows}
    assert {name: word.text for name, word in said.items() if isinstance(word, Words)} == {
        "m-root": "yes", "m-q4": "no",
    }  # fmt: skip


def test_texts_judged_by_ranges_are_paired_range_by_range(tmp_path: Path) -> None:
    """Only the later range differs, by 0.5: the difference over both is 0.25."""
    shelf = b.Shelf(tmp_path)
    _position(shelf, c.ROOT, 0.5)
    _position(shelf, c.SMALL, 0.0)
    (found,) = load_results(tmp_path).compare().deltas
    assert found.difference.n == 20
    assert found.difference.delta == pytest.approx(-0.25)
