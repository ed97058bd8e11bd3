"""What the construct pages have beside their tables: flips, drops, rates, exposure."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import builders as b
from construct_store import ROOT, SMALL, TINY, coins, judged_by, pages


def _probe_store(root: Path) -> None:
    """Parent and two variants; the second trades as many answers as it wins."""
    shelf = b.Shelf(root)
    items = judged_by("stereotype_pairs", b.choice_items("q", 40, choices=2), ("men", "women"))
    before: list[float | None] = [1.0] * 20 + [-1.0] * 20
    trades: list[float | None] = [-1.0] * 5 + [1.0] * 15 + [1.0] * 5 + [-1.0] * 15
    for ref, bits, moves in ((ROOT, 16.0, before), (SMALL, 4.5, before), (TINY, 2.6, trades)):
        scores = {
            "stereotype_preference": [float((m or 0) > 0) for m in moves],
            "bias_direction": moves,
        }
        spec = b.cell(ref, b.task("probe", "stereotype_preference"), suite="bias")
        shelf.task(spec, items, scores, model=b.model(bits))


def test_flips_show_what_the_total_hides(tmp_path: Path) -> None:
    _probe_store(tmp_path)
    page = pages(tmp_path)["bias"]
    table, by_group = page.special.tables
    assert table.title == "Bias flips against the parent"
    found = {row.name: row.cells for row in table.rows if row.cells}
    assert set(found) == {"m-q4", "m-q2"}
    flips, to, away, *_ = found["m-q2"]
    assert flips is not None
    assert to is not None
    assert away is not None
    assert (flips.cell.value, to.cell.value, away.cell.value) == (0.25, 0.125, 0.125)
    assert to.extra == ("12.5 % from the opposite",)
    net = found["m-q2"][5]
    assert net is not None
    assert (net.cell.value, net.cell.unit) == (0.0, "pp")
    assert net.cell.range
    assert by_group.folded
    assert [row.name for row in by_group.rows] == ["men", "women"]
    figure = next(f for f in page.figures if f.name == "bias-flips")
    (series,) = figure.spec["data"]
    assert series["x"] == ["q4<br>4.50 bits", "q2<br>2.60 bits"]
    assert figure.spec["layout"]["xaxis"]["categoryarray"] == [
        "q2<br>2.60 bits", "q4<br>4.50 bits",
    ]  # fmt: skip
    assert list(series["y"]) == [0.0, 0.25]
    assert series["error_y"]["array"][1] > 0


def test_a_probe_without_a_parent_says_so(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    items = judged_by("stereotype_pairs", b.choice_items("q", 8, choices=2))
    shelf.task(spec, items, {"stereotype_preference": [1, 0] * 4, "bias_direction": [1, -1] * 4})
    special = pages(tmp_path)["bias"].special
    assert not special.tables
    assert "parent" in special.notes[0]


def test_disturbed_items_get_a_page_though_they_are_no_scores(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    plain = coins("plain", 40, 0.7)
    for ref, lost, bits in ((ROOT, 4, 16.0), (SMALL, 12, 4.5)):
        typos: list[float | None] = [0.0 if i < lost else v for i, v in enumerate(plain)]
        for how, values in ((None, plain), ("typos", typos)):
            spec = b.cell(ref, b.task(perturb=how), suite="robustness")
            items = b.choice_items("q", 40)
            shelf.task(spec, items, {"acc": values}, model=b.model(bits))
    page = pages(tmp_path)["robustness"]
    assert page.runs == 2
    assert page.sizes == ("demo",)
    drop, flips = page.special.tables
    cells = {row.name: row.cells[0] for row in drop.rows}
    root, small = cells["m-root"], cells["m-q4"]
    assert root is not None
    assert small is not None
    expected = sum(v or 0 for v in plain[:12]) / 40
    assert small.cell.value == pytest.approx(expected)
    assert small.cell.range
    assert "→" in small.extra[0]
    assert small.extra[1].startswith("against the parent’s drop +")
    assert [f.name for f in page.figures] == [
        "robustness-arc_easy-drop-figure", "robustness-arc_easy-flip-figure",
    ]  # fmt: skip
    assert [name for name, _ in flips.heads] == ["typos"]


def test_swapped_names_are_shown_with_the_probes_and_only_there(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    plain = coins("plain", 40, 0.7)
    items = b.choice_items("q", 40, choices=2)
    renamed = items.model_copy(
        update={
            "items": tuple(
                item.model_copy(update={"requests": item.requests[::-1]}) if i < 20 else item
                for i, item in enumerate(items.items)
            )
        }
    )
    for ref, lost, bits in ((ROOT, 4, 16.0), (SMALL, 12, 4.5)):
        swapped: list[float | None] = [1 - (v or 0) if i < lost else v for i, v in enumerate(plain)]
        for how, values in ((None, plain), ("names", swapped)):
            spec = b.cell(ref, b.task(perturb=how), suite="bias")
            asked = items if how is None else renamed
            shelf.task(spec, asked, {"acc": values}, model=b.model(bits))
    found = pages(tmp_path)
    assert "robustness" not in found
    (table,) = found["bias"].special.tables
    assert table.title == "Answers that change when the names are swapped"
    assert [row.name for row in table.rows] == ["arc_easy (names)", "m-root", "m-q4"]
    flips = [row.cells[0] for row in table.rows if row.cells]
    assert [f.cell.value for f in flips if f] == [0.2, 0.6]
    assert all(f and f.cell.range and f.extra == ("prompts changed 50.0 %",) for f in flips)
    assert [f.name for f in found["bias"].figures] == ["swapped-names-figure"]


def test_closed_book_tasks_get_rate_against_coverage_and_risk(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = judged_by("short_answer", b.choice_items("qa", 40, choices=2))
    for ref, p in ((ROOT, 0.6), (SMALL, 0.3)):
        right = [float(v or 0) for v in coins(ref.name, 40, p)]
        tried = [i % 4 != 0 for i in range(40)]
        scores: dict[str, list[float | None]] = {
            "not_attempted": [float(not t) for t in tried],
            "answer_correct": [r * t for r, t in zip(right, tried, strict=True)],
            "accuracy_given_attempted": [
                r if t else None for r, t in zip(right, tried, strict=True)
            ],
            "hallucination_rate": [1 - r if t else None for r, t in zip(right, tried, strict=True)],
            "answer_confidence": [0.1 + 0.02 * i if t else None for i, t in enumerate(tried)],
        }  # fmt: skip
        spec = b.cell(ref, b.task("qa", "hallucination_rate"), suite="hallucination")
        shelf.task(spec, items, scores)
    page = pages(tmp_path)["hallucination"]
    figures = {f.name: f for f in page.figures}
    assert {"hallucination-qa-rates", "hallucination-qa-risk"} <= set(figures)
    (dots,) = figures["hallucination-qa-rates"].spec["data"]
    assert list(dots["x"]) == [0.75, 0.75]
    assert len(figures["hallucination-qa-risk"].spec["data"]) == 2
    heads = [head.metric for head in page.tasks[0].heads]
    assert heads[:2] == ["hallucination_rate", "answer_coverage"]
    assert {head.metric for head in page.tasks[0].further_heads} >= {"answer_correct"}


def test_exposure_stands_beside_its_null_and_attacks_beside_the_blind_one(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    asked = judged_by(
        "canary_exposure", b.choice_items("c", 40, choices=8), ("r16", "r4", "r1", "r0")
    )
    for ref, bits in ((ROOT, 16.0), (SMALL, 4.5)):
        draw = random.Random(ref.name)
        exposure: list[float | None] = [
            min(3.0, 1 + draw.random() + (item.group == "r16")) for item in asked.items
        ]
        spec = b.cell(ref, b.task("canary", "canary_exposure"), suite="privacy")
        shelf.task(spec, asked, {"canary_exposure": exposure}, model=b.model(bits))
        utility = b.cell(ref, b.task("arc_easy"), suite="privacy")
        right = coins(ref.name, 30, 0.5)
        shelf.task(utility, b.choice_items("u", 30), {"acc": right}, model=b.model(bits))
    page = pages(tmp_path)["privacy"]
    assert [task.task for task in page.tasks] == ["canary", "arc_easy"]
    against = next(f for f in page.figures if f.name == "privacy-canary-arc_easy")
    (dots,) = against.spec["data"]
    assert sorted(dots["text"]) == ["q4", "root"]
    figure = next(f for f in page.figures if f.name == "privacy-canary-exposure")
    names = [trace["name"] for trace in figure.spec["data"]]
    assert names == ["never planted", "planted 1×", "planted 4×", "planted 16×"]
    assert json.dumps(figure.spec["layout"]["shapes"]).count("line") > 0
    table = next(t for t in page.tasks[0].groups if t.metric == "canary_exposure")
    assert [name for name, _ in table.rows] == ["r0", "r1", "r4", "r16"]
