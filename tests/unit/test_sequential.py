"""The sequential interval: it holds what it promises, over all looks, by simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from slmbench.sequential import LEAST_CLUSTERS, Pair, Schedule, adjusted_p, look, replay
from slmbench.spec.suite import Until

RUNS = 2000
ITEMS = 400
UNTIL = Until(halfwidth=0.04, every=50)


@dataclass(frozen=True)
class Truth:
    """How two models' answers hang together: both right at first, then one flips."""

    right: float
    """Share of items that the parent gets right."""
    up: float
    """Share of all items that only the variant gets right."""
    down: float
    """Share of all items that only the parent gets right."""

    @property
    def delta(self) -> float:
        return self.up - self.down


AA = Truth(0.5, 0.05, 0.05)
"""Two models that are equally good and agree on 90 % of the items."""
LOSS = Truth(0.5, 0.02, 0.05)
"""Three points lost."""
SKEWED = Truth(0.5, 0.0, 0.03)
"""Three points lost and nothing won: the spread is correlated with the difference."""


def differences(truth: Truth, seed: int, runs: int = RUNS, items: int = ITEMS) -> np.ndarray:
    """Variant minus parent, (runs, items), from the joint outcomes of the two."""
    draws = np.random.default_rng(seed).random((runs, items))
    both = truth.right - truth.down
    parent = (draws < both) | (draws >= 1 - truth.down)
    variant = (draws < both) | ((draws >= both) & (draws < both + truth.up))
    return variant.astype(int) - parent.astype(int)


def simulated(truth: Truth, seed: int) -> list[tuple[int, bool, bool, bool]]:
    """Per run: items asked, 0 outside an interval, truth outside one, truth outside the last."""
    schedule = Schedule(UNTIL, ITEMS)
    found = []
    for row in differences(truth, seed):
        looks = replay(schedule, [Pair(float(d), str(i)) for i, d in enumerate(row)])
        outside = [
            not one.low <= truth.delta <= one.high
            for one in looks
            if one.low is not None and one.high is not None
        ]
        p = adjusted_p(looks)
        assert p is not None
        zero = any(one.low > 0 or one.high < 0 for one in looks)  # type: ignore[operator]
        assert zero == (p < 1 - UNTIL.confidence)
        found.append((looks[-1].asked, zero, any(outside), outside[-1]))
    return found


def most(rate: float, runs: int = RUNS) -> int:
    """Upper end of the two-sided 95 % binomial range of a count."""
    return math.floor(runs * rate + 1.96 * math.sqrt(runs * rate * (1 - rate)))


def test_two_equal_models_are_told_apart_at_most_at_the_nominal_rate() -> None:
    found = simulated(AA, seed=1)
    false = sum(zero for _, zero, _, _ in found)
    assert 0.02 * RUNS < false <= most(0.05)
    assert np.mean([asked for asked, *_ in found]) < 0.85 * ITEMS


@pytest.mark.parametrize("truth", [AA, LOSS, SKEWED], ids=["none", "three points", "skewed"])
def test_all_intervals_up_to_the_stop_hold_the_truth(truth: Truth) -> None:
    found = simulated(truth, seed=2)
    assert sum(missed for *_, missed in found) <= most(0.05)
    assert sum(missed for _, _, missed, _ in found) <= most(0.05)


def test_a_three_point_loss_is_seen_when_the_interval_is_narrow_enough() -> None:
    schedule = Schedule(Until(halfwidth=0.02, every=100), 2000)
    rows = differences(LOSS, seed=3, runs=60, items=2000)
    seen = 0
    for row in rows:
        looks = replay(schedule, [Pair(float(d), str(i)) for i, d in enumerate(row)])
        assert looks[-1].asked < 2000
        seen += (adjusted_p(looks) or 1) < 0.05
    assert seen >= 40  # power of a 2 pt half-width against 3 pt: about 0.83


