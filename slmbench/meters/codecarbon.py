"""codecarbon's model of energy and carbon: an estimate, labelled as one.

Without RAPL it multiplies wall time by an assumed power (a table's TDP scaled by machine
load, plus a constant for memory), so its energy restates time. Each number therefore names
in ``reason`` what codecarbon assumed. Nothing is read from the network or written: the
offline tracker is used, with every output off and its logger silenced.

Setting up the tracker takes a second or more and imports pandas (tens of MB). It happens in
``create``, outside all windows; don't create this meter in a process whose memory is measured.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import threading
import warnings
from typing import Any, ClassVar, Self

from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.carbon import Grid, grid_here
from slmbench.meters.grades import CONSTANT_MODEL, LOAD_MODEL
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance

J_PER_KWH = 3.6e6
G_PER_KG = 1000.0
COUNTRY = "USA"
"""The offline tracker wants a country; the grid factor above overrides what it implies."""
SECONDS_BETWEEN_READINGS = 1.0
_JOIN_S = 1.0


class CodecarbonMeter:
    """Energy [J] and CO2 equivalents [g] per window, both modelled.

    ``grid`` is the carbon intensity of the electricity; without one that of the settings
    (:func:`slmbench.meters.carbon.grid_here`). While a window is open, one thread wakes once a
    second to look at the machine's load. The scope says what the processor's share rests on.
    """

    method: ClassVar[Method] = "modelled"
    resolution: ClassVar[str] = (
        "a model of time and load, not a measurement: no resolution in watts; "
        "create 1 to 2 s, start and stop about 1 ms"
    )
    metrics: ClassVar[tuple[str, ...]] = ("energy_estimate", "co2e_estimate")

    def __init__(self, grid: Grid | None = None) -> None:
        self._grid = grid or grid_here()
        self._windows = 0
        self._open = False
        self._tracker: Any = None
        self._why = self.availability().reason
        if not self._why:
            self._why = self._set_up()

    @classmethod
    def availability(cls) -> Availability:
        """Whether codecarbon can be imported; never raises."""
        try:
            _load()
        except Exception as error:  # noqa: BLE001 - a broken install must not end a run
            return Availability(
                False, f"codecarbon cannot be imported: {error}", "pip install 'slmbench[meters]'"
            )
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """The device does not matter: codecarbon models the whole machine."""
        del device
        return cls()

    def start(self) -> None:
        """Open a task of the tracker; its first reading comes at stop."""
        self._open = True
        self._windows += 1
        if self._tracker is not None:
            self._tracker.start_task(self._task())

    def stop(self) -> Reading:
        """Close the task and every thread that codecarbon left."""
        if not self._open:
            raise no_window("codecarbon")
        self._open = False
        if self._tracker is None:
            return Reading(unavailable(self.metrics, self.method, self._why))
        data = self._tracker.stop_task(self._task())
        _end_timers()
        if data is None or not data.energy_consumed > 0:
            why = "codecarbon returned no energy for this window"
            return Reading(unavailable(self.metrics, self.method, why))
        reason, scope = _assumptions(self._tracker, data), _scope(self._tracker)
        grid = f"{self._grid.told}; {reason}"
        return Reading(
            (
                _estimate("energy_estimate", data.energy_consumed * J_PER_KWH, scope, reason),
                _estimate("co2e_estimate", data.emissions * G_PER_KG, scope, grid),
            )
        )

    def _task(self) -> str:
        return f"window {self._windows}"

    def _set_up(self) -> str:
        """Make the tracker and open one window for nothing: the first one loads tables."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tracker = _make_tracker(self._grid.g_per_kwh)
                tracker.start_task("set-up")
                tracker.stop_task("set-up")
        except Exception as error:  # noqa: BLE001 - an estimate must not end a run
            return f"codecarbon failed to set up: {type(error).__name__}: {error}"
        finally:
            _end_timers()
        self._tracker = tracker
        return ""


def _load() -> Any:
    logging.getLogger("codecarbon").disabled = True
    return importlib.import_module("codecarbon")


