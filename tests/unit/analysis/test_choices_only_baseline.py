"""Runs of the choices alone stand beside the task and are counted nowhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import builders as b
from slmbench.analysis import Results, load_results
from slmbench.analysis.fidelity import measure_fidelity
from slmbench.records import Status
from slmbench.report import leaderboard_rows
from slmbench.report.page import make_page
from slmbench.requests import ItemSet
from slmbench.spec import VariantRef
from slmbench.tasks.choices_only import without_questions

N = 60
TASK = b.task(num_fewshot=5, primary="acc_norm")
BASE = b.variant("base")
CHILD = b.variant("child", parent="base")
RIGHT = [float(i % 5 > 0) for i in range(N)]
ALONE = [float(i % 2) for i in range(N)]


def _items() -> ItemSet:
    return b.choice_set([(f"red{i}", f"blue {i}") for i in range(N)], [i % 2 for i in range(N)])


def _logprobs(right: list[float]) -> list[list[float]]:
    """The right choice is preferred where ``right`` says so."""
    return [[-1.0, -2.0] if (i % 2 == 0) == (r > 0) else [-2.0, -1.0] for i, r in enumerate(right)]


def _run(shelf: b.Shelf, ref: VariantRef, right: list[float], *, alone: bool = False) -> None:
    items = without_questions(_items()) if alone else _items()
    spec = b.cell(ref, TASK.without_question() if alone else TASK)
    wrong = [1 - r for r in right]
    outputs = b.answered(items, _logprobs(right))
    shelf.task(spec, items, {"acc": wrong, "acc_norm": right}, outputs=outputs)


def _real(root: Path) -> b.Shelf:
    shelf = b.Shelf(root)
    _run(shelf, BASE, RIGHT)
    _run(shelf, CHILD, [float(i % 7 > 1) for i in range(N)])
    return shelf


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two real runs."""
    return load_results(_real(tmp_path_factory.mktemp("plain") / "r").root)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The same two, each with its baseline, which is far worse and below chance in ``acc``."""
    shelf = _real(tmp_path_factory.mktemp("beside") / "r")
    _run(shelf, BASE, ALONE, alone=True)
    _run(shelf, CHILD, RIGHT, alone=True)
    return load_results(shelf.root)


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    changing = [c for c in ("run_id", "digest", "parent_run_id") if c in table]
    return table.drop(columns=changing)


def test_no_table_of_scores_counts_them(plain: Results, beside: Results) -> None:
    for make in (
        Results.metrics, Results.items, Results.calibration, Results.fidelity,
        lambda r: r.compare(against="base").table(),
    ):  # fmt: skip
        assert len(make(beside)) > 0
        pd.testing.assert_frame_equal(_numbers(make(plain)), _numbers(make(beside)))
    assert beside.compare().refused == ()
    assert measure_fidelity(beside).rows


def test_leaderboard_and_mean_accuracy_ignore_them(plain: Results, beside: Results) -> None:
    without, with_them = leaderboard_rows(plain), leaderboard_rows(beside)
    assert [r.accuracy for r in with_them] == [r.accuracy for r in without]
    assert [[c.title for c in r.tasks] for r in with_them] == [
        [c.title for c in r.tasks] for r in without
    ]
    assert with_them[0].accuracy.value == pytest.approx(0.8)


def test_they_are_told_as_runs(beside: Results) -> None:
    assert sorted(beside.runs()["task"]) == [
        "arc_easy", "arc_easy", "arc_easy (choices only)", "arc_easy (choices only)"
    ]  # fmt: skip


def test_each_run_is_paired_with_its_own(beside: Results) -> None:
    table = beside.baselines()
    alone = table[table["baseline"] == "choices only"].set_index("variant")
    assert alone.loc["base", "metric"] == "acc_norm"
    assert alone.loc["base", "value"] == pytest.approx(0.5)
    assert alone.loc["base", "ci_low"] < 0.5 < alone.loc["base", "ci_high"]
    assert alone.loc["base", "delta"] == pytest.approx(0.3)
    assert alone.loc["base", "told"] == "above"
    assert alone.loc["child", "value"] == pytest.approx(0.8)
    assert alone.loc["child", "told"] == "not told apart"
    assert set(alone["provenance"]) == {"measured"}
    assert (alone["n"] == N).all()


def test_the_page_shows_the_highest_and_who_is_not_above_it(beside: Results) -> None:
    (task,) = make_page(beside, "t").trust.shortcuts
    cell = task.cells[-1]
    assert (cell.title, cell.value, cell.provenance) == ("choices only", 0.8, "measured")
    assert "child, the highest of 2 runs" in cell.detail
    assert "child (choices only)" in task.not_above
    assert "base (choices only)" not in task.not_above


def test_a_baseline_that_failed_is_a_reason_and_a_trouble(tmp_path: Path) -> None:
    shelf = _real(tmp_path / "r")
    shelf.failure(b.cell(BASE, TASK.without_question()), Status.TIMEOUT, "no end within 9 s")
    results = load_results(shelf.root)
    table = results.baselines()
    row = table[(table["variant"] == "base") & (table["baseline"] == "choices only")].iloc[0]
    assert pd.isna(row["value"])
    assert row["reason"] == "it ended timeout: no end within 9 s"
    assert row["provenance"] == "unavailable"
    (trouble,) = make_page(results, "t").troubles
    assert trouble.works == ("accuracy · arc_easy (choices only)",)
    assert all(r.accuracy.value is not None for r in leaderboard_rows(results))


def test_another_machine_or_target_is_no_pair(tmp_path: Path) -> None:
    shelf = _real(tmp_path / "r")
    items = without_questions(_items())
    spec = b.cell(BASE, TASK.without_question(), on=b.target("other"))
    shelf.task(spec, items, {"acc_norm": ALONE})
    shelf.task(b.cell(BASE, TASK.without_question()), items, {"acc_norm": ALONE}, machine="f" * 16)
    table = load_results(shelf.root).baselines()
    assert table[table["baseline"] == "choices only"]["value"].isna().all()
