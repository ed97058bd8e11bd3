"""What every meter keeps, whether its source is there or not."""

from __future__ import annotations

import importlib
import threading

import pytest

from slmbench.errors import SlmbenchError
from slmbench.meters import METERS, Availability, Meter, Reading
from slmbench.metrics import METRICS
from slmbench.records import Provenance

NAMES = METERS.names()


@pytest.fixture(scope="module")
def made() -> dict[str, Meter]:
    """One meter of each kind for the CPU; created once because codecarbon takes a second."""
    return {name: METERS.load(name).create("cpu") for name in NAMES}


def _window(meter: Meter) -> Reading:
    meter.start()
    return meter.stop()


@pytest.mark.parametrize("name", NAMES)
def test_availability_is_ok_or_gives_reason_and_fix(name: str) -> None:
    state = METERS.load(name).availability()
    assert isinstance(state, Availability)
    assert state.ok or (state.reason and state.fix)


@pytest.mark.parametrize("name", NAMES)
def test_declares_method_resolution_and_known_metrics(name: str) -> None:
    kind = METERS.load(name)
    assert kind.method in ("counter", "sampled", "modelled", "derived")
    assert len(kind.resolution) > 10
    assert set(kind.metrics) <= set(METRICS)


@pytest.mark.parametrize("name", NAMES)
def test_every_window_reports_every_metric(name: str, made: dict[str, Meter]) -> None:
    for _ in range(2):
        reading = _window(made[name])
        assert {one.metric for one in reading.measurements} == set(METERS.load(name).metrics)


@pytest.mark.parametrize("name", NAMES)
def test_unavailable_numbers_have_reasons_and_no_samples(name: str, made: dict[str, Meter]) -> None:
    kind, reading = METERS.load(name), _window(made[name])
    if not kind.availability().ok:
        assert all(one.provenance is Provenance.UNAVAILABLE for one in reading.measurements)
    for one in reading.measurements:
        if one.provenance is Provenance.UNAVAILABLE:
            assert one.reason
            assert one.samples == ()
        else:
            assert one.scope, "a number says what it covers"
            assert all(sample >= 0 for sample in one.samples)


@pytest.mark.parametrize("name", NAMES)
def test_stop_without_start_is_an_error(name: str, made: dict[str, Meter]) -> None:
    _window(made[name])
    with pytest.raises(SlmbenchError, match="no window is open"):
        made[name].stop()


@pytest.mark.parametrize("name", NAMES)
def test_second_start_begins_a_new_window(name: str, made: dict[str, Meter]) -> None:
    made[name].start()
    reading = _window(made[name])
    assert {one.metric for one in reading.measurements} == set(METERS.load(name).metrics)


@pytest.mark.parametrize("name", NAMES)
def test_windows_leave_no_threads(name: str, made: dict[str, Meter]) -> None:
    before = set(threading.enumerate())
    _window(made[name])
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("name", ["cuda", "nvml"])
@pytest.mark.parametrize("device", ["cpu", "cuda:0", "cuda", "mps"])
def test_any_device_can_be_named(name: str, device: str) -> None:
    reading = _window(METERS.load(name).create(device))
    assert {one.metric for one in reading.measurements} == set(METERS.load(name).metrics)


@pytest.mark.parametrize(("name", "module"), [("codecarbon", "codecarbon"), ("nvml", "pynvml")])
def test_a_package_that_is_missing_is_a_reason(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def refuse(wanted: str, package: str | None = None) -> object:
        if wanted == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(wanted, package)

    kind = METERS.load(name)
    monkeypatch.setattr(importlib, "import_module", refuse)
    state = kind.availability()
    assert not state.ok
    assert "pip install" in state.fix
    reading = _window(kind.create("cuda:0"))
    assert {one.provenance for one in reading.measurements} == {Provenance.UNAVAILABLE}
