"""The cluster bootstrap behind derived numbers."""

import numpy as np
import pytest

from slmbench.analysis.constructs.bootstrap import Rows, bootstrapped


def test_covers_a_mean_as_the_normal_interval_does() -> None:
    values = np.random.default_rng(1).normal(size=400)
    found = bootstrapped(lambda rows: float(values[rows].mean()), [str(i) for i in range(400)])
    assert found.value == pytest.approx(values.mean())
    assert found.se == pytest.approx(values.std() / 20, rel=0.1)
    assert found.low is not None
    assert found.high is not None
    assert found.low < values.mean() < found.high


def test_items_of_one_cluster_are_drawn_together() -> None:
    values = np.repeat([0.0, 1.0], 50)

    def mean(rows: Rows) -> float:
        return float(values[rows].mean())

    alone = bootstrapped(mean, [str(i) for i in range(100)])
    together = bootstrapped(mean, [str(i // 5) for i in range(100)])
    assert alone.se is not None
    assert together.se is not None
    assert together.se > 1.8 * alone.se


def test_one_cluster_and_no_value_have_no_interval() -> None:
    assert bootstrapped(lambda _: 0.5, ["a", "a"]).low is None
    assert bootstrapped(lambda _: None, ["a", "b"]).value is None
    assert bootstrapped(lambda _: 1.0, []).value is None


def test_draws_without_a_value_are_not_hidden() -> None:
    found = bootstrapped(lambda rows: 1.0 if 0 in rows else None, ["a", "b"])
    assert found.value == 1.0
    assert found.low is None
    assert "too few" in found.method
