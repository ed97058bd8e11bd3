"""NVML against a simulated library: units, counter direction, throttle bits, device choice."""

# ruff: noqa: N802 - the names of the simulated library
from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from slmbench.meters import nvml as nvml_meter
from slmbench.meters.nvml import GpuInfo, NvmlMeter, describe_gpus, throttle_reasons
from slmbench.records import Measurement, Provenance

SECOND_NS = 10**9


class SimulatedError(Exception):
    """Stands for pynvml.NVMLError."""


class SimulatedNvml:
    """As much of pynvml as the meter uses, for two boards whose numbers tests set."""

    NVMLError = SimulatedError

    def __init__(self) -> None:
        self.energy_mj: list[int] | None = [5_000, 12_500]
        self.used = [1_000, 3_000]
        self.bits = [0, 0]
        self.boards = 2
        self.asked: list[object] = []

    def nvmlInit(self) -> None:
        """Nothing to start."""

    def nvmlShutdown(self) -> None:
        """Nothing to end."""

    def nvmlDeviceGetCount(self) -> int:
        return self.boards

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"550.54.15"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"Board {handle}"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self.asked.append(index)
        if index >= self.boards:
            raise SimulatedError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        self.asked.append(uuid)
        return 1

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        del handle
        return SimpleNamespace(used=self.used.pop(0) if self.used else 0, total=80 << 30)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        del handle
        return self.bits.pop(0)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        del handle
        if self.energy_mj is None:
            raise SimulatedError("Not Supported")
        return self.energy_mj.pop(0)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> SimulatedNvml:
    """The simulated library in place of pynvml, and a clock that moves 3 s per reading."""
    simulated = SimulatedNvml()
    monkeypatch.setitem(sys.modules, "pynvml", simulated)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    clock = iter(range(0, 300 * SECOND_NS, 3 * SECOND_NS))
    monkeypatch.setattr(nvml_meter, "perf_counter_ns", lambda: next(clock))
    return simulated


def _window(device: str = "cuda:0") -> dict[str, Measurement]:
    meter = NvmlMeter.create(device)
    meter.start()
    return {one.metric: one for one in meter.stop().measurements}


def test_millijoules_become_joules_and_watts(nvml: SimulatedNvml) -> None:
    seen = _window()
    assert seen["energy_gross"].samples == (7.5,)
    assert seen["energy_gross"].scope == "gpu0 board"
    assert seen["energy_gross"].method == "counter"
    assert seen["gpu_power"].samples == (2.5,)
    assert seen["gpu_power"].provenance is Provenance.DERIVED


def test_memory_is_the_device_in_bytes_at_both_ends(nvml: SimulatedNvml) -> None:
    memory = _window()["gpu_memory"]
    assert memory.samples == (1_000.0, 3_000.0)
    assert "all processes" in memory.scope


@pytest.mark.parametrize(
    ("counter", "words"), [([9_000, 8_000], "went back"), ([9_000, 9_000], "did not move")]
)
def test_a_counter_that_does_not_rise_is_no_energy(
    nvml: SimulatedNvml, counter: list[int], words: str
) -> None:
    nvml.energy_mj = counter
    seen = _window()
    for name in ("energy_gross", "gpu_power"):
        assert seen[name].provenance is Provenance.UNAVAILABLE
        assert words in seen[name].reason
    assert seen["gpu_memory"].samples


def test_a_board_without_counter_still_gives_memory(nvml: SimulatedNvml) -> None:
    nvml.energy_mj = None
    seen = _window()
    assert "no energy counter" in seen["energy_gross"].reason
    assert seen["gpu_memory"].samples == (1_000.0, 3_000.0)


