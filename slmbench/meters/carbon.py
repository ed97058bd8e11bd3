"""From joules to grams of CO2 equivalents: a factor with its zone, year and source.

The factor is an assumption about the electricity, never something that was measured here, so
grams are estimates and are not ranked. Buildings are left out: PUE is 1.0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from slmbench.errors import UsageError

SETTING = "SLMBENCH_GRID"
"""Environment variable ``zone;year;gCO2e per kWh;source``."""
J_PER_KWH = 3.6e6
PUE = 1.0
"""Power usage effectiveness: what a building draws per watt of its computers."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Carbon intensity of electricity."""

    zone: str
    year: str
    g_per_kwh: float
    """[gCO2e/kWh]."""
    source: str
    assumed: bool = False
    """Nobody chose it: the world's average stands in."""

    def grams(self, joules: float) -> float:
        """CO2 equivalents of that energy [g].

        >>> round(Grid("X", "2024", 360.0, "made up").grams(10_000), 9)
        1.0
        """
        return joules / J_PER_KWH * PUE * self.g_per_kwh

    @property
    def told(self) -> str:
        """Zone, year, factor and source, for people."""
        by = f"assumed: set {SETTING}" if self.assumed else f"given in {SETTING}"
        return (
            f"grid factor {self.g_per_kwh:g} gCO2e/kWh, {self.zone} {self.year}, "
            f"{self.source} ({by}), PUE {PUE:.1f}"
        )


WORLD = Grid(
    "world", "2018", 475.0, "IEA Global Energy & CO2 Status Report (March 2019)", assumed=True
)
"""codecarbon's own default; an average over the world says little about any one place."""


def grid_here(environ: Mapping[str, str] | None = None) -> Grid:
    """The grid that the settings name, else the world's average.

    Raises UsageError for a setting that cannot be read.

    >>> grid_here({SETTING: "FR;2023;56;RTE eCO2mix"}).g_per_kwh
    56.0
    """
    text = (os.environ if environ is None else environ).get(SETTING, "").strip()
    if not text:
        return WORLD
    parts = [part.strip() for part in text.split(";")]
    try:
        zone, year, factor, source = parts
        grid = Grid(zone, year, float(factor), source)
    except ValueError:
        grid = None
    if grid is None or not (grid.zone and grid.year and grid.source and grid.g_per_kwh >= 0):
        raise UsageError(
            f"{SETTING} is {text!r}: not a grid factor",
            hint="write zone;year;gCO2e per kWh;source, for example 'FR;2023;56;RTE eCO2mix'",
        )
    return grid
