"""The pages per construct: which are written, what stands on them, and that they load nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

import builders as b
import synthetic_store
from construct_store import ROOT, SMALL, TINY, coins, judged_by, pages
from slmbench.analysis import load_results
from slmbench.records import Status
from slmbench.report import write_report
from slmbench.report.constructs import construct_of
from slmbench.report.constructs.assignment import SCORERS
from slmbench.report.costs import COSTS
from slmbench.report.page import Page, make_page
from slmbench.spec import VariantRef
from slmbench.spec.load import load_suite
from slmbench.store import save_suite
from slmbench.tasks.definitions import define
from slmbench.tasks.refusals import scorer_of
from slmbench.tasks.scorers import SCORERS as KNOWN_SCORERS

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


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
    names = {p.name for p in made.iterdir()} - {f"{cost}.html" for cost in COSTS}
    assert names == {"bias.html", "hallucination.html", "index.html"}


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
    items = judged_by("stereotype_pairs", b.choice_items("q", 8, choices=2), (HOSTILE, "plain"))
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
        values = coins("same", 60, p)
        values[3] = None
        spec = b.cell(ref, b.task("ctx", "context_faithful"), suite="hallucination")
        shelf.task(spec, items, {"context_faithful": values}, items_failed=1, model=b.model(bits))
    task = pages(tmp_path)["hallucination"].tasks[0]
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
    rows = pages(tmp_path)["hallucination"].tasks[0].rows
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
    rows = pages(tmp_path)["hallucination"].tasks[0].rows
    failed = next(row for row in rows if row.line.label == "m-q4")
    assert [n.cell.status for n in failed.numbers] == ["timeout", "timeout"]


def test_groups_are_a_table_tinted_from_the_ideal(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    plain = b.choice_items("q", 12, choices=2)
    items = judged_by("stereotype_pairs", plain, ("g16", "g4", "g1"))
    values: list[float | None] = [1, 0, 1] * 4
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, items, {"stereotype_preference": values})
    tables = {t.metric: t for t in pages(tmp_path)["bias"].tasks[0].groups}
    rows = tables["stereotype_preference"].rows
    assert [name for name, _ in rows] == ["g1", "g4", "g16"]
    tints = {name: cells[0] for name, cells in rows}
    assert all(t is not None and t.heat == 100 and t.cell.n == 4 for t in tints.values())
    assert {name: t.above for name, t in tints.items() if t} == {
        "g1": True, "g4": False, "g16": True,
    }  # fmt: skip


def test_models_without_skill_stand_below_the_models(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = judged_by("stereotype_pairs", b.choice_items("q", 40, choices=2))
    spec = b.cell(ROOT, b.task("probe", "stereotype_preference"), suite="bias")
    shelf.task(spec, items, {"stereotype_preference": coins("x", 40, 0.7)})
    task = pages(tmp_path)["bias"].tasks[0]
    floors = {f.name: f.cells[0] for f in task.floors}
    assert set(floors) == {"random", "constant", "longest answer"}
    assert floors["constant"] is not None
    assert floors["constant"].value == 0.5
    assert floors["constant"].provenance == "derived"


def test_no_bias_level_anywhere(made: Path) -> None:
    text = (made / "bias.html").read_text("utf-8").lower()
    assert "bias level" not in text
    assert "bias score" not in text
    assert "stereotype-association probes" in text


@pytest.mark.parametrize("name", ["hallucination", "bias", "privacy"])
def test_every_shipped_task_of_a_suite_has_its_page(name: str) -> None:
    beside = {"slm_text_boolq_rolling", "arc_easy", "boolq"}  # general: there by their suite
    for task in load_suite(name).tasks:
        if task.task not in beside and not task.perturb:  # disturbed ones: of any suite
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
        shelf.task(b.cell(ref, b.task()), items, {"acc": coins(ref.name, 20, 0.6)})
        for i in range(tasks):
            spec = b.cell(ref, b.task(f"probe{i}", "stereotype_preference"), suite="bias")
            shelf.task(spec, items, {"stereotype_preference": coins(f"{i}", 20, 0.6)})
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
    rows = pages(tmp_path)["hallucination"].tasks[0].rows
    assert [row.line.label for row in rows] == ["c", "b", "a"]


def test_a_dead_model_has_derived_numbers_too(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    items = judged_by("stereoset", b.choice_items("s", 20, choices=3), ("race", "gender"))
    spec = b.cell(ROOT, b.task("s", "stereotype_preference"), suite="bias")
    scores = {
        "stereotype_preference": coins("x", 20, 0.7),
        "stereoset_ss_item": coins("x", 20, 0.7),
        "stereoset_lms_item": coins("y", 20, 0.9),
    }
    shelf.task(spec, items, scores)
    task = pages(tmp_path)["bias"].tasks[0]
    column = [head.metric for head in task.heads].index("stereoset_icat")
    assert task.rows[0].numbers[column].cell.value is not None
    dead = {floor.name: floor.cells[column] for floor in task.floors}["constant"]
    assert dead is not None
    assert dead.value == pytest.approx(0.5)
