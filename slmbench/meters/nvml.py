"""NVIDIA's management library: energy counter, memory in use and throttling of one GPU.

All numbers are of the whole board, whoever uses it: other processes on it are observed, and a
board that is cut into slices (MIG) gives no energy, because the others' share is in it too. The
energy counter (nvmlDeviceGetTotalEnergyConsumption, Volta and later) is used and never an
integral of power readings. Package ``nvidia-ml-py``, imported as ``pynvml``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.power_limit import over_limit
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Observation, Provenance

THROTTLE_REASONS: tuple[tuple[int, str], ...] = (
    (0x04, "software power cap"),
    (0x08, "hardware slowdown"),
    (0x20, "software thermal slowdown"),
    (0x40, "hardware thermal slowdown"),
    (0x80, "hardware power brake"),
)
"""Bits of nvmlClocksEventReason* that slow a GPU down against the user's will (nvml.h).

Idle (0x01), chosen clocks (0x02), sync boost (0x10) and display clocks (0x100) are left out.
"""
COUNTER_STEP_S = 0.1
"""The counter moves about ten times a second, so both edges together err by two steps."""
SHORT_WINDOW_S = 2.0
"""Below it, two steps are more than 10 % of the window."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A board as NVML names it."""

    name: str
    memory_bytes: int
    driver: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    at_ns: int
    energy_mj: int | None
    memory_bytes: int | None
    reasons: int
    processes: int


