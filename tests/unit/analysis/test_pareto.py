"""The front: nothing dominated is kept, nothing else is lost, directions matter."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmbench import metrics
from slmbench.analysis.pareto import (
    Point,
    Ranked,
    dominates,
    front,
    metric_front,
    ranked_direction,
    staircase,
)
from slmbench.errors import UnknownNameError, UsageError

_VALUE = st.one_of(st.none(), st.integers(-4, 4).map(float))
_POINTS = st.lists(st.tuples(_VALUE, _VALUE), max_size=14).map(
    lambda pairs: [Point(str(i), x, y) for i, (x, y) in enumerate(pairs)]
)
_WAY = st.sampled_from(["higher", "lower"])


def test_a_front_by_hand() -> None:
    points = [
        Point("fast", 10, 0.4),
        Point("good", 20, 0.6),
        Point("dominated", 25, 0.5),
        Point("unknown", 5, None),
    ]
    kept = front(points, "lower", "higher")
    assert [p.key for p in kept] == ["fast", "good"]
    assert staircase(kept, "lower", "higher") == ((10, 0.4), (20, 0.4), (20, 0.6))
    assert [p.key for p in front(points, "higher", "higher")] == ["good", "dominated"]


@given(_POINTS, _WAY, _WAY)
def test_kept_exactly_what_nothing_dominates(points: list[Point], x: Ranked, y: Ranked) -> None:
    kept = {p.key for p in front(points, x, y)}
    for point in points:
        known = point.x is not None and point.y is not None
        beaten = any(dominates(other, point, x, y) for other in points)
        assert (point.key in kept) == (known and not beaten)


@given(_POINTS, _WAY, _WAY)
def test_flipping_a_direction_mirrors_the_front(points: list[Point], x: Ranked, y: Ranked) -> None:
    mirrored = [Point(p.key, None if p.x is None else -p.x, p.y) for p in points]
    other: Ranked = "lower" if x == "higher" else "higher"
    assert {p.key for p in front(points, x, y)} == {p.key for p in front(mirrored, other, y)}


@given(_POINTS, _WAY, _WAY)
def test_the_staircase_is_monotone(points: list[Point], x: Ranked, y: Ranked) -> None:
    path = staircase(front(points, x, y), x, y)
    steps = list(itertools.pairwise(path))
    assert all(a[0] <= b[0] for a, b in steps)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in steps)


def test_directions_come_from_the_metrics_table(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Point("slow and good", 0.02, 0.6), Point("fast and good", 0.01, 0.6)]
    assert [p.key for p in metric_front(points, "tpot", "acc")] == ["fast and good"]
    flipped = dataclasses.replace(metrics.METRICS["tpot"], direction="higher")
    monkeypatch.setitem(metrics.METRICS, "tpot", flipped)  # type: ignore[arg-type]
    assert [p.key for p in metric_front(points, "tpot", "acc")] == ["slow and good"]


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("acc", "higher"),
        ("acc_norm", "higher"),
        ("tpot", "lower"),
        ("ttft", "lower"),
        ("decode_rate", "higher"),
        ("peak_memory", "lower"),
        ("energy_per_token", "lower"),
        ("bits_per_weight", "lower"),
    ],
)
def test_the_objectives_of_the_report_point_the_right_way(name: str, direction: str) -> None:
    assert ranked_direction(name) == direction


def test_an_estimate_is_no_objective() -> None:
    with pytest.raises(UsageError, match="never ranked"):
        metric_front([], "energy_estimate_per_token", "acc")
    with pytest.raises(UnknownNameError):
        metric_front([], "speed", "acc")
