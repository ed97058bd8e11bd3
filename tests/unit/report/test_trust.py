"""Suspect numbers leave the ranking and stay on the page; shortcuts and calibration are shown."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import compare_to_parents, load_results
from slmbench.report import leaderboard_rows, write_report
from slmbench.report.figures import bits_figure, pareto_figure
from slmbench.report.page import make_page

N = 80


def _store(root: Path) -> Path:
    """A base, an honest child, and one whose log-likelihoods are all 0.0 (scored by arg max)."""
    noise = random.Random(5)
    gold = [noise.randrange(4) for _ in range(N)]
    texts = [("x" * noise.randrange(30, 40),) * 3 + ("y" * 33,) for _ in range(N)]
    items = b.choice_set(texts, gold, "arc_easy")
    shelf = b.Shelf(root)
    for name, parent, skill, bits in (("base", None, 2.0, 16), ("child", "base", 1.0, 4),
                                      ("dead", "base", None, 2)):  # fmt: skip
        own = random.Random(name)
        logprobs = [
            [0.0] * 4
            if skill is None
            else [-50 + own.gauss(0, 1) + skill * (c == g) for c in range(4)]
            for g in gold
        ]
        right = [
            float(skill is None or max(v) == v[g]) for v, g in zip(logprobs, gold, strict=True)
        ]
        ref = b.variant(name, parent=parent)
        model = b.model(bits, artefact_sha256=b.sha(name))
        shelf.task(b.cell(ref, b.task()), items, {"acc": right},
                   outputs=b.answered(items, logprobs), model=model)  # fmt: skip
        memory = b.phase("total", b.measurement("peak_memory", 1e8 * bits))
        shelf.load(b.cell(ref, b.workload("memory"), suite="memory"), memory, model=model)
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store with a dead model that scores 100 %."""
    return _store(tmp_path_factory.mktemp("trust") / "results")


@pytest.fixture(scope="module")
def html(store: Path) -> str:
    """The page about it."""
    return write_report(load_results(store), store.parent / "page", title="t").read_text("utf-8")


def test_a_dead_model_with_a_perfect_score_ranks_last_and_says_why(store: Path) -> None:
    rows = leaderboard_rows(load_results(store))
    assert [r.variant for r in rows] == ["base", "child", "dead"]
    dead = rows[-1]
    assert dead.accuracy.value is None
    assert dead.accuracy.text == "suspect"
    assert "same log-likelihood" in dead.accuracy.reason
    assert dead.tasks[0].value == 1.0
    assert dead.tasks[0].text.startswith("suspect: 100.0 %")


def test_it_is_on_no_front_and_in_no_figure(store: Path) -> None:
    rows = leaderboard_rows(load_results(store))
    figure = pareto_figure(rows, "peak_memory")
    assert figure is not None
    assert set(figure.names) == {"base", "child"}
    bits = bits_figure(rows)
    assert bits is not None
    assert "dead" not in str(bits.spec)
    page = make_page(load_results(store), "t")
    assert not any("dead" in sentence for sentence in page.glance)


def test_no_verdict_rests_on_it(store: Path) -> None:
    deltas = compare_to_parents(load_results(store), strict=False, metrics=["acc"]).deltas
    verdicts = {d.variant: d.verdict for d in deltas}
    assert verdicts["dead"] == "not resolved"
    assert verdicts["child"] == "worse"
    assert all(("suspect" in d.flags) == (d.variant == "dead") for d in deltas)


def test_it_stays_on_the_page_struck_and_with_its_reason(html: str) -> None:
    assert '<section id="suspect"' in html
    assert "does the engine return log-probabilities" in html
    assert re.search(r'<abbr class="value struck"[^>]*>100\.0 %</abbr>', html)
    assert html.count('href="#suspect"') >= 3
    assert "find the cause before you use it" in html.lower()


def test_shortcuts_stand_beside_the_task(html: str, store: Path) -> None:
    trust = make_page(load_results(store), "t").trust
    (task,) = trust.shortcuts
    assert (task.task, task.chance, task.runs) == ("arc_easy", "25.0 %", 3)
    assert [c.title for c in task.cells] == [
        "longest answer", "shortest answer", "first answer", "last answer", "majority position",
        "choices only",
    ]  # fmt: skip
    assert not any("base" in name for name in task.not_above)
    assert "What guessing and shortcuts score" in html


def test_calibration_is_drawn_for_believed_runs_only(store: Path) -> None:
    trust = make_page(load_results(store), "t").trust
    assert [f.name for f in trust.figures] == ["reliability-arc_easy", "risk-arc_easy"]
    names = {t.get("name") for f in trust.figures for t in f.spec["data"]}
    assert names == {"calibrated", "base", "child"}
    by_name = {s.variant: s for s in trust.sure}
    assert list(by_name) == ["base", "child", "dead"]
    assert "suspect" in by_name["dead"].cells[0].flags
    assert "the null" in by_name["base"].note
    cells = {c.metric: c for c in by_name["base"].cells}
    assert cells["ece_debiased"].low is not None
    assert cells["selective_acc_50"].n == N // 2


def test_pages_without_choices_have_none_of_it(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path / "r")
    spec = b.cell(b.variant("only"), b.workload(), suite="latency")
    shelf.load(spec, b.phase("timed", b.measurement("tpot", *[0.01] * 7, point="pp128+tg32")))
    text = write_report(load_results(shelf.root), tmp_path / "p.html", title="t").read_text("utf-8")
    for section in ("suspect", "shortcuts", "calibration"):
        assert f'id="{section}"' not in text
        assert f'href="#{section}"' not in text


def test_names_are_escaped_in_the_figures(tmp_path: Path) -> None:
    root = _store(tmp_path / "r")
    page = make_page(load_results(root), "t")
    assert page.trust.figures
    from slmbench.report.calibration import calibration_figures

    found = load_results(root).calibrations
    figures = calibration_figures([("<b>x</b>", c) for c in found])
    assert "<b>x" not in str([t.get("name") for f in figures for t in f.spec["data"]])