class NvmlMeter:
    """Energy [J], mean power [W] and memory in use [bytes] of the GPU behind ``cuda:N``."""

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = (
        "1 mJ, updated about every 0.1 s: up to 0.2 s of error per window; "
        "throttling is looked at when the window opens and closes; start and stop about 1 ms"
    )
    metrics: ClassVar[tuple[str, ...]] = ("energy_gross", "gpu_power", "gpu_memory")

    def __init__(self, device: str) -> None:
        self._begun: _Snapshot | None = None
        self._open = False
        self._why = ""
        self._nvml: Any = None
        self._handle: Any = None
        self._name = "gpu"
        self._sliced = False
        self._limit_w: float | None = None
        try:
            self._connect(device)
        except Exception as error:  # noqa: BLE001 - pynvml raises classes made at run time
            self._why = _explain(error)

    @classmethod
    def availability(cls) -> Availability:
        """Whether the package, the driver and at least one GPU are there; never raises."""
        try:
            nvml = _load()
            nvml.nvmlInit()
            try:
                count = int(nvml.nvmlDeviceGetCount())
            finally:
                nvml.nvmlShutdown()
        except ImportError as error:
            return Availability(False, _explain(error), "pip install nvidia-ml-py")
        except Exception as error:  # noqa: BLE001 - must never raise
            return Availability(
                False, _explain(error), "install NVIDIA's driver, then check nvidia-smi"
            )
        if count == 0:
            return Availability(False, "NVML finds no GPU", "run on a machine with an NVIDIA GPU")
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """A meter for ``cuda`` or ``cuda:N``; another device reads as unavailable."""
        return cls(device)

    def start(self) -> None:
        """Read everything once, the energy counter last."""
        self._open = True
        self._begun = self._look() if self._handle is not None else None

    def stop(self) -> Reading:
        """Read again, and compare."""
        if not self._open:
            raise no_window("nvml")
        self._open = False
        if self._begun is None:
            return Reading(unavailable(self.metrics, self.method, self._why))
        before, after = self._begun, self._look()
        return Reading(
            (*self._energy(before, after), *self._memory(before, after)),
            self._observed(before, after),
        )

    def _connect(self, device: str) -> None:
        kind, _, index = device.partition(":")
        if kind != "cuda":
            self._why = f"the device is {device}, not cuda"
            return
        self._nvml = _load()
        self._nvml.nvmlInit()
        self._handle = _handle(self._nvml, int(index or 0), os.environ)
        self._name = f"gpu{self._nvml.nvmlDeviceGetIndex(self._handle)}"
        self._sliced = bool(self._optional("nvmlDeviceGetMigMode", lambda modes: modes[0]))
        limit = self._optional("nvmlDeviceGetEnforcedPowerLimit", int)
        self._limit_w = limit / 1000 if limit else None

    def _look(self) -> _Snapshot:
        nvml = self._nvml
        reasons = getattr(
            nvml,
            "nvmlDeviceGetCurrentClocksEventReasons",
            getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None),
        )
        memory = self._ask(lambda handle: nvml.nvmlDeviceGetMemoryInfo(handle).used)
        bits = self._ask(reasons) if reasons else None
        others = self._optional("nvmlDeviceGetComputeRunningProcesses", len)
        energy = self._ask(nvml.nvmlDeviceGetTotalEnergyConsumption)
        return _Snapshot(perf_counter_ns(), energy, memory, bits or 0, others or 0)

    def _optional(self, name: str, of: Callable[[Any], int]) -> int | None:
        """``of`` what a function says that older drivers or boards lack; None where they do."""
        function = getattr(self._nvml, name, None)
        return None if function is None else self._ask(lambda handle: of(function(handle)))

    def _ask(self, question: Callable[[Any], Any]) -> int | None:
        """An answer, or None for what this board does not support."""
        try:
            return int(question(self._handle))
        except self._nvml.NVMLError:
            return None

    def _energy(self, before: _Snapshot, after: _Snapshot) -> tuple[Measurement, ...]:
        scope = f"{self._name} board"
        names = ("energy_gross", "gpu_power")
        if self._sliced:
            why = "the board is cut into slices (MIG): its counter holds those of others too"
            return unavailable(names, self.method, why, scope)
        if before.energy_mj is None or after.energy_mj is None:
            why = "this GPU has no energy counter (before Volta, or a MIG slice)"
            return unavailable(names, self.method, why, scope)
        millijoules = after.energy_mj - before.energy_mj
        seconds = (after.at_ns - before.at_ns) / 1e9
        if millijoules < 0:
            why = "the energy counter went back (driver restarted?)"
            return unavailable(names, self.method, why, scope)
        if millijoules == 0:
            why = f"the energy counter did not move in a window of {seconds:.3f} s"
            return unavailable(names, self.method, why, scope)
        joules = millijoules / 1000
        note = _edge_error(seconds)
        return (
            Measurement(
                metric="energy_gross",
                samples=(joules,),
                provenance=Provenance.MEASURED,
                method=self.method,
                scope=scope,
                reason=note,
            ),
            Measurement(
                metric="gpu_power",
                samples=(joules / seconds,),
                provenance=Provenance.DERIVED,
                method="derived",
                scope=scope,
                reason=note,
            ),
        )

    def _memory(self, before: _Snapshot, after: _Snapshot) -> tuple[Measurement, ...]:
        scope = f"{self._name}, all processes, at both ends of the phase"
        samples = tuple(
            float(look.memory_bytes) for look in (before, after) if look.memory_bytes is not None
        )
        if not samples:
            why = "NVML gives no memory figure here"
            return unavailable(["gpu_memory"], "sampled", why, scope)
        return (
            Measurement(
                metric="gpu_memory",
                samples=samples,
                provenance=Provenance.MEASURED,
                method="sampled",
                scope=scope,
            ),
        )

    def _observed(self, before: _Snapshot, after: _Snapshot) -> tuple[Observation, ...]:
        seen: list[Observation | None] = [
            self._shared(before, after),
            self._too_much(before, after),
        ]
        reasons = throttle_reasons(before.reasons | after.reasons)
        if reasons:
            text = f"{self._name} was slowed down by: {', '.join(reasons)}; times are too long"
            count = len(reasons)
            seen.insert(
                0, Observation(kind="gpu_throttled", value=count, unit="reasons", message=text)
            )
        return tuple(one for one in seen if one is not None)

    def _shared(self, before: _Snapshot, after: _Snapshot) -> Observation | None:
        """More than one process on the board: its energy and memory are not ours alone."""
        count = max(before.processes, after.processes)
        if count <= 1:
            return None
        text = (
            f"{count} processes computed on {self._name}: its energy and times are not ours alone"
        )
        return Observation(kind="gpu_shared", value=count, unit="processes", message=text)

    def _too_much(self, before: _Snapshot, after: _Snapshot) -> Observation | None:
        if before.energy_mj is None or after.energy_mj is None or self._sliced:
            return None
        joules, seconds = (after.energy_mj - before.energy_mj) / 1000, after.at_ns - before.at_ns
        return over_limit(f"{self._name} board", joules, seconds / 1e9, self._limit_w)


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """Names of the throttle bits that are set.

    >>> throttle_reasons(0x1 | 0x4 | 0x40)
    ('software power cap', 'hardware thermal slowdown')
    """
    return tuple(name for bit, name in THROTTLE_REASONS if bits & bit)


def _edge_error(seconds: float) -> str:
    """A note for windows that are short against the counter's step."""
    if seconds >= SHORT_WINDOW_S:
        return ""
    share = min(1.0, 2 * COUNTER_STEP_S / seconds)
    return (
        f"the window of {seconds:.2f} s is short for a counter that moves about every "
        f"{COUNTER_STEP_S} s: up to {share:.0%} of error"
    )


def describe_gpus() -> tuple[GpuInfo, ...]:
    """Every GPU that NVML shows, in its order; empty without package, driver or GPU."""
    try:
        nvml = _load()
        nvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no GPU is an ordinary answer
        return ()
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
        ]
        return tuple(
            GpuInfo(
                _text(nvml.nvmlDeviceGetName(handle)),
                int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
                driver,
            )
            for handle in handles
        )
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def _load() -> Any:
    return importlib.import_module("pynvml")


def _handle(nvml: Any, index: int, environ: Mapping[str, str]) -> Any:
    """The board behind ``cuda:index``, which counts within CUDA_VISIBLE_DEVICES."""
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [part.strip() for part in visible.split(",") if part.strip()]
    name = names[index] if index < len(names) else str(index)
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def _explain(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "the package nvidia-ml-py is not installed"
    return f"NVML: {error}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
