"""When packs of prefix trees are taken for the naive path's equal."""

from collections.abc import Sequence

import pytest

from slmbench.backends.probe import agreement
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Pair

PAIRS = [Pair((1, 2), (3,)), Pair((1, 2), (4, 5))]
ALONE = [TokenScore(-2.0, True), TokenScore(-6.0, False)]


def moved(gap: float) -> list[TokenScore]:
    """As ALONE, each token's log p lower by ``gap`` nats."""
    return [TokenScore(-2.0 - gap, True), TokenScore(-6.0 - 2 * gap, False)]


@pytest.mark.parametrize(("gap", "exact"), [(0.0004, True), (0.0006, False)])
def test_float32_sums_must_agree_to_a_thousandth(gap: float, exact: bool) -> None:
    found = agreement(PAIRS, ALONE, moved(gap), full=True)  # the second sum is 2 * gap away
    assert found.exact is exact
    assert ("limit 0.001" in found.reason) is not exact


def test_a_half_precision_model_may_be_a_quarter_nat_a_token_away() -> None:
    assert agreement(PAIRS, ALONE, moved(0.24), full=False) == agreement(
        PAIRS, ALONE, ALONE, full=False
    )
    far = agreement(PAIRS, ALONE, moved(0.26), full=False)
    assert not far.exact
    assert "limit 0.25" in far.reason


@pytest.mark.parametrize(("own", "exact"), [(0.2, True), (0.1, False)])
def test_a_model_that_rounds_coarsely_is_measured_by_its_own_rounding(
    own: float, exact: bool
) -> None:
    found = agreement(PAIRS, ALONE, moved(0.3), full=False, nudged=lambda: moved(own))
    assert found.exact is exact
    assert f"moves the naive scores by {own:g}" in found.reason
    assert "differ by 0.3 nats" in found.reason


def test_own_rounding_is_measured_only_where_it_decides() -> None:
    def never() -> Sequence[TokenScore]:
        pytest.fail("scores were taken again for nothing")

    assert agreement(PAIRS, ALONE, moved(0.2), full=False, nudged=never).reason == ""
    assert not agreement(PAIRS, ALONE, moved(0.2), full=True, nudged=never).exact


def test_scores_that_only_one_path_has_are_never_excused() -> None:
    none = [TokenScore(None, False), ALONE[1]]
    for packed in (none, ALONE):
        naive = ALONE if packed is none else none
        found = agreement(PAIRS, naive, packed, full=False, nudged=lambda: moved(9.0))
        assert not found.exact
        assert "finite" in found.reason
    assert agreement(PAIRS, none, none, full=False).exact
    unsteady = agreement(PAIRS, ALONE, moved(0.3), full=False, nudged=lambda: none)
    assert not unsteady.exact