def test_a_short_window_names_its_error(
    nvml: SimulatedNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((0, SECOND_NS // 2))
    monkeypatch.setattr(nvml_meter, "perf_counter_ns", lambda: next(clock))
    assert "40% of error" in _window()["energy_gross"].reason


def test_throttling_at_either_end_is_observed(nvml: SimulatedNvml) -> None:
    nvml.bits = [0x20, 0x04]
    meter = NvmlMeter.create("cuda:0")
    meter.start()
    (seen,) = meter.stop().observations
    assert (seen.kind, seen.value) == ("gpu_throttled", 2)
    assert "software power cap, software thermal slowdown" in seen.message


def test_idle_and_chosen_clocks_are_not_throttling(nvml: SimulatedNvml) -> None:
    nvml.bits = [0x1, 0x2 | 0x100]
    meter = NvmlMeter.create("cuda:0")
    meter.start()
    assert meter.stop().observations == ()


def test_every_bit_is_decoded_as_in_the_library() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    names = {
        "software power cap": pynvml.nvmlClocksEventReasonSwPowerCap,
        "hardware slowdown": pynvml.nvmlClocksEventReasonHwSlowdown,
        "software thermal slowdown": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
        "hardware thermal slowdown": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
        "hardware power brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    }
    assert {name: bit for bit, name in nvml_meter.THROTTLE_REASONS} == names
    assert throttle_reasons(pynvml.nvmlClocksEventReasonAll) == tuple(names)


@pytest.mark.parametrize(
    ("visible", "device", "asked", "scope"),
    [
        (None, "cuda:1", 1, "gpu1 board"),
        ("1,0", "cuda:0", 1, "gpu1 board"),
        ("GPU-abc, 0", "cuda", "GPU-abc", "gpu1 board"),
    ],
)
def test_the_device_counts_within_the_visible_ones(
    nvml: SimulatedNvml,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    device: str,
    asked: object,
    scope: str,
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _window(device)["energy_gross"].scope == scope
    assert nvml.asked == [asked]


def test_a_device_that_is_not_there_is_a_reason(nvml: SimulatedNvml) -> None:
    seen = _window("cuda:7")
    assert {one.provenance for one in seen.values()} == {Provenance.UNAVAILABLE}
    assert "Invalid Argument" in seen["energy_gross"].reason


def test_availability_follows_the_number_of_boards(nvml: SimulatedNvml) -> None:
    assert NvmlMeter.availability().ok
    nvml.boards = 0
    assert NvmlMeter.availability().fix


def test_boards_are_described(nvml: SimulatedNvml) -> None:
    assert describe_gpus() == (
        GpuInfo("Board 0", 80 << 30, "550.54.15"),
        GpuInfo("Board 1", 80 << 30, "550.54.15"),
    )


def test_a_sliced_board_gives_no_energy(nvml: SimulatedNvml) -> None:
    nvml.nvmlDeviceGetMigMode = lambda handle: [1, 1]  # type: ignore[attr-defined]
    seen = _window()
    for name in ("energy_gross", "gpu_power"):
        assert seen[name].provenance is Provenance.UNAVAILABLE
        assert "MIG" in seen[name].reason


def test_slices_that_are_off_change_nothing(nvml: SimulatedNvml) -> None:
    nvml.nvmlDeviceGetMigMode = lambda handle: [0, 1]  # type: ignore[attr-defined]
    assert _window()["energy_gross"].samples == (7.5,)


def test_company_on_the_board_and_impossible_power_are_observed(nvml: SimulatedNvml) -> None:
    nvml.nvmlDeviceGetComputeRunningProcesses = (  # type: ignore[attr-defined]
        lambda handle: ["ours", "theirs"]
    )
    nvml.nvmlDeviceGetEnforcedPowerLimit = lambda handle: 2_000  # type: ignore[attr-defined]
    meter = NvmlMeter.create("cuda:0")
    meter.start()
    shared, power = meter.stop().observations
    assert (shared.kind, shared.value) == ("gpu_shared", 2)
    assert (power.kind, power.value, power.unit) == ("power_over_limit", 2.5, "W")


def test_ours_alone_below_the_limit_is_no_observation(nvml: SimulatedNvml) -> None:
    nvml.nvmlDeviceGetComputeRunningProcesses = (  # type: ignore[attr-defined]
        lambda handle: ["ours"]
    )
    nvml.nvmlDeviceGetEnforcedPowerLimit = lambda handle: 300_000  # type: ignore[attr-defined]
    meter = NvmlMeter.create("cuda:0")
    meter.start()
    assert meter.stop().observations == ()
