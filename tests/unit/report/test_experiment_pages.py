"""Pages about experiments: sentences, tables, figures, and what becomes of old pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiment_world import Laboratory, coin
from slmbench.analysis import load_results
from slmbench.analysis.experiments.findings import Conclusion, Number
from slmbench.report.experiments import experiment_pages, plain, spoken
from slmbench.report.page import write_report
from slmbench.store.experiments import EXPERIMENTS, read_experiments

ARMS = (
    {"name": "<new>", "role": "treatment", "variants": ["a1"]},
    {"name": "old {x}", "role": "control", "variants": ["b1"]},
)


@pytest.fixture
def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path / "results")
    made.variant("root")
    for name, right, losses in (("a1", 30, (2.0, 1.2)), ("b1", 90, (2.0, 1.5))):
        made.variant(name, "root", losses=losses)
        made.answers(name, coin(right, 100))
    made.variant("c1", "root", failure="it does not fit <anywhere>")
    made.declare("initialization", ARMS, limitations=["One machine."])
    return made


def test_the_page_says_everything_and_escapes_it(lab: Laboratory, tmp_path: Path) -> None:
    index = write_report(load_results(lab.root), tmp_path / "out", title="t")
    page = (index.parent / "experiment-toy.html").read_text("utf-8")
    assert "Is it better?" in page
    assert "“&lt;new&gt;” is worse than “old {x}” by 60.0 pp" in page
    assert "it does not fit &lt;anywhere&gt;" in page
    assert "<new>" not in page
    assert "One machine." in page
    assert "Learning curves" in page
    assert 'href="experiment-toy.html"' in index.read_text("utf-8")


def test_cells_of_other_experiments_are_not_counted(lab: Laboratory) -> None:
    lab.variant("other", "root")
    kept_cells = list(lab.cells)
    lab.answers("other", coin(10, 100))
    lab.cells[:] = kept_cells
    (page,) = experiment_pages(load_results(lab.root), "t")
    assert (page.runs, page.cells) == (2, 2)
    assert all(
        "other" not in row.name for part in page.parts for t in part.tables for row in t.rows
    )


def test_a_page_whose_experiment_is_gone_is_removed(lab: Laboratory, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_report(load_results(lab.root), out, title="t")
    foreign = out / "experiment-mine.html"
    foreign.write_text("mine", "utf-8")
    (lab.root / EXPERIMENTS / "toy.json").unlink()
    write_report(load_results(lab.root), out, title="t")
    assert not (out / "experiment-toy.html").exists()
    assert foreign.exists()


def test_a_damaged_declaration_is_left_out(lab: Laboratory) -> None:
    assert [k.experiment.name for k in read_experiments(lab.root)] == ["toy"]
    (lab.root / EXPERIMENTS / "half.json").write_text('{"schema_version": 1', "utf-8")
    assert [k.experiment.name for k in read_experiments(lab.root)] == ["toy"]


def test_numbers_in_sentences_carry_their_intervals() -> None:
    said = Conclusion("worse", "Lower by {0}, of {1}.", (
        Number(-0.031, "fraction", -0.05, -0.012, signed=True), Number(0.5, "fraction"),
    ))  # fmt: skip
    assert spoken(said) == "Lower by −3.1 pp (95 %: −5.0 to −1.2), of 50.0 %."


def test_cells_in_the_terminal() -> None:
    assert plain(None) == ""
    assert plain("yes") == "yes"
    assert plain(Number(None, "s", reason="why")) == "–"
    assert plain(Number(0.5, "fraction", 0.4, 0.6)) == "50.0 % [40.0–60.0]"
