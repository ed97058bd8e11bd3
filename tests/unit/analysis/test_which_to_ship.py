"""Which to ship: nothing unmeasured passes, every reason is said, equal prices are a tie."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders as b
import signature_store as s
from slmbench.analysis.results import load_results
from slmbench.analysis.shipping import SHIP_COLUMNS, Choice, Decision
from slmbench.analysis.which_to_ship import which_to_ship
from slmbench.errors import UsageError
from slmbench.spec import VariantRef
from slmbench.spec.experiment import Limits

BASE = b.variant("base")
GOOD = b.variant("good", parent="base")
BAD = b.variant("bad", parent="base")


@pytest.fixture
def shelf(tmp_path: Path) -> b.Shelf:
    return b.Shelf(tmp_path)


def put(
    shelf: b.Shelf, ref: VariantRef, share: float, memory: float | None = None,
    tpot: tuple[float, ...] = (), **changes: object,
) -> None:  # fmt: skip
    """Scores of two tasks and, where given, a peak of memory and times per token."""
    s.choice(shelf, ref, s.both(share), items=1000)
    model = b.model(**changes)  # type: ignore[arg-type]
    if memory is not None:
        cell = b.cell(ref, b.workload("memory"), suite="memory")
        shelf.load(cell, b.phase("total", b.measurement("peak_memory", memory)), model=model)
    if tpot:
        cell = b.cell(ref, b.workload("latency"), suite="latency")
        timed = b.phase("timed", b.measurement("tpot", *tpot, point="pp128+tg32"))
        shelf.load(cell, timed, model=model)


def decide(shelf: b.Shelf, **limits: object) -> tuple[Decision, dict[str, Choice]]:
    decision = which_to_ship(load_results(shelf.root), Limits(**limits))  # type: ignore[arg-type]
    return decision, {c.system.variant: c for c in decision.choices}


def test_the_cheapest_as_good_one_is_first(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 9e8)
    put(shelf, GOOD, 0.598, 3e8)
    put(shelf, BAD, 0.5, 1e8)
    decision, found = decide(shelf)
    assert [c.system.variant for c in decision.choices] == ["good", "base", "bad"]
    assert (found["good"].outcome, found["good"].rank) == ("may ship", 1)
    assert (found["base"].outcome, found["base"].is_reference) == ("may ship", True)
    assert found["bad"].outcome == "ruled out"
    assert "more than 2.0 % is lost" in found["bad"].why
    assert decision.sentence.startswith("Ship good on fake-cpu: the cheapest by peak memory of 2")
    assert not found["base"].tied


def test_a_loss_that_is_not_resolved_never_passes(shelf: b.Shelf) -> None:
    for ref, share in ((BASE, 0.60), (GOOD, 0.59)):
        s.choice(shelf, ref, s.both(share), items=100)
        cell = b.cell(ref, b.workload("memory"), suite="memory")
        shelf.load(cell, b.phase("total", b.measurement("peak_memory", 1e8)))
    _, found = decide(shelf)
    assert found["good"].outcome == "cannot be said"
    assert "neither shown nor ruled out" in found["good"].why


def test_a_limit_that_was_not_measured_never_passes(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    put(shelf, GOOD, 0.6, 2e8)
    decision, found = decide(shelf, energy_j_per_token=0.5, memory_mb=400)
    assert found["good"].outcome == "cannot be said"
    assert "energy_per_token was not measured" in found["good"].why
    assert decision.sentence.startswith("Nothing here can be recommended")


def test_an_estimate_is_no_measurement(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    cell = b.cell(BASE, b.workload("energy"), suite="energy")
    guess = b.measurement(
        "energy_per_token", 0.1, provenance="estimated", reason="a model of power"
    )
    shelf.load(cell, b.phase("window", guess))
    _, found = decide(shelf, energy_j_per_token=0.5)
    assert found["base"].outcome == "cannot be said"
    assert "a model of power" in found["base"].why


def test_limits_are_held_against_the_interval(shelf: b.Shelf) -> None:
    slow = tuple(0.030 + 0.0001 * i for i in range(8))
    put(shelf, BASE, 0.6, 9e8, slow)
    put(shelf, GOOD, 0.6, 3e8, tuple(t / 2 for t in slow))
    put(shelf, BAD, 0.6, 2e8, tuple(t - 0.0004 for t in slow))
    decision, found = decide(shelf, tpot_ms=30.0, memory_mb=500)
    assert [c.system.variant for c in decision.choices] == ["good", "bad", "base"]
    assert "limit 500 MB" in found["base"].why
    assert found["bad"].outcome == "cannot be said"
    assert "reaches across the limit" in found["bad"].why


def test_prices_that_are_not_told_apart_are_a_tie(shelf: b.Shelf) -> None:
    times = tuple(0.020 + 0.0002 * (i % 4) for i in range(8))
    put(shelf, BASE, 0.6, None, tuple(2 * t for t in times))
    put(shelf, GOOD, 0.6, None, times)
    put(shelf, BAD, 0.6, None, tuple(t + 0.0001 for t in times))
    decision, found = decide(shelf, cheapest_by="tpot")
    assert found["good"].rank == 1
    assert found["bad"].tied
    assert not found["base"].tied
    assert "not told from bad" in decision.sentence


def test_a_signature_of_its_own_rules_out(shelf: b.Shelf) -> None:
    """At guessing: the margin is wide enough here, the signature is not."""
    put(shelf, BASE, 0.45, 3e8)
    put(shelf, BAD, 0.25, 1e8)
    _, found = decide(shelf, margin=0.5)
    assert found["bad"].outcome == "ruled out"
    assert found["bad"].against[0].startswith("accuracy collapse: mean of 2 accuracy tasks 25.0 %")


def test_simulated_compression_cannot_be_shipped(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    put(shelf, GOOD, 0.6, 1e8, kernel="simulated")
    _, found = decide(shelf)
    assert found["good"].outcome == "ruled out"
    assert "simulated" in found["good"].why


def test_a_task_that_the_variant_lacks_never_passes(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    s.choice(shelf, GOOD, {"arc_easy": 0.6}, items=1000)
    cell = b.cell(GOOD, b.workload("memory"), suite="memory")
    shelf.load(cell, b.phase("total", b.measurement("peak_memory", 1e8)))
    _, found = decide(shelf)
    assert found["good"].outcome == "cannot be said"
    assert "hellaswag: was not run" in found["good"].why


def test_size_on_disk_is_a_price_too_and_the_table_has_all(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6)
    put(shelf, GOOD, 0.6)
    results = load_results(shelf.root)
    table = results.which_to_ship(Limits(cheapest_by="artefact_size"))
    assert list(table.columns) == [c.name for c in SHIP_COLUMNS]
    assert list(table["outcome"]) == ["may ship", "may ship"]
    assert bool(table["tied"].iloc[1])
    with pytest.raises(UsageError, match="no results of variant 'nobody'"):
        results.which_to_ship(reference="nobody")


def test_another_reference_can_be_named(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.7, 3e8)
    put(shelf, GOOD, 0.6, 2e8)
    put(shelf, BAD, 0.6, 1e8)
    decision = which_to_ship(load_results(shelf.root), Limits(), "good")
    assert decision.choices[0].system.variant == "bad"
    assert decision.reference == "good"


def test_what_the_reference_shows_as_well_is_said_and_excused(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    put(shelf, GOOD, 0.6, 2e8)
    for ref in (BASE, GOOD):
        s.talk(shelf, ref, [[i] * 40 for i in range(30)])
    _, found = decide(shelf, margin=0.2)
    assert found["good"].outcome == "may ship"
    assert "dead outputs: shown, as by the reference" in found["good"].unchecked
    put(shelf, BAD, 0.6, 1e8)
    s.talk(shelf, BAD, [[i] * 40 for i in range(30)])
    s.talk(shelf, BASE, [range(i, i + 40) for i in range(30)])
    _, found = decide(shelf, margin=0.2)
    assert found["bad"].outcome == "ruled out"
    assert found["bad"].why.startswith("dead outputs")


def test_a_median_of_few_readings_keeps_no_limit(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8, (0.010, 0.011, 0.012))
    _, found = decide(shelf, tpot_ms=20)
    assert found["base"].outcome == "cannot be said"
    assert "too few readings for an interval" in found["base"].why


def test_other_questions_are_no_comparison(shelf: b.Shelf) -> None:
    put(shelf, BASE, 0.6, 3e8)
    s.choice(shelf, GOOD, s.both(0.6), items=900)
    cell = b.cell(GOOD, b.workload("memory"), suite="memory")
    shelf.load(cell, b.phase("total", b.measurement("peak_memory", 1e8)))
    _, found = decide(shelf)
    assert found["good"].outcome == "cannot be said"
    assert "item_set" in found["good"].why
    collapse = s.finding(shelf.root, "good", "accuracy collapse")
    assert collapse.reason == "no results of base on the same items"
