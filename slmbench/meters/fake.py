"""A meter without a source: deterministic, configurable, for tests and dry runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

from slmbench.meters.absence import no_window
from slmbench.meters.protocol import Availability, Reading
from slmbench.records import Measurement, Method, Provenance


def count_windows(window: int) -> Reading:
    """The default: window 1 used 1 J, window 2 used 2 J and so on."""
    return Reading(
        (
            Measurement(
                metric="energy_gross",
                samples=(float(window),),
                provenance=Provenance.MEASURED,
                method="counter",
                scope="fake source",
            ),
        )
    )


class FakeMeter:
    """Answers the n-th window (from 1) with ``answer(n)`` and keeps a journal of its calls.

    >>> meter = FakeMeter.create("cpu")
    >>> meter.start()
    >>> meter.stop().measurements[0].samples, meter.journal
    ((1.0,), ['start', 'stop'])
    """

    method: ClassVar[Method] = "counter"
    resolution: ClassVar[str] = "1 J, exactly; start and stop cost nothing"
    metrics: ClassVar[tuple[str, ...]] = ("energy_gross",)

    def __init__(self, answer: Callable[[int], Reading] = count_windows) -> None:
        self.journal: list[str] = []
        self._answer = answer
        self._windows = 0
        self._open = False

    @classmethod
    def availability(cls) -> Availability:
        """Always."""
        return Availability(True)

    @classmethod
    def create(cls, device: str) -> Self:
        """The same for every device."""
        del device
        return cls()

    def start(self) -> None:
        """Open the next window."""
        self.journal.append("start")
        self._windows += 1
        self._open = True

    def stop(self) -> Reading:
        """The answer for this window."""
        if not self._open:
            raise no_window("fake")
        self.journal.append("stop")
        self._open = False
        return self._answer(self._windows)