def _make_tracker(grid: float) -> Any:
    """A tracker that takes nothing from config files or the environment.

    codecarbon 3.2 has no ``output_methods`` and later versions warn about its predecessors,
    so each gets the one that it knows.
    """
    package = _load()
    base = inspect.signature(package.EmissionsTracker.__init__).parameters
    quiet: dict[str, object] = (
        {"output_methods": []}
        if "output_methods" in base
        else {"save_to_file": False, "save_to_api": False, "save_to_logger": False}
    )
    explicit: dict[str, object] = {
        "project_name": "slmbench",
        "country_iso_code": COUNTRY,
        "region": None,
        "cloud_provider": None,
        "cloud_region": None,
        "country_2letter_iso_code": None,
        "measure_power_secs": SECONDS_BETWEEN_READINGS,
        "tracking_mode": "machine",
        "log_level": "critical",
        "allow_multiple_runs": True,
        "output_dir": ".",
        "output_handlers": [],
        "emissions_endpoint": None,
        "api_call_interval": -1,
        "experiment_id": "slmbench",
        "experiment_name": "slmbench",
        "electricitymaps_api_token": "",
        "gpu_ids": None,
        "force_cpu_power": None,
        "force_ram_power": None,
        "force_mode_cpu_load": False,
        "force_carbon_intensity_g_co2e_kwh": grid,
        "rapl_include_dram": False,
        "rapl_prefer_psys": False,
        "pue": 1.0,
        "wue": 0.0,
        **quiet,
    }
    known = {name: value for name, value in explicit.items() if _takes(base, name)}
    return package.OfflineEmissionsTracker(**known)


_OFFLINE = ("country_iso_code", "region", "cloud_provider", "cloud_region",
            "country_2letter_iso_code")  # fmt: skip


def _takes(base: Any, name: str) -> bool:
    return name in base or name in _OFFLINE


def _end_timers() -> None:
    """End codecarbon's timer threads: cancelling one that just fires leaves a new one behind."""
    for _ in range(3):
        timers = [
            thread
            for thread in threading.enumerate()
            if isinstance(thread, threading.Timer)
            and getattr(thread.function, "__module__", "") == "codecarbon.external.scheduler"
        ]
        if not timers:
            return
        for timer in timers:
            timer.cancel()
            timer.join(_JOIN_S)


def _assumptions(tracker: Any, data: Any) -> str:
    """What the number rests on, read from the tracker's own hardware list."""
    seconds = max(float(data.duration), 1e-9)
    cpu, ram, gpu = (
        float(kwh) * J_PER_KWH / seconds
        for kwh in (data.cpu_energy, data.ram_energy, data.gpu_energy)
    )
    gpus = f"GPUs {gpu:.1f} W" if gpu else "no GPU"
    return (
        f"codecarbon {data.codecarbon_version} model: CPU {cpu:.1f} W ({_cpu_mode(tracker)}), "
        f"RAM {ram:.1f} W (constant by memory size), {gpus}, as means over the window"
    )


def _scope(tracker: Any) -> str:
    """The whole machine, and whether the processor's share follows the load or is a constant."""
    modes = [getattr(part, "_mode", None) for part in getattr(tracker, "_hardware", ())]
    follows = any(mode in ("intel_rapl", "cpu_load") for mode in modes)
    return f"whole machine, modelled, {LOAD_MODEL if follows else CONSTANT_MODEL}"


def _cpu_mode(tracker: Any) -> str:
    for part in getattr(tracker, "_hardware", ()):
        mode = getattr(part, "_mode", None)
        if mode is None:
            continue
        tdp = getattr(part, "_tdp", None)
        table = "assumed" if getattr(part, "_is_generic_tdp", False) else "from its table"
        return {
            "intel_rapl": "from RAPL",
            "cpu_load": f"machine load scaling a TDP of {tdp} W {table}",
            "constant": f"constant: half a TDP of {tdp} W {table}",
        }.get(mode, f"mode {mode}")
    return "mode unknown"


def _estimate(name: str, value: float, scope: str, reason: str) -> Measurement:
    return Measurement(
        metric=name,
        samples=(float(value),),
        provenance=Provenance.ESTIMATED,
        method="modelled",
        scope=scope,
        reason=reason,
    )
