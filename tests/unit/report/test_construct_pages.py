"""The pages per construct: which are written, what stands on them, and that they load nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from pathlib import Path

import pytest

import builders as b
import synthetic_store
from slmbench.analysis import load_results
from slmbench.records import Status
from slmbench.report import write_report
from slmbench.report.constructs import ConstructPage, construct_of
from slmbench.report.constructs.assignment import SCORERS
from slmbench.report.page import Page, make_page
from slmbench.requests import ItemSet
from slmbench.spec import VariantRef
from slmbench.spec.load import load_suite
from slmbench.store import save_suite
from slmbench.tasks.definitions import define
from slmbench.tasks.refusals import scorer_of
from slmbench.tasks.scorers import SCORERS as KNOWN_SCORERS

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
ROOT = b.variant("m-root")
SMALL = b.variant("m-q4", parent="m-root", technique="q4")
TINY = b.variant("m-q2", parent="m-root", technique="q2")


def _judged_by(scorer: str, items: ItemSet, groups: tuple[str, ...] = ()) -> ItemSet:
    """The set for another scorer, its items in these groups by turns."""
    named = tuple(
        item.model_copy(update={"group": groups[i % len(groups)] if groups else ""})
        for i, item in enumerate(items.items)
    )
    return items.model_copy(update={"scorer": scorer, "items": named})


def _pages(root: Path) -> dict[str, ConstructPage]:
    return {page.about.name: page for page in make_page(load_results(root), "t").constructs}


def _coins(seed: str, n: int, p: float) -> list[float | None]:
    draw = random.Random(seed)
    return [float(draw.random() < p) for _ in range(n)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about a store with hallucination and bias, and hostile words in a suite file."""
    root = tmp_path_factory.mktemp("constructs")
    store = synthetic_store.build(root / "results", items=30, failures=False)
    suite = load_suite("bias").model_copy(update={"description": f"Says {HOSTILE}."})
    save_suite(store, suite)
    write_report(load_results(store), root / "out", title="A & B <c>")
    return root / "out"


def test_only_constructs_with_runs_get_a_page(made: Path) -> None:
    assert sorted(p.name for p in made.iterdir()) == [
        "bias.html", "hallucination.html", "index.html",
    ]  # fmt: skip


def test_the_pages_are_linked_both_ways(made: Path) -> None:
    for page in made.iterdir():
        text = page.read_text("utf-8")
        nav = re.search(r'<nav class="pages".*?</nav>', text, re.S)
        assert nav is not None
        targets = set(re.findall(r'href="([^"]+)"', nav.group()))
        assert targets == {p.name for p in made.iterdir()} - {page.name}
        assert nav.group().count("aria-current") == 1
        for anchor in re.findall(r'href="#([^"]+)"', text):
            assert f'id="{anchor}"' in text, (page.name, anchor)


def test_a_page_runs_only_its_own_scripts_and_loads_nothing(made: Path) -> None:
    text = (made / "bias.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy.group(1).replace("&#39;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert len(scripts) == 2
    assert re.findall(r"sha256-([^']+?)(?:'|&#39;)", policy.group(1)) == digests
    markup = re.sub(r"<script.*?</script>|<style>.*?</style>", "", text, flags=re.S)
    assert not re.search(r"<[^>]*\s(src|srcset|data|action|poster)=", markup)
    assert "http:" not in markup
    assert "https:" not in markup


def test_what_others_wrote_is_escaped(made: Path) -> None:
    text = (made / "bias.html").read_text("utf-8")
    assert "<script>alert(1)" not in text
    assert "Says &lt;script&gt;alert(1)" in text
    assert "A &amp; B &lt;c&gt;" in text


def test_hostile_names_in_figures_and_groups_are_escaped(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "store")
    items = _judged_by("stereotype_pairs", b.choice_items("q", 8, choices=2), (HOSTILE, "plain"))
    for ref in (ROOT, SMALL):
        scores: dict[str, list[float | None]] = {
            "stereotype_preference": [1, 0, 1, 1, 0, 1, 1, 0],
            "bias_direction": [1, -1, 1, 1, -1, 1, 1, -1],
        }
        spec = b.cell(ref, b.task("probe", "stereotype_preference"), suite="bias",
                      on=b.target(f"cpu-{ref.name}"))  # fmt: skip
        shelf.task(spec, items, scores)
    write_report(load_results(shelf.root), tmp_path / "out", title="t")
    text = (tmp_path / "out" / "bias.html").read_text("utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_a_page_without_figures_has_no_scripts(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "store")
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, b.choice_items("q", 8), {"stereotype_preference": [1, 0] * 4})
    write_report(load_results(shelf.root), tmp_path / "mine.html", title="t")
    text = (tmp_path / "mine-bias.html").read_text("utf-8")
    assert "Plotly" not in text
    assert len(text) < 100_000
    assert "script-src 'none'" in text.replace("&#39;", "'")
    assert 'href="mine.html"' in text


def test_stale_pages_of_ours_go_and_files_of_others_stay(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "store")
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, b.choice_items("q", 8), {"stereotype_preference": [1, 0] * 4})
    out = tmp_path / "out"
    write_report(load_results(shelf.root), out, title="t")
    assert (out / "bias.html").exists()
    (out / "privacy.html").write_text("<p>notes of my own</p>", "utf-8")
    empty = b.Shelf(tmp_path / "empty")
    empty.task(b.cell(ROOT, b.task()), b.choice_items("q", 8), {"acc": [1, 0] * 4})
    write_report(load_results(empty.root), out, title="t")
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "privacy.html"]
    assert 'class="pages"' not in (out / "index.html").read_text("utf-8")


