"""The page's comparison: against the parent and the base, with what may be concluded."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.report.page import make_page, render

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
