"""The page's comparison: against the parent and the base, with what may be concluded."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import cost_store as c
from slmbench.analysis import load_results
from slmbench.report.page import make_page, render
from slmbench.store.noise import NOISE, NoiseRatios, NoiseRecord, save_noise

N = 500


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    """base 300 right, damaged 200, back 275, of 500 on every task."""
    made = b.Shelf(tmp_path)
    items = b.choice_items("arc_easy", N)
    lineage = (("base", None, 300), ("damaged", "base", 200), ("back", "damaged", 275))
    for name, parent, right in lineage:
        scores = {"acc": [float(i < right) for i in range(N)]}
        made.task(b.cell(b.variant(name, parent=parent), b.task()), items, scores)
    return made


def test_cells_say_lossless_brought_back_and_kept(shelf: b.Shelf) -> None:
    page = make_page(load_results(shelf.root), "t")
    by_name = {row.variant: row.cells[0] for row in page.deltas.rows}
    damaged, back = by_name["damaged"], by_name["back"]
    assert damaged is not None
    assert back is not None
    assert (damaged.verdict, damaged.lossless) == ("worse", "lossless within 1 pt: no")
    assert damaged.recovered == ""
    assert back.recovered.startswith("75.0 % (")
    assert back.p == "< 0.001"
    (row,) = page.base_deltas.rows
    assert (row.variant, row.parent) == ("back", "base")
    assert row.cells[0] is not None
    assert row.cells[0].kept.startswith("85.7 % (")  # (0.55 - 0.25) / (0.6 - 0.25)


def test_the_page_shows_both_tables(shelf: b.Shelf) -> None:
    html = render(make_page(load_results(shelf.root), "t"))
    assert "Against the base of the lineage" in html
    assert "brought back 75.0 % (" in html
    assert "keeps 85.7 % (" in html
    assert html.count("Variant − base") == 1


def test_a_lineage_of_one_step_has_no_second_table(tmp_path: Path) -> None:
    made = b.Shelf(tmp_path)
    items = b.choice_items("arc_easy", 8)
    for ref in (b.variant("base"), b.variant("child", parent="base")):
        made.task(b.cell(ref, b.task()), items, {"acc": [1.0] * 4 + [0.0] * 4})
    page = make_page(load_results(tmp_path), "t")
    assert page.base_deltas.rows == ()
    html = render(page)
    assert "Against the base" not in html
    assert "lossless within 1 pt: underpowered, needs n = " in html


def test_why_there_is_no_share_is_in_the_tooltip(shelf: b.Shelf) -> None:
    for name, parent, right in (("further", "back", 298), ("last", "further", 299)):
        scores = {"acc": [float(i < right) for i in range(N)]}
        made = b.variant(name, parent=parent)
        shelf.task(b.cell(made, b.task()), b.choice_items("arc_easy", N), scores)
    rows = make_page(load_results(shelf.root), "t").deltas.rows
    (cell,) = next(r for r in rows if r.variant == "last").cells
    assert cell is not None
    assert cell.recovered == ""
    assert "recovered share: the loss itself is not resolved" in cell.tooltip


def _timed(root: Path, speed: float, *, busy: bool = False) -> None:
    """A root and a variant of another speed in five rounds, on a machine of 3 % noise."""
    shelf = b.Shelf(root)
    for what, fast in ((c.ROOT, 1.0), (c.SMALL, speed)):
        spec = c.timed(what)
        seen = [b.loaded()] if busy and what is c.SMALL else []
        shelf.load(spec, *c.rounds(spec, fast, seen=seen))
    logs = (0.03, -0.03, 0.03, -0.03, 0.03, -0.03)
    record = NoiseRecord(
        machine=b.MACHINE, target="fake-cpu", backend="fake", device="cpu", threads=2,
        variant="m-root", repeats=6, processes=12, disturbed=0,
        ratios=(NoiseRatios(metric="tpot", point="pp128+tg64", logs=logs),),
    )  # fmt: skip
    save_noise(root / NOISE, record)


def test_a_change_inside_the_noise_floor_is_grey_and_says_so(tmp_path: Path) -> None:
    _timed(tmp_path, 1.01)
    page = make_page(load_results(tmp_path), "t")
    (cell,) = [c for c in page.deltas.rows[0].cells if c is not None]
    assert (cell.verdict, cell.n) == ("not resolved", "5 rounds")
    assert cell.why.startswith("inside this machine's noise floor of")
    text = render(page)
    assert '<td class="num inside"' in text
    table = c.tables(page.costs[0])["latency-latency-tg128"]
    (ratio,) = [e for row in table.rows for e in row.cells if e and e.shape == "change"]
    assert "inside noise floor" in ratio.flags
    assert "noise-floor" in c.tables(page.costs[0])


def test_a_difference_bears_the_badges_of_both_sides(tmp_path: Path) -> None:
    _timed(tmp_path, 1.5, busy=True)
    page = make_page(load_results(tmp_path), "t")
    (cell,) = [c for c in page.deltas.rows[0].cells if c is not None]
    assert cell.verdict == "better"
    assert cell.why == ""
    assert "loaded machine" in cell.flags
    assert '<td class="num inside"' not in render(page)