def test_without_the_imagined_items_it_would_stop_too_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they are for: few flips look like no spread."""
    monkeypatch.setattr("slmbench.sequential.IMAGINED", 0.001)
    found = simulated(SKEWED, seed=2)
    assert sum(missed for *_, missed in found) > most(0.05)


def test_no_flip_in_the_first_items_does_not_end_it() -> None:
    schedule = Schedule(Until(halfwidth=0.02, every=50), 400)
    looks = replay(schedule, [Pair(0.0, str(i)) for i in range(400)])
    assert [one.asked for one in looks] == [50, 100, 150, 200]
    last = looks[-1]
    assert last.low is not None
    assert last.high is not None
    assert last.low == -last.high
    assert 0.01 < last.high <= 0.02
    assert last.p == 1.0


def test_looks_repeat_from_the_same_pairs_and_share_the_error_rate() -> None:
    schedule = Schedule(Until(halfwidth=0.001, every=30), 100)
    assert schedule.looks == (30, 60, 90, 100)
    rates = [schedule.error_rate(last=False)] * 3 + [schedule.error_rate(last=True)]
    assert math.fsum(rates) == pytest.approx(0.05)
    pairs = [Pair(float(d), str(i)) for i, d in enumerate(differences(LOSS, 4, 1, 100)[0])]
    looks = replay(schedule, pairs)
    assert looks == replay(schedule, pairs)
    assert [one.asked for one in looks] == [30, 60, 90, 100]
    assert looks[1] == look(schedule, 60, pairs[:60]).look
    assert looks[-1].estimate == pytest.approx(np.mean([p.difference for p in pairs]))


def test_one_look_has_the_whole_error_rate() -> None:
    schedule = Schedule(Until(halfwidth=0.02, every=500), 400)
    assert schedule.looks == (400,)
    assert schedule.error_rate(last=True) == pytest.approx(0.05)


def test_unscored_items_are_asked_but_make_no_pair() -> None:
    pairs = [None if i % 5 == 0 else Pair(0.0, str(i)) for i in range(100)]
    (one, two) = replay(Schedule(Until(halfwidth=0.001, every=50), 100), pairs)
    assert (one.asked, one.pairs, two.asked, two.pairs) == (50, 40, 100, 80)
    nothing = look(Schedule(UNTIL, 400), 50, [])
    assert nothing.look.estimate is None
    assert not nothing.enough


def test_clusters_widen_the_interval_and_too_few_never_stop() -> None:
    schedule = Schedule(Until(halfwidth=0.3, every=40), 80)
    values = [1.0 if (i % 20) < 4 else 0.0 for i in range(40)]
    alone = look(schedule, 40, [Pair(v, str(i)) for i, v in enumerate(values)])
    grouped = look(schedule, 40, [Pair(v, str(i % 20)) for i, v in enumerate(values)])
    assert alone.enough
    assert _width(alone.look) < _width(grouped.look)
    few = LEAST_CLUSTERS - 1
    zeros = [Pair(0.0, str(i % few)) for i in range(40)]
    assert not look(Schedule(Until(halfwidth=0.99, every=40), 80), 40, zeros).enough


def _width(one: object) -> float:
    return one.high - one.low  # type: ignore[attr-defined, no-any-return]


def test_clustered_differences_keep_the_nominal_rate() -> None:
    """Four items a passage whose differences move together; no difference on the whole."""
    schedule = Schedule(Until(halfwidth=0.06, every=80), 800)
    random, wrong, early = np.random.default_rng(5), 0, 0
    for _ in range(RUNS // 4):
        leaning = np.repeat(random.normal(0, 0.08, 200), 4)
        draw = random.random(800)
        d = (draw < 0.06 + leaning).astype(int) - (draw > 0.94 + leaning).astype(int)
        looks = replay(schedule, [Pair(float(v), str(i // 4)) for i, v in enumerate(d)])
        early += looks[-1].asked < 800
        wrong += (adjusted_p(looks) or 1) < 0.05
    assert early > RUNS // 8
    assert wrong <= most(0.05, RUNS // 4)
