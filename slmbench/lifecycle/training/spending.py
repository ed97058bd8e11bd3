"""A cap on the energy that training may spend.

Counters (wall, RAPL, NVML) are added up as the energy suite does; without one codecarbon's model
is taken, and what is said of it says that it is an estimate. The source is read every few seconds
between steps; training ends cleanly when the cap is reached, and the record says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from slmbench.errors import PrerequisiteError
from slmbench.lifecycle.training.loop import Hook
from slmbench.meters import METERS, Meter
from slmbench.meters.totals import total_energy
from slmbench.records import Provenance
from slmbench.spec.recipes.training import Caps

READ_EVERY_S = 5.0
"""Longer than counters need, short beside a recipe."""
_COUNTERS = ("wall", "rapl", "nvml")
_MODEL = "codecarbon"


class EnergyCap(Hook):
    """Adds up what is spent from its making on, and ends the training at the limit [J]."""

    def __init__(self, limit_j: float, meters: tuple[Meter, ...], *, measured: bool) -> None:
        self._limit, self._meters, self._measured = limit_j, meters, measured
        self._spent, self._next = 0.0, time.monotonic() + READ_EVERY_S
        for meter in meters:
            meter.start()

    @classmethod
    def of(cls, caps: Caps, device: str = "cpu") -> EnergyCap | None:
        """A cap that runs from now on; None where the recipe sets none.

        Raises PrerequisiteError where this machine can neither count nor estimate energy.
        """
        if caps.energy_j is None:
            return None
        counting = tuple(
            meter
            for name in _COUNTERS
            if METERS.load(name).availability().ok
            and _counts(meter := METERS.load(name).create(device))
        )
        if counting:
            return cls(caps.energy_j, counting, measured=True)
        if METERS.load(_MODEL).availability().ok:
            return cls(caps.energy_j, (METERS.load(_MODEL).create(device),), measured=False)
        raise PrerequisiteError(
            "caps.energy_j is set, but this machine has no energy counter and no estimate",
            hint="pip install 'slmbench[meters]' for an estimate, or take the cap out",
        )

    def after_step(self, step: int) -> str:
        """Why training has to end, or nothing; looks at the source every few seconds only."""
        if time.monotonic() < self._next:
            return ""
        self._spent += self._window()
        self._next = time.monotonic() + READ_EVERY_S
        if self._spent < self._limit:
            return ""
        kind = "measured" if self._measured else "estimated"
        return f"energy cap of {self._limit:g} J reached: {self._spent:.0f} J {kind}"

    def state(self) -> Mapping[str, torch.Tensor]:
        """Joules spent so far."""
        return {"joules": torch.tensor(self._spent, dtype=torch.float64)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Count on from there."""
        self._spent += float(state["joules"])

    def _window(self) -> float:
        """Joules since the last look; a new window begins."""
        found = [m for meter in self._meters for m in meter.stop().measurements]
        for meter in self._meters:
            meter.start()
        if self._measured:
            total = total_energy(found)
            return 0.0 if total is None else total.joules
        return sum(
            sum(m.samples)
            for m in found
            if m.metric == "energy_estimate" and m.provenance is not Provenance.UNAVAILABLE
        )


def _counts(meter: Meter) -> bool:
    """Whether the source gives energy here: some are there and cannot be read."""
    meter.start()
    time.sleep(0.2)
    return total_energy(meter.stop().measurements) is not None
