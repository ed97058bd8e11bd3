"""Costs are compared round by round; a change inside the machine's own noise is no finding."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

import builders as b
from slmbench.analysis import Delta, compare_to_parents, load_results
from slmbench.analysis.acceptance import parse_gate
from slmbench.analysis.checks import judge
from slmbench.analysis.compare import Asked
from slmbench.analysis.noise import STANDS_FOR, floor_of, noise_rows, timing_floor
from slmbench.analysis.paired import (
    Difference,
    cost_verdict,
    inside_floor,
    process_difference,
    round_difference,
)
from slmbench.metrics import METRICS
from slmbench.records import PhaseRecord
from slmbench.store.noise import (
    NoiseRatios,
    NoiseRecord,
    adopt_noise,
    keep_noise,
    read_noise,
)

PARENT, CHILD = b.variant("parent"), b.variant("child", parent="parent")
POINT = "pp128+tg32"


def noise(logs: Sequence[float], metric: str = "tpot", **changes: object) -> NoiseRecord:
    """An experiment on the builders' machine and target."""
    base = NoiseRecord(
        machine=b.MACHINE,
        target="fake-cpu",
        backend="fake",
        device="cpu",
        threads=2,
        variant="parent",
        repeats=5,
        ratios=(NoiseRatios(metric=metric, point=POINT, logs=tuple(logs)),),
        processes=2 * len(logs),
        disturbed=0,
    )
    return base.model_copy(update=changes)


def test_a_ratio_per_round_by_hand() -> None:
    d = round_difference([1.0, 2.0, 4.0], [1.1, 2.2, 4.84], 2.0)
    logs = [math.log(1.1), math.log(1.1), math.log(1.21)]
    middle = sum(logs) / 3
    se = math.sqrt(sum((x - middle) ** 2 for x in logs) / 2 / 3)
    half = 4.302653 * se
    assert d.change == pytest.approx(math.exp(middle) - 1)
    assert d.change_low == pytest.approx(math.exp(middle - half) - 1)
    assert d.change_high == pytest.approx(math.exp(middle + half) - 1)
    assert d.delta == pytest.approx(2.0 * (math.exp(middle) - 1))
    assert (d.rounds, d.n, d.p) == (3, 3, None)
    assert d.sign_p == 0.25
    assert d.p_method == "t of log ratios, 3 rounds"


def test_what_slows_a_whole_round_cancels() -> None:
    before = [1.0, 1.5, 0.8, 2.0, 1.2]
    d = round_difference(before, [1.02 * v for v in before], 1.2)
    assert d.change_low == pytest.approx(0.02)
    assert d.change_high == pytest.approx(0.02)
    apart = process_difference(before, [1.02 * v for v in before], 1.2)
    assert (apart.change_low or 0) < 0 < (apart.change_high or 0)


def test_costs_that_are_not_positive_are_subtracted() -> None:
    d = round_difference([-1.0, 0.0, 1.0], [0.0, 1.0, 2.0], 0.0)
    assert (d.delta, d.low, d.high, d.change) == (1.0, 1.0, 1.0, None)
    assert d.p_method == "t of differences, 3 rounds"


def test_welch_by_hand() -> None:
    d = process_difference([1.0, 1.0, 1.0], [math.e, math.e**1.2, math.e**0.8], 1.0)
    half = 4.302653 * math.sqrt(0.04 / 3)  # all variance on one side: 2 degrees of freedom
    assert d.change_low == pytest.approx(math.exp(1 - half) - 1)
    assert d.change_high == pytest.approx(math.exp(1 + half) - 1)
    assert (d.processes, d.rounds) == (3, None)


@pytest.mark.parametrize("rounds", [3, 5, 12])
def test_intervals_by_rounds_cover(rounds: int) -> None:
    rng = random.Random(rounds)
    held = 0
    for _ in range(400):
        slow = [rng.gauss(0, 0.1) for _ in range(rounds)]
        sides = [[math.exp(s + rng.gauss(0, 0.01)) for s in slow] for _ in range(2)]
        d = round_difference(sides[0], sides[1], 1.0)
        held += (d.change_low or 1) <= 0 <= (d.change_high or -1)
    assert 0.92 <= held / 400 <= 0.98


