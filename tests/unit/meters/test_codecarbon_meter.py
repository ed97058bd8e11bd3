"""codecarbon: labelled, explained, and gone without a trace."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from slmbench.meters.carbon import J_PER_KWH, WORLD, Grid
from slmbench.meters.codecarbon import CodecarbonMeter
from slmbench.meters.grades import grade
from slmbench.records import Measurement, Provenance

pytest.importorskip(
    "codecarbon", reason="codecarbon is not installed: pip install slmbench[meters]"
)


@pytest.fixture(scope="module")
def meter() -> CodecarbonMeter:
    """One meter for all tests here: creating it takes a second."""
    return CodecarbonMeter.create("cpu")


def _window(meter: CodecarbonMeter, seconds: float) -> dict[str, Measurement]:
    meter.start()
    time.sleep(seconds)
    return {one.metric: one for one in meter.stop().measurements}


def test_numbers_are_estimates_that_say_what_they_assume(meter: CodecarbonMeter) -> None:
    for one in _window(meter, 0.1).values():
        assert one.provenance is Provenance.ESTIMATED
        assert one.method == "modelled"
        assert "codecarbon" in one.reason
        assert "CPU" in one.reason
        assert any(word in one.reason for word in ("RAPL", "TDP", "mode ")), one.reason
        assert "RAM" in one.reason
        assert one.scope.startswith("whole machine, modelled, cpu ")
        assert grade(one.method, one.scope) in ("D", "E")


def test_the_unit_is_joules_per_window(meter: CodecarbonMeter) -> None:
    """Whatever it assumes, a machine draws between 1 and 10 000 W."""
    for seconds in (0.1, 0.4):
        joules = _window(meter, seconds)["energy_estimate"].samples[0]
        assert 1.0 * seconds < joules < 10_000 * seconds


def test_windows_are_counted_apart(meter: CodecarbonMeter) -> None:
    long = _window(meter, 0.6)["energy_estimate"].samples[0]
    short = _window(meter, 0.1)["energy_estimate"].samples[0]
    assert short < long


def test_carbon_is_energy_times_the_grid_factor_in_grams(meter: CodecarbonMeter) -> None:
    seen = _window(meter, 0.2)
    joules = seen["energy_estimate"].samples[0]
    assert seen["co2e_estimate"].samples[0] == pytest.approx(
        joules / J_PER_KWH * WORLD.g_per_kwh, rel=1e-6
    )
    assert f"{WORLD.g_per_kwh:g} gCO2e/kWh, world 2018" in seen["co2e_estimate"].reason


def test_it_leaves_no_file_no_thread_no_word_and_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("CODECARBON_SAVE_TO_FILE", "true")
    monkeypatch.setenv("CODECARBON_OUTPUT_METHODS", "csv")
    monkeypatch.setenv("CODECARBON_LOG_LEVEL", "debug")
    monkeypatch.setenv("CODECARBON_FORCE_CARBON_INTENSITY_G_CO2E_KWH", "1")
    before = set(threading.enumerate())
    seen = _window(CodecarbonMeter.create("cpu"), 0.1)
    assert seen["co2e_estimate"].samples[0] == pytest.approx(
        seen["energy_estimate"].samples[0] / J_PER_KWH * WORLD.g_per_kwh, rel=1e-6
    )
    assert set(threading.enumerate()) <= before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_failing_set_up_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import codecarbon

    def fail(**_: object) -> None:
        raise RuntimeError("broken install")

    monkeypatch.setattr(codecarbon, "OfflineEmissionsTracker", fail)
    for one in _window(CodecarbonMeter(), 0.0).values():
        assert one.provenance is Provenance.UNAVAILABLE
        assert "broken install" in one.reason


def test_a_grid_of_ones_own_is_used_and_named() -> None:
    own = CodecarbonMeter(Grid("FR", "2023", 56.0, "RTE"))
    seen = _window(own, 0.1)
    joules = seen["energy_estimate"].samples[0]
    assert seen["co2e_estimate"].samples[0] == pytest.approx(joules / J_PER_KWH * 56.0, rel=1e-6)
    assert "FR 2023, RTE" in seen["co2e_estimate"].reason
