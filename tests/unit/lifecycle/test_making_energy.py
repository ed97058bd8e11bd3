"""Energy of making: one figure with its provenance, or the reason why there is none."""

from __future__ import annotations

import time

import pytest

from slmbench.lifecycle import energy
from slmbench.lifecycle.energy import EnergyMeter, Metered, energy_of, settled, unknown
from slmbench.made import Energy
from slmbench.records import Measurement, Method, Provenance

MEASURED, UNAVAILABLE = Provenance.MEASURED, Provenance.UNAVAILABLE
SECOND = 10**9


def joules(value: float, scope: str, method: Method = "counter") -> Measurement:
    return Measurement(
        metric="energy_gross", samples=(value,), provenance=MEASURED, method=method, scope=scope
    )


MODEL = Measurement(
    metric="energy_estimate",
    samples=(70.0,),
    provenance=Provenance.ESTIMATED,
    method="modelled",
    scope="whole machine, modelled, cpu by machine load",
    reason="codecarbon model",
)


def test_counters_of_a_processor_are_measured_and_summed() -> None:
    found = energy_of([joules(30.0, "cpu package 0"), joules(5.0, "dram"), MODEL])
    assert (found.joules, found.provenance) == (35.0, MEASURED)
    assert "cpu package 0" in found.scope


def test_a_board_alone_is_not_the_making() -> None:
    found = energy_of([joules(30.0, "gpu0 board"), MODEL])
    assert (found.joules, found.provenance) == (70.0, Provenance.ESTIMATED)
    assert "codecarbon model" in found.scope


def test_nothing_read_is_unavailable_with_the_reason() -> None:
    gone = Measurement(
        metric="energy_gross", samples=(), provenance=UNAVAILABLE, method="counter",
        reason="the counter wrapped",
    )  # fmt: skip
    found = energy_of([gone])
    assert (found.joules, found.provenance, found.scope) == (
        None, UNAVAILABLE, "the counter wrapped",
    )  # fmt: skip


def test_what_the_meters_missed_is_said_or_makes_it_unknown() -> None:
    whole = Energy(joules=50.0, provenance=MEASURED, scope="cpu package 0")
    metered = Metered(energy=whole, began_ns=2 * SECOND, ended_ns=21 * SECOND)
    told = settled(metered, 0, 20 * SECOND)
    assert (told.joules, told.scope) == (50.0, "cpu package 0; without the first 2.0 s")
    short = settled(metered, 0, 5 * SECOND)
    assert short.joules is None
    assert "before the meters were ready" in short.scope
    assert settled(Metered(energy=unknown("x"), began_ns=0, ended_ns=1), 0, 9).scope == "x"


def test_the_meters_run_beside_the_caller_and_end_with_it() -> None:
    with EnergyMeter() as meter:
        time.sleep(0.2)
        begun = time.monotonic()
        found = meter.stop()
        assert time.monotonic() - begun < 5
    assert found.provenance in Provenance
    assert found.joules is None or found.joules > 0
    assert found.scope


def test_meters_that_cannot_be_started_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_MODULE", "no_such_module")
    with EnergyMeter() as meter:
        time.sleep(0.3)
        found = meter.stop()
    assert found.provenance is UNAVAILABLE
    assert "no_such_module" in found.scope or "before the meters" in found.scope