def test_the_floor_by_hand() -> None:
    logs = [0.01, -0.02, 0.02, 0.0]
    s = math.sqrt((0.0001 + 0.0004 + 0.0004) / 4)
    assert floor_of(logs, 1) == pytest.approx(2.776445 * s)
    assert floor_of(logs, 4) == pytest.approx(2.776445 * s / 2)
    assert floor_of(logs[:2], 4) is None


def test_one_comparison_in_twenty_of_nothing_is_above_the_floor() -> None:
    rng = random.Random(1)
    above = 0
    for _ in range(2000):
        experiment = [rng.gauss(0, 0.01) for _ in range(8)]
        later = sum(rng.gauss(0, 0.01) for _ in range(5)) / 5
        above += abs(later) > (floor_of(experiment, 5) or 0)
    assert 0.035 <= above / 2000 <= 0.065


def test_a_floor_speaks_about_its_own_machine_target_and_metric() -> None:
    records = (noise([0.01] * 5), noise([0.05] * 5, threads=1))
    here = timing_floor(records, b.MACHINE, b.target(), "tpot", 5)
    assert here == pytest.approx(floor_of([0.01] * 5, 5))
    assert timing_floor(records, b.MACHINE, b.target(), "decode_rate", 5) == here
    assert timing_floor(records, "f" * 16, b.target(), "tpot", 5) is None
    assert timing_floor(records, b.MACHINE, b.target(device="cuda"), "tpot", 5) is None
    assert timing_floor(records, b.MACHINE, b.target(), "ttft", 5) is None
    assert timing_floor(records, b.MACHINE, b.target(), "energy_per_token", 5) is None
    assert set(STANDS_FOR) <= set(METRICS)


def test_a_bias_between_two_equal_names_is_told() -> None:
    (biased,) = noise_rows([noise([0.01, 0.011, 0.009, 0.01])])
    (level,) = noise_rows([noise([0.01, -0.011, 0.009, -0.01])])
    assert (biased.bias_p or 1) < 0.001
    assert (level.bias_p or 0) > 0.5
    assert biased.floor(4) > 0.01, "the bias is part of the floor"


@pytest.mark.parametrize(
    ("low", "high", "floor", "verdict"),
    [
        (0.02, 0.04, None, "worse"),
        (0.02, 0.04, math.log1p(0.029), "worse"),
        (0.02, 0.04, math.log1p(0.031), "not resolved"),
        (-0.01, 0.07, 0.001, "not resolved"),
    ],
)
def test_verdicts_by_rounds(low: float, high: float, floor: float | None, verdict: str) -> None:
    d = Difference(0.03, 5, low, high, change=0.03, change_low=low, change_high=high, rounds=5)
    assert cost_verdict(d, 1.0, "lower", floor) == verdict


def test_one_process_each_still_needs_five_per_cent() -> None:
    d = Difference(0.03, 9, 0.02, 0.04, change=0.03)
    assert cost_verdict(d, 1.0, "lower") == "not resolved"
    assert not inside_floor(d, None)
    assert not inside_floor(Difference(1.0, 3), 0.5), "no ratio, no floor"


def phases(times: Sequence[float], session: str = "s", *, seen: bool = False) -> list[PhaseRecord]:
    """A timed phase per round of seven repetitions around each time."""
    spread = [0.0, 0.001, -0.001, 0.002, -0.002, 0.003, -0.003]
    made = []
    for process, t in enumerate(times):
        measured = b.measurement("tpot", *[t * (1 + s) for s in spread], point=POINT)
        plain = b.phase("timed", measured, seen=[b.loaded()] if seen and not process else [])
        made.append(plain.model_copy(update={"process": process, "round": f"{session}-{process}"}))
    return made


