from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from slmbench.backends.details import token_details


def logs(*rows: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows)).astype(np.float32)


def test_mean_and_spread_by_hand() -> None:
    found = token_details(
        [logs((0.5, 0.25, 0.25), (0.9, 0.1, 0.0)), logs((1.0, 0.0, 0.0))], (1, 0, 0)
    )
    assert found is not None
    a, b = math.log(2), math.log(4)
    mean = -(0.5 * a + 0.5 * b)
    assert found[0].logprob == pytest.approx(-b, abs=1e-6)
    assert found[0].mean == pytest.approx(mean, abs=1e-6)
    assert found[0].sd == pytest.approx(
        math.sqrt(0.5 * a * a + 0.5 * b * b - mean * mean), abs=1e-6
    )
    entropy = 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert found[1].mean == pytest.approx(entropy, abs=1e-6)
    assert (found[2].logprob, found[2].mean, found[2].sd) == (0.0, 0.0, 0.0)


def test_a_flat_distribution_has_no_spread() -> None:
    (flat,) = token_details([np.full((1, 49152), -math.log(49152), dtype=np.float32)], (7,)) or ()
    assert flat.mean == pytest.approx(-math.log(49152), rel=1e-5)
    assert flat.sd == pytest.approx(0.0, abs=1e-4)


def test_many_rows_come_in_any_pieces() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 9)).astype(np.float32)
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    tokens = rng.integers(0, 9, 50).tolist()
    whole = token_details([rows], tokens)
    assert whole == token_details([rows[:1], rows[1:40], rows[40:]], tokens)
    assert whole is not None
    assert [one.logprob for one in whole] == pytest.approx(rows[range(50), tokens])


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_what_is_not_finite_is_no_detail(bad: float) -> None:
    rows = logs((0.5, 0.25, 0.25))
    rows[0, 1] = bad
    assert token_details([rows], (1,)) is None
