"""Equivalence and non-inferiority, checked against brute force, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slmbench.analysis.equivalence import Equivalence, equivalence, items_to_tell, words
from slmbench.analysis.paired import Difference, Pairs, difference_of
from slmbench.analysis.score_test import score_interval, score_z
from slmbench.analysis.special import normal_cdf


def binary(down: int, up: int, n: int, clusters: int | None = None) -> Difference:
    """Pairs with so many flips, the rest equal."""
    parent = [1.0] * down + [0.0] * up + [1.0] * (n - down - up)
    variant = [0.0] * down + [1.0] * up + [1.0] * (n - down - up)
    named = tuple(f"c{i % clusters}" if clusters else str(i) for i in range(n))
    return difference_of(
        Pairs(tuple(str(i) for i in range(n)), tuple(parent), tuple(variant), named)
    )


@pytest.mark.parametrize(
    ("down", "up", "n", "shift"),
    [(7, 1, 21, 0.1), (7, 1, 21, -0.3), (2, 5, 40, -0.01), (2, 5, 40, 0.2), (1, 1, 9, 0.5)],
)
def test_the_score_statistic_maximises_the_constrained_likelihood(
    down: int, up: int, n: int, shift: float
) -> None:
    q = np.linspace(max(0, -shift) + 1e-9, (1 - shift) / 2 - 1e-9, 200_001)
    same = n - up - down
    likelihood = up * np.log(q + shift) + down * np.log(q) + same * np.log(1 - 2 * q - shift)
    best = float(q[likelihood.argmax()])
    by_hand = (up - down - n * shift) / math.sqrt(n * (2 * best + shift - shift**2))
    assert score_z(down, up, n, shift) == pytest.approx(by_hand, abs=1e-3)


@pytest.mark.parametrize(("down", "up", "n"), [(7, 1, 21), (0, 0, 300), (3, 9, 500), (20, 0, 20)])
def test_the_interval_inverts_the_test(down: int, up: int, n: int) -> None:
    low, high = score_interval(down, up, n)
    assert -1 <= low <= (up - down) / n <= high <= 1
    if low > -1 + 1e-9:
        assert 1 - normal_cdf(score_z(down, up, n, low)) == pytest.approx(0.025, abs=1e-6)
    if high < 1 - 1e-9:
        assert normal_cdf(score_z(down, up, n, high)) == pytest.approx(0.025, abs=1e-6)


def test_at_no_shift_it_is_mcnemars() -> None:
    assert score_z(4, 13, 200, 0.0) == pytest.approx(9 / math.sqrt(17))
    assert score_z(0, 0, 50, 0.0) == 0


def test_no_flips_need_enough_items_to_mean_lossless() -> None:
    few, many = equivalence(binary(0, 0, 200), 0.01, "higher"), equivalence(
        binary(0, 0, 400), 0.01, "higher"
    )  # fmt: skip
    assert few is not None
    assert many is not None
    assert (few.equivalent, many.equivalent) == ("underpowered", "yes")
    assert many.p == pytest.approx(1 - normal_cdf(math.sqrt(400 * 0.01 / 0.99)))


def test_a_large_loss_is_not_lossless() -> None:
    found = equivalence(binary(60, 10, 1000), 0.01, "higher")
    assert found is not None
    assert (found.equivalent, found.non_inferior, found.n_needed) == ("no", "no", None)


def test_a_gain_is_not_equal_but_surely_no_loss() -> None:
    found = equivalence(binary(5, 60, 1000), 0.01, "higher")
    assert found is not None
    assert (found.equivalent, found.non_inferior) == ("no", "yes")
    assert words(found, "fraction", "higher") == "lossless within 1 pt: yes, and better by more"
    worse = equivalence(binary(5, 60, 1000), 0.01, "lower")
    assert worse is not None
    assert worse.non_inferior == "no"


def test_items_needed_by_hand() -> None:
    found = equivalence(binary(7, 7, 500), 0.01, "higher")
    assert found is not None
    # (1.6449 + 1.2816)² · 0.028 / 0.0001
    assert (found.equivalent, found.n_needed) == ("underpowered", 2398)
    wider = equivalence(binary(7, 7, 500), 0.02, "higher")
    assert wider is not None
    assert wider.equivalent == "yes"


def test_enough_items_and_yet_undecided_plans_at_the_observed_difference() -> None:
    d = binary(65, 20, 5000)  # -0.9 points, flips 1.7 %: 1,456 would do if nothing were lost
    found = equivalence(d, 0.01, "higher")
    assert found is not None
    assert found.equivalent == "underpowered"
    z = 1.6449 + 0.8416
    assert found.n_needed == pytest.approx(0.017 * (z / 0.001) ** 2, rel=1e-3)


def test_no_variance_in_clusters_gives_no_plan() -> None:
    found = equivalence(binary(0, 0, 40, clusters=4), 0.01, "higher")
    assert found is not None
    assert (found.equivalent, found.n_needed) == ("underpowered", None)
    assert words(found, "fraction", "none") == "unchanged within 1 pt: underpowered"


def test_continuous_scores_use_the_clustered_error() -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(0, 1, 400)
    moved = base + rng.normal(0.0, 0.02, 400)
    names = tuple(str(i) for i in range(400))
    d = difference_of(Pairs(names, tuple(base), tuple(moved), names))
    inside, tight = equivalence(d, 0.01, "lower"), equivalence(d, 0.001, "lower")
    assert inside is not None
    assert tight is not None
    assert (inside.equivalent, tight.equivalent) == ("yes", "underpowered")
    assert d.se is not None
    assert tight.n_needed == pytest.approx(8.5638 * 400 * d.se**2 / 1e-6, rel=0.01)


def test_no_interval_no_verdict() -> None:
    assert equivalence(Difference(0.1, 1), 0.01, "higher") is None
    assert items_to_tell(Difference(0.1, 1), 0.02) is None
    assert items_to_tell(binary(5, 5, 100), 0.0) is None


def test_items_to_tell_by_hand() -> None:
    # (1.96 + 0.8416)² · 0.1 / 0.02²
    assert items_to_tell(binary(5, 5, 100), 0.02) == pytest.approx(1963, abs=1)


def test_words_name_margin_and_unit() -> None:
    ruled_out = Equivalence(0.005, "underpowered", 0.3, 900, "yes")
    assert words(ruled_out, "fraction", "higher") == (
        "lossless within 0.5 pt: underpowered, needs n = 900; a larger loss is ruled out"
    )
    assert words(Equivalence(0.02, "yes", 0.01, None, "yes"), "bits/byte", "lower") == (
        "lossless within 0.02 bits/byte: yes"
    )


@pytest.mark.parametrize(("n", "flip_rate"), [(300, 0.02), (1000, 0.02), (1000, 0.05), (4000, 0.1)])
def test_a_loss_of_the_margin_is_called_lossless_no_more_often_than_stated(
    n: int, flip_rate: float
) -> None:
    """Truth: exactly one point is lost. TOST may say "yes" in 5 %, non-inferiority in 2.5 %."""
    rng = np.random.default_rng(11)
    chances = [(flip_rate + 0.01) / 2, (flip_rate - 0.01) / 2, 1 - flip_rate]
    flips, counts = np.unique(rng.multinomial(n, chances, 4000)[:, :2], axis=0, return_counts=True)
    equal = worse = 0
    for (down, up), count in zip(flips.tolist(), counts.tolist(), strict=True):
        p = max(1 - normal_cdf(score_z(down, up, n, -0.01)), normal_cdf(score_z(down, up, n, 0.01)))
        equal += count * (p < 0.05)
        worse += count * (score_interval(down, up, n)[0] > -0.01)
    assert equal / 4000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert worse / 4000 <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 4000)
