"""The protocol of meters: start, stop, and what was read in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from slmbench.records import Measurement, Method, Observation


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a meter works here; if not, why and how to change that."""

    ok: bool
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter saw between start and stop."""

    measurements: tuple[Measurement, ...] = ()
    observations: tuple[Observation, ...] = ()


class Meter(Protocol):
    """Watches one source for the length of a phase."""

    method: ClassVar[Method]
    resolution: ClassVar[str]
    """Smallest difference that the source can show, and what start and stop cost, for people."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of the metrics that every reading holds, measured or unavailable with a reason."""

    @classmethod
    def availability(cls) -> Availability:
        """Whether the source can be read here; never raises."""

    @classmethod
    def create(cls, device: str) -> Self:
        """A meter for this device (``cpu``, ``cuda:0``); never raises for a missing source."""

    def start(self) -> None:
        """Called as the last thing before the phase."""

    def stop(self) -> Reading:
        """Called as the first thing after it; a second start begins a new window.

        Raises SlmbenchError when no window is open.
        """
