"""The table of metrics: directions and units that everything else reads."""

from __future__ import annotations

import pytest

from slmbench.errors import UnknownNameError
from slmbench.metrics import METRICS, better, metric

PINNED = {
    "acc": ("fraction", "higher"),
    "acc_norm": ("fraction", "higher"),
    "gold_bpb": ("bits/byte", "lower"),
    "abstention_rate": ("fraction", "higher"),
    "context_faithful": ("fraction", "higher"),
    "stereotype_preference": ("fraction", "none"),
    "stereotype_distance": ("fraction", "none"),
    "ttft": ("s", "lower"),
    "tpot": ("s", "lower"),
    "itl": ("s", "lower"),
    "decode_rate": ("tok/s", "higher"),
    "prefill_rate": ("tok/s", "higher"),
    "peak_memory": ("bytes", "lower"),
    "pss_anon": ("bytes", "lower"),
    "energy_gross": ("J", "lower"),
    "energy_per_token": ("J/token", "lower"),
    "bits_per_weight": ("bits", "lower"),
}


@pytest.mark.parametrize("name", sorted(PINNED))
def test_unit_and_direction(name: str) -> None:
    assert (metric(name).unit, metric(name).direction) == PINNED[name]


def test_estimates_and_carbon_are_never_ranked() -> None:
    unranked = [m.name for m in METRICS.values() if "estimate" in m.name]
    assert unranked
    assert all(metric(name).direction == "none" for name in unranked)
    assert not better("energy_estimate", 1.0, 2.0)
    assert not better("energy_estimate", 2.0, 1.0)


def test_better_follows_the_direction_and_ties_are_not_better() -> None:
    assert better("acc", 0.6, 0.5)
    assert not better("acc", 0.5, 0.6)
    assert better("ttft", 0.1, 0.2)
    assert not better("ttft", 0.2, 0.1)
    assert not better("ttft", 0.1, 0.1)


def test_every_metric_says_what_it_is() -> None:
    assert all(m.label and m.definition for m in METRICS.values())


def test_an_unknown_metric_suggests_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean peak_memory"):
        metric("peak_memroy")
