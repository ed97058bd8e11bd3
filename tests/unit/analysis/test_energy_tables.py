"""Grades in tables, energy against time, model against counter, joules per right answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

import builders as b
from slmbench.analysis import load_results
from slmbench.analysis.energy import correlation
from slmbench.analysis.energy_frames import (
    AGREEMENT_COLUMNS,
    ENERGY_COLUMNS,
    INFORMATION_COLUMNS,
)
from slmbench.analysis.pareto import Point, front, one_grade
from slmbench.errors import UsageError
from slmbench.records import Measurement, PhaseRecord, Provenance
from slmbench.report.figures import pareto_figure
from slmbench.report.leaderboard import leaderboard_rows

CPU = "cpu package 0"
MODEL = "whole machine, modelled, cpu by machine load"
POINT = "pp32+tg64"


def window(
    joules: float, seconds: float, *, requests: int = 10, scope: str = CPU, modelled: float = 0.0
) -> PhaseRecord:
    """A window of ten requests with its derived figures."""
    method = "sampled" if scope.startswith("wall") else "counter"

    def derived(metric: str, value: float) -> Measurement:
        return b.measurement(metric, value, point=POINT, scope=scope, method=method,
                             provenance=Provenance.DERIVED)  # fmt: skip

    rows = [
        derived("energy_total", joules),
        derived("energy_per_request", joules / requests),
        derived("energy_per_token", joules / requests / 64),
        b.measurement("window_request_time", seconds / requests, point=POINT, scope="this window",
                      method="derived", provenance=Provenance.DERIVED),
    ]  # fmt: skip
    if modelled:
        for metric, value in (
            ("energy_estimate", modelled), ("energy_estimate_per_request", modelled / requests)
        ):  # fmt: skip
            rows.append(
                b.measurement(metric, value, point=POINT, scope=MODEL, method="modelled",
                              provenance=Provenance.ESTIMATED, reason="a model of load")
            )  # fmt: skip
    made = b.phase("window", *rows)
    return made.model_copy(update={"duration_ns": int(seconds * 1e9)})


def store(root: Path, runs: Sequence[tuple[str, Sequence[PhaseRecord]]]) -> b.Shelf:
    """One energy run a variant."""
    shelf = b.Shelf(root)
    for name, windows in runs:
        spec = b.cell(b.variant(name), b.workload("energy", (32, 64)), suite="energy")
        shelf.load(spec, *windows)
    return shelf


def test_the_grade_stands_beside_every_energy(tmp_path: Path) -> None:
    store(
        tmp_path,
        [
            ("counted", [window(100, 10, modelled=400)]),
            ("at-the-wall", [window(300, 10, scope="wall, whole machine")]),
        ],
    )
    table = load_results(tmp_path).energy()
    assert list(table.columns) == [c.name for c in ENERGY_COLUMNS]
    of = table.set_index(["variant", "metric"])
    assert of.loc[("counted", "energy_per_token"), "grade"] == "B"
    assert of.loc[("counted", "energy_per_token"), "source"] == "hardware counter"
    assert of.loc[("at-the-wall", "energy_per_token"), "grade"] == "A"
    assert of.loc[("counted", "energy_estimate"), "grade"] == "D"
    assert of.loc[("counted", "energy_per_token"), "ranked"]
    assert not of.loc[("counted", "energy_estimate"), "ranked"]
    assert pd.isna(of.loc[("counted", "window_request_time"), "grade"])


def test_energy_that_restates_time_is_called_out(tmp_path: Path) -> None:
    """Measured energy runs against time; the model is 40 W times time."""
    cases = [("a", 100.0, 10.0), ("b", 90.0, 20.0), ("c", 140.0, 30.0), ("d", 60.0, 41.0)]
    store(tmp_path, [(n, [window(j, s, modelled=40 * s)]) for n, j, s in cases])
    table = load_results(tmp_path).energy_information()
    assert list(table.columns) == [c.name for c in INFORMATION_COLUMNS]
    told = table.set_index("metric")
    assert told.loc["energy_estimate_per_request", "r"] == pytest.approx(1.0)
    assert not told.loc["energy_estimate_per_request", "own_information"]
    assert "no information of its own" in told.loc["energy_estimate_per_request", "verdict"]
    assert told.loc["energy_per_request", "own_information"]
    assert told.loc["energy_per_request", "n"] == 4
    expected = correlation([j for _, j, _ in cases], [s for _, _, s in cases])
    assert told.loc["energy_per_request", "r"] == pytest.approx(expected)


def test_two_variants_do_not_tell(tmp_path: Path) -> None:
    store(tmp_path, [("a", [window(100, 10)]), ("b", [window(90, 20)])])
    (row,) = load_results(tmp_path).energy_information().itertuples()
    assert pd.isna(row.r)
    assert pd.isna(row.own_information)
    assert "too few" in row.verdict


def test_model_against_counter_window_by_window(tmp_path: Path) -> None:
    """100 J counted, 400, 410 and 390 modelled in 10 s: 4 times, 40 W against 10 W."""
    windows = [window(100, 10, modelled=m) for m in (400.0, 410.0, 390.0)]
    store(tmp_path, [("a", windows), ("no-model", [window(100, 10)])])
    table = load_results(tmp_path).energy_agreement()
    assert list(table.columns) == [c.name for c in AGREEMENT_COLUMNS]
    (row,) = table.itertuples()
    assert (row.variant, row.n) == ("a", 3)
    assert row.ratio == pytest.approx(4.0)
    assert (row.measured_w, row.modelled_w) == pytest.approx((10.0, 40.0))
    assert (row.grade, row.model_grade) == ("B", "D")
    assert (row.scope, row.model_scope) == (CPU, MODEL)


def test_grades_are_never_mixed_on_a_front() -> None:
    points = [Point("a", 1.0, 0.5, "A"), Point("b", 2.0, 0.6, "B")]
    with pytest.raises(UsageError, match="grades"):
        front(points, "lower", "higher")
    assert [p.key for p in one_grade(points)] == ["a"]
    assert [p.key for p in one_grade([*points, Point("c", 3.0, 0.7, "B")])] == ["b", "c"]


@pytest.mark.parametrize("weak", ["D", "E"])
def test_modelled_energy_is_no_axis(weak: str) -> None:
    points = [Point("m", 1.0, 0.9, weak), Point("b", 2.0, 0.6, "B")]  # type: ignore[arg-type]
    assert [p.key for p in front(points, "lower", "higher")] == ["b"]
    assert [p.key for p in one_grade(points)] == ["b"]


def test_the_figure_keeps_to_one_grade_and_scope(tmp_path: Path) -> None:
    shelf = store(
        tmp_path,
        [
            ("a", [window(100, 10)]),
            ("b", [window(80, 10)]),
            ("wall", [window(10, 10, scope="wall, whole machine")]),
            ("gpu", [window(10, 10, scope="gpu0 board only")]),
        ],
    )
    items = b.choice_items("arc_easy", 8)
    for name, right in (("a", 6), ("b", 5), ("wall", 7), ("gpu", 7)):
        spec = b.cell(b.variant(name), b.task())
        shelf.task(spec, items, {"acc": [1.0] * right + [0.0] * (8 - right)})
    figure = pareto_figure(leaderboard_rows(load_results(tmp_path)), "energy_per_token")
    assert figure is not None
    assert set(figure.names) == {"a", "b"}
    assert "grade B (hardware counter), cpu package 0; 2 with another" in figure.caption


def _priced(root: Path, *, prompt: int, length: int = 40) -> pd.DataFrame:
    """Prefill 0.5 J a token at that length; 4 items of 2 continuations, half of them right."""
    shelf = b.Shelf(root)
    ref = b.variant("a")
    point = f"pp{prompt}"
    price = b.measurement(
        "energy_per_prompt_token", 0.5, point=point, scope=CPU, provenance=Provenance.DERIVED
    )
    shelf.load(
        b.cell(ref, b.workload("energy", (prompt, 1)), suite="energy"), b.phase("window", price)
    )
    items = b.choice_items("arc_easy", 4, choices=2)
    outputs = [
        one.model_copy(
            update={
                "outputs": tuple(
                    o.model_copy(update={"context_tokens": length}) for o in one.outputs
                )
            }
        )
        for one in b.answered(items, [[-1.0, -2.0]] * 4, tokens=3)
    ]
    shelf.task(b.cell(ref, b.task()), items, {"acc": [1.0, 0.0, 1.0, 0.0]}, outputs=outputs)
    return load_results(root).energy_per_correct()


def test_joules_per_right_answer_by_hand(tmp_path: Path) -> None:
    """4 x (40 + 2 x 3) tokens x 0.5 J / 2 right answers = 46 J."""
    (row,) = _priced(tmp_path, prompt=64).itertuples()
    assert row.value == pytest.approx(46.0)
    assert (row.provenance, row.point, row.scope) == ("derived", "pp64", CPU)
    assert "one by one" in row.reason


def test_prices_are_not_carried_too_far(tmp_path: Path) -> None:
    (row,) = _priced(tmp_path, prompt=512).itertuples()
    assert pd.isna(row.value)
    assert "too far" in row.reason


def test_without_energy_there_is_no_row(tmp_path: Path) -> None:
    items = b.choice_items("arc_easy", 4)
    b.Shelf(tmp_path).task(b.cell(b.variant("a"), b.task()), items, {"acc": [1.0] * 4})
    assert load_results(tmp_path).energy_per_correct().empty
