"""Flags: observed ones where they can matter, inferred ones from the samples."""

from __future__ import annotations

import pytest

import builders as b
from slmbench.analysis import MEANINGS
from slmbench.analysis.chance import chance_level
from slmbench.analysis.stability import joined, observed_flags, sample_flags, score_flags, split
from slmbench.analysis.statistics import Estimate
from slmbench.records import Observation


def test_interference_touches_time_not_memory() -> None:
    swap = Observation(kind="swap", value=1, unit="pages", message="swapped")
    assert observed_flags("s", [b.loaded()]) == ("loaded machine",)
    assert observed_flags("bytes", [b.loaded(), swap]) == ("swapping",)
    assert observed_flags("fraction", [b.loaded()]) == ()


@pytest.mark.parametrize(
    ("samples", "flags"),
    [
        ([0.01], ("single reading",)),
        ([0.010, 0.0101], ("few samples",)),
        ([0.010, 0.013, 0.009, 0.012, 0.010, 0.011], ("noisy",)),
        ([0.0100, 0.0101, 0.0102, 0.0103, 0.0104, 0.0105, 0.0106, 0.0107], ("trend",)),
        ([0.0100, 0.0101, 0.0100, 0.0101, 0.0100, 0.0101], ()),
    ],
)
def test_inferred_flags(samples: list[float], flags: tuple[str, ...]) -> None:
    assert sample_flags("median", "s", samples) == flags


def test_score_flags() -> None:
    assert score_flags(Estimate(0.6, 60, 0.5, 0.7, 0.05), 0, 0.25) == ()
    assert score_flags(Estimate(0.3, 60, 0.2, 0.4, 0.05), 0, 0.25) == ("not above chance",)
    assert score_flags(Estimate(0.1, 60, 0.05, 0.2, 0.05), 2, 0.25) == (
        "unscored items",
        "below chance",
    )


def test_flags_travel_as_text() -> None:
    assert split(joined(["trend", "noisy", "trend"])) == ("noisy", "trend")
    assert split("") == ()
    assert all(m.meaning and m.advice for m in MEANINGS.values())


def test_chance_of_mixed_choices_is_a_mean() -> None:
    mixed = [*b.choice_items("a", 1, choices=4).items, *b.choice_items("b", 1, choices=2).items]
    assert chance_level("acc", mixed) == pytest.approx((0.25 + 0.5) / 2)
    assert chance_level("context_faithful", []) == pytest.approx(1 / 3)
    assert chance_level("acc", []) is None
    assert chance_level("margin", mixed) is None
    assert chance_level("no_such_metric", mixed) is None