def test_parents_stand_first_and_every_number_has_its_interval(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = b.choice_items("q", 60, choices=3, clusters=12)
    for ref, bits, p in ((TINY, 2.6, 0.2), (SMALL, 4.5, 0.6), (ROOT, 16.0, 0.9)):
        values = _coins("same", 60, p)
        values[3] = None
        spec = b.cell(ref, b.task("ctx", "context_faithful"), suite="hallucination")
        shelf.task(spec, items, {"context_faithful": values}, items_failed=1, model=b.model(bits))
    task = _pages(tmp_path)["hallucination"].tasks[0]
    assert [row.line.label for row in task.rows] == ["m-root", "m-q4", "m-q2"]
    assert [row.line.made_from for row in task.rows][1:] == ["from m-root"] * 2
    assert task.rows[0].delta is None
    worst = task.rows[2]
    assert worst.delta is not None
    assert worst.delta.verdict == "worse"
    assert worst.delta.range
    assert worst.numbers[0].cell.range
    assert worst.numbers[0].extra == ("1 unscored",)
    assert task.heads[0].metric == "context_faithful"
    assert "60 items in 12 clusters" in task.facts


def test_a_failed_run_keeps_its_row_and_reason(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    work = b.task("ctx", "context_faithful")
    shelf.task(b.cell(ROOT, work, suite="x"), b.choice_items("q", 9), {"context_faithful": [1] * 9})
    shelf.failure(b.cell(SMALL, work, suite="x"), Status.OOM, "out of memory at item 3")
    rows = _pages(tmp_path)["hallucination"].tasks[0].rows
    failed = next(row for row in rows if row.line.label == "m-q4").numbers[0].cell
    assert failed.value is None
    assert failed.failed
    assert failed.reason == "out of memory at item 3"


def test_a_failed_run_fails_in_every_column(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    work = b.task("ctx", "context_faithful")
    scores = {"context_faithful": [1] * 9, "parametric_rate": [0] * 9}
    shelf.task(b.cell(ROOT, work, suite="x"), b.choice_items("q", 9), scores)
    shelf.failure(b.cell(SMALL, work, suite="x"), Status.TIMEOUT, "no end within 3 s")
    rows = _pages(tmp_path)["hallucination"].tasks[0].rows
    failed = next(row for row in rows if row.line.label == "m-q4")
    assert [n.cell.status for n in failed.numbers] == ["timeout", "timeout"]


def test_groups_are_a_table_tinted_from_the_ideal(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    plain = b.choice_items("q", 12, choices=2)
    items = _judged_by("stereotype_pairs", plain, ("g16", "g4", "g1"))
    values: list[float | None] = [1, 0, 1] * 4
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, items, {"stereotype_preference": values})
    tables = {t.metric: t for t in _pages(tmp_path)["bias"].tasks[0].groups}
    rows = tables["stereotype_preference"].rows
    assert [name for name, _ in rows] == ["g1", "g4", "g16"]
    tints = {name: cells[0] for name, cells in rows}
    assert all(t is not None and t.heat == 100 and t.cell.n == 4 for t in tints.values())
    assert {name: t.above for name, t in tints.items() if t} == {
        "g1": True, "g4": False, "g16": True,
    }  # fmt: skip


def test_models_without_skill_stand_below_the_models(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = _judged_by("stereotype_pairs", b.choice_items("q", 40, choices=2))
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, items, {"stereotype_preference": _coins("x", 40, 0.7)})
    task = _pages(tmp_path)["bias"].tasks[0]
    floors = {f.name: f.cells[0] for f in task.floors}
    assert set(floors) == {"random", "constant", "longest answer"}
    assert floors["constant"] is not None
    assert floors["constant"].value == 0.5
    assert floors["constant"].provenance == "derived"


def _probe_store(root: Path) -> None:
    """Parent and two variants; the second trades as many answers as it wins."""
    shelf = b.Shelf(root)
    items = _judged_by("stereotype_pairs", b.choice_items("q", 40, choices=2), ("men", "women"))
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
    page = _pages(tmp_path)["bias"]
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
    items = _judged_by("stereotype_pairs", b.choice_items("q", 8, choices=2))
    shelf.task(spec, items, {"stereotype_preference": [1, 0] * 4, "bias_direction": [1, -1] * 4})
    special = _pages(tmp_path)["bias"].special
    assert not special.tables
    assert "parent" in special.notes[0]


def test_no_bias_level_anywhere(made: Path) -> None:
    text = (made / "bias.html").read_text("utf-8").lower()
    assert "bias level" not in text
    assert "bias score" not in text
    assert "stereotype-association probes" in text


def test_disturbed_items_get_a_page_though_they_are_no_scores(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    plain = _coins("plain", 40, 0.7)
    for ref, lost, bits in ((ROOT, 4, 16.0), (SMALL, 12, 4.5)):
        typos: list[float | None] = [0.0 if i < lost else v for i, v in enumerate(plain)]
        for how, values in ((None, plain), ("typos", typos)):
            spec = b.cell(ref, b.task(perturb=how), suite="robustness")
            items = b.choice_items("q", 40)
            shelf.task(spec, items, {"acc": values}, model=b.model(bits))
    page = _pages(tmp_path)["robustness"]
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
    assert small.extra[1].startswith("parent’s drop +")
    assert [f.name for f in page.figures] == [
        "robustness-arc_easy-drop-figure", "robustness-arc_easy-flip-figure",
    ]  # fmt: skip
    assert [name for name, _ in flips.heads] == ["typos"]


def test_closed_book_tasks_get_rate_against_coverage_and_risk(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = _judged_by("short_answer", b.choice_items("qa", 40, choices=2))
    for ref, p in ((ROOT, 0.6), (SMALL, 0.3)):
        right = [float(v or 0) for v in _coins(ref.name, 40, p)]
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
    page = _pages(tmp_path)["hallucination"]
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
    asked = _judged_by(
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
        right = _coins(ref.name, 30, 0.5)
        shelf.task(utility, b.choice_items("u", 30), {"acc": right}, model=b.model(bits))
    page = _pages(tmp_path)["privacy"]
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


@pytest.mark.parametrize("name", ["hallucination", "bias", "privacy"])
def test_every_shipped_task_of_a_suite_has_its_page(name: str) -> None:
    beside = {"slm_text_boolq_rolling", "arc_easy", "boolq"}  # general: there by their suite
    for task in load_suite(name).tasks:
        if task.task not in beside:
            assert construct_of(task.task, scorer_of(define(task.task)), task.primary) == name, task


def test_every_scorer_is_assigned() -> None:
    assert set(KNOWN_SCORERS.names()) <= set(SCORERS)


def test_accuracy_has_no_page_of_its_own() -> None:
    assert construct_of("arc_easy", "multiple_choice", "acc") == "other"
    assert construct_of("slm_truthfulqa_mc1", "multiple_choice", "acc") == "hallucination"
    assert construct_of("unknown", "", "stereotype_preference") == "bias"


def _many(root: Path, tasks: int) -> Page:
    shelf = b.Shelf(root)
    for ref in (ROOT, SMALL):
        items = b.choice_items("q", 20)
        shelf.task(b.cell(ref, b.task()), items, {"acc": _coins(ref.name, 20, 0.6)})
        for i in range(tasks):
            spec = b.cell(ref, b.task(f"probe{i}", "stereotype_preference"), suite="bias")
            shelf.task(spec, items, {"stereotype_preference": _coins(f"{i}", 20, 0.6)})
    return make_page(load_results(root), "t")


@pytest.mark.parametrize(("tasks", "columns"), [(3, 4), (7, 1)])
def test_many_construct_tasks_leave_the_leaderboard(
    tmp_path: Path, tasks: int, columns: int
) -> None:
    page = _many(tmp_path, tasks)
    assert len(page.shown(page.rows[0], "tasks")) == columns
    assert len(page.deltas.heads) == columns
    assert sum(n for _, n in page.deltas.verdicts) == tasks + 1


def test_a_lineage_without_runs_of_the_parent_is_still_ordered(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    refs: list[VariantRef] = [b.variant(n, parent="gone") for n in ("a", "c", "b")]
    for ref, bits in zip(refs, (3.0, 8.0, 4.0), strict=True):
        spec = b.cell(ref, b.task("ctx", "context_faithful"), suite="x")
        shelf.task(spec, b.choice_items("q", 6), {"context_faithful": [1] * 6}, model=b.model(bits))
    rows = _pages(tmp_path)["hallucination"].tasks[0].rows
    assert [row.line.label for row in rows] == ["c", "b", "a"]
