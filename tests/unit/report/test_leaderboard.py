"""The leaderboard's rows and cells."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import synthetic_store
from slmbench.analysis import load_results
from slmbench.records import SkipRecord, Status
from slmbench.report import LeaderboardRow, leaderboard_rows
from slmbench.store import save_skips


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[LeaderboardRow]:
    """Leaderboard of the synthetic store."""
    return leaderboard_rows(load_results(synthetic_store.build(tmp_path_factory.mktemp("store"))))


def test_sorted_by_accuracy_with_failures_last(rows: list[LeaderboardRow]) -> None:
    values = [r.accuracy.value for r in rows]
    known = [v for v in values if v is not None]
    assert known == sorted(known, reverse=True)
    assert len(known) == 7
    assert values[7:] == [None, None]


def test_every_row_has_the_same_columns(rows: list[LeaderboardRow]) -> None:
    titles = {tuple(c.title for c in r.cells) for r in rows}
    assert len(titles) == 1
    assert titles.pop()[0] == "Accuracy"


def test_every_number_has_provenance(rows: list[LeaderboardRow]) -> None:
    for row in rows:
        for cell in (row.accuracy, *row.tasks, *row.costs):
            assert (cell.value is None) == (cell.provenance == "unavailable"), cell
            assert cell.value is not None or cell.reason, cell


def test_failures_show_their_status_in_every_column_of_the_work(
    rows: list[LeaderboardRow],
) -> None:
    broken = next(r for r in rows if r.variant == "smollm2-q4_amx")
    assert {c.status for c in broken.tasks[:3]} == {"crashed"}
    assert {c.text for c in broken.costs if c.metric in ("decode_rate", "ttft")} == {"timeout"}
    assert broken.accuracy.reason.startswith("no value for")


def test_skips_are_cells(rows: list[LeaderboardRow]) -> None:
    skipped = [r for r in rows if (r.variant, r.backend) == ("smollm2-f32", "llama_cpp")]
    cell = next(c for c in skipped[0].tasks if c.title == "hellaswag")
    assert (cell.text, cell.reason) == ("skipped", "llama_cpp reads gguf, not hf")


def test_the_mean_is_of_task_means(tmp_path: Path) -> None:
    shelf, ref = b.Shelf(tmp_path), b.variant("base")
    shelf.task(b.cell(ref, b.task("a")), b.choice_items("a", 40), {"acc": [1, 0] * 20})
    shelf.task(b.cell(ref, b.task("c")), b.choice_items("c", 20), {"acc": [1] * 20})
    (row,) = leaderboard_rows(load_results(tmp_path))
    assert (row.accuracy.value, row.accuracy.n, row.accuracy.provenance) == (0.75, 60, "derived")
    assert row.chance == 0.25
    assert row.accuracy.text.startswith("75.0 % (")


def test_a_mean_over_fewer_tasks_is_not_given(tmp_path: Path) -> None:
    shelf, ref = b.Shelf(tmp_path), b.variant("base")
    shelf.task(b.cell(ref, b.task("a")), b.choice_items("a", 40), {"acc": [1, 0] * 20})
    shelf.failure(b.cell(ref, b.task("c")), Status.OOM, "no memory")
    (row,) = leaderboard_rows(load_results(tmp_path))
    assert row.accuracy.value is None
    assert "c" in row.accuracy.reason
    assert row.tasks[1].text == "oom"


def test_the_shared_point_is_the_headline(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    for name, points in (("one", [(32, 8), (128, 32)]), ("two", [(32, 8)])):
        measured = [b.measurement("ttft", *[p / 1000] * 6, point=f"pp{p}+tg{o}") for p, o in points]
        spec = b.cell(b.variant(name), b.workload("latency", *points), suite="latency")
        shelf.load(spec, b.phase("timed", *measured))
    for row in leaderboard_rows(load_results(tmp_path)):
        cell = row.cell("ttft")
        assert cell is not None
        assert (cell.value, "pp32+tg8" in cell.detail) == (0.032, True)


def test_namesakes_are_told_apart(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    for digest in (b.sha("first"), b.sha("second")):
        spec = b.cell(b.variant("base", digest=digest), b.task())
        shelf.task(spec, b.choice_items("arc_easy", 10), {"acc": [1, 0] * 5})
    labels = {r.label for r in leaderboard_rows(load_results(tmp_path))}
    assert labels == {f"base ({b.sha(x)[:6]})" for x in ("first", "second")}


def test_a_store_of_skips_only_is_empty(tmp_path: Path) -> None:
    skip = SkipRecord(suite="accuracy", variant="a", target="t", work="w", reason="r")
    save_skips(tmp_path, "accuracy", (skip,))
    assert leaderboard_rows(load_results(tmp_path)) == []