def seal(shelf: b.Shelf, before: list[PhaseRecord], after: list[PhaseRecord]) -> None:
    """Latency of parent and child."""
    shelf.load(b.cell(PARENT, b.workload(), suite="latency"), *before)
    shelf.load(b.cell(CHILD, b.workload(), suite="latency"), *after)


def the_delta(shelf: b.Shelf) -> Delta:
    """The one difference of a store."""
    (found,) = compare_to_parents(load_results(shelf.root)).deltas
    return found


DRIFT = [0.010, 0.013, 0.011, 0.015, 0.012]
SLOWER = [DRIFT[i] * (1.02, 1.03)[i % 2] for i in range(5)]


def test_compare_pairs_by_rounds(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    seal(shelf, phases(DRIFT), phases(SLOWER))
    d = the_delta(shelf)
    assert (d.verdict, d.flags, d.difference.rounds) == ("worse", (), 5)
    assert d.difference.change == pytest.approx(1.024 - 1, abs=1e-3)
    table = compare_to_parents(load_results(tmp_path)).table()
    assert table.loc[0, "rounds"] == 5
    assert table.loc[0, "sign_p"] == pytest.approx(1 / 16)
    assert table["noise_floor"].isna().all()


def test_a_change_inside_the_floor_is_not_resolved_and_says_why(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    seal(shelf, phases(DRIFT), phases(SLOWER))
    keep_noise(noise([0.04, -0.04, 0.03]), tmp_path)
    d = the_delta(shelf)
    assert d.verdict == "not resolved"
    assert d.flags == ("inside noise floor",)
    assert d.why.startswith("inside this machine's noise floor of ")
    assert compare_to_parents(load_results(tmp_path)).table().loc[0, "verdict_reason"] == d.why
    keep_noise(noise([0.004, -0.004, 0.003]), tmp_path)
    assert (the_delta(shelf).verdict, the_delta(shelf).why) == ("worse", "")


def test_other_rounds_are_compared_process_by_process(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    seal(shelf, phases(DRIFT, "monday"), phases([1.02 * t for t in DRIFT], "tuesday"))
    d = the_delta(shelf)
    assert (d.verdict, d.flags) == ("not resolved", ("few rounds",))
    assert (d.difference.rounds, d.difference.processes) == (None, 5)


def test_interference_on_either_side_is_a_badge_on_the_difference(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    seal(shelf, phases(DRIFT, seen=True), phases(DRIFT))
    assert the_delta(shelf).flags == ("loaded machine",)


def test_a_gate_tells_interference_and_the_floor(tmp_path: Path) -> None:
    shelf = b.Shelf(tmp_path)
    seal(shelf, phases(DRIFT, seen=True), phases(SLOWER))
    keep_noise(noise([0.04, -0.04, 0.03]), tmp_path)
    gates = [parse_gate("tpot:+10%"), parse_gate("tpot:<1s")]
    change, level = judge(load_results(tmp_path), gates, Asked())
    assert (change.outcome, level.outcome) == ("pass", "pass")
    assert "inside this machine's noise floor" in change.reason
    assert change.reason.endswith("taken under interference: loaded machine")
    assert level.reason == "", "the variant's own number was taken in peace"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))


def test_the_cache_keeps_a_record_a_machine_and_target(tmp_path: Path) -> None:
    keep_noise(noise([0.01] * 3))
    keep_noise(noise([0.02] * 3))
    keep_noise(noise([0.03] * 3, threads=1))
    keep_noise(noise([0.04] * 3, machine="f" * 16))
    results = tmp_path / "results"
    assert read_noise(results) == ()
    adopt_noise(results, b.MACHINE)
    assert sorted(r.ratios[0].logs[0] for r in read_noise(results)) == [0.02, 0.03]
    (results / ".noise" / "broken.json").write_text("{")
    assert len(read_noise(results)) == 2
