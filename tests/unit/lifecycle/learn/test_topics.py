"""Topics and dealing: clusters that are there are found, every text is dealt out once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_training import passages

from slmbench.lifecycle.training.topics import dealt, shares, topics

pytestmark = pytest.mark.engine


def test_texts_without_common_words_fall_into_their_kinds() -> None:
    texts = passages(60)
    labels = topics(texts, 3, seed=1)
    for kind in range(3):
        assert len(set(labels[kind::3])) == 1
    assert len(set(labels.tolist())) == 3
    assert np.array_equal(labels, topics(texts, 3, seed=1))


@given(
    labels=st.lists(st.integers(0, 4), min_size=8, max_size=60),
    clients=st.integers(2, 8),
    concentration=st.sampled_from([0.01, 0.5, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_text_is_dealt_out_once_and_nobody_goes_empty(
    labels: list[int], clients: int, concentration: float, seed: int
) -> None:
    hands = dealt(np.array(labels), clients, concentration, seed)
    assert sorted(row for hand in hands for row in hand) == list(range(len(labels)))
    assert len(hands) == clients
    assert all(hands)
    assert hands == dealt(np.array(labels), clients, concentration, seed)


def test_small_concentration_makes_clients_unlike() -> None:
    labels = np.arange(4000) % 4

    def spread(concentration: float) -> float:
        hands = dealt(labels, 4, concentration, seed=3)
        return float(np.mean([max(row) for row in shares(labels, hands, 4)]))

    assert spread(0.05) > 0.7
    assert spread(1000.0) < 0.3


def test_shares_of_a_client_add_up_to_one() -> None:
    labels = np.array([0, 0, 1, 2])
    assert shares(labels, [[0, 2], [1, 3]], 3) == [(0.5, 0.5, 0.0), (0.5, 0.0, 0.5)]


def test_fewer_texts_than_clients_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 texts cannot be dealt out to 3 clients"):
        dealt(np.array([0, 1]), 3, 1.0, seed=1)
