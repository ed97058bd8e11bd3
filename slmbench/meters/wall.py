"""A wall meter: watts of the whole machine, from a file that grows or from an HTTP endpoint.

``SLMBENCH_WALL_METER`` names the source:

- ``csv:/path/to/file``: lines ``timestamp,watts`` that another program appends; the timestamp is
  ISO 8601 (UTC unless it says otherwise) or unix seconds, by the clock of this machine. A head line
  is skipped, and so is a last line that is not finished.
- ``http://…`` or ``https://…``: answers with a number, or with JSON that holds ``watts`` or
  ``power``. It is asked once a second while a window is open.

Power is integrated by the trapezoid rule over the window, its edges by linear interpolation. Where
samples are missing the energy is unavailable: nothing is filled in.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Protocol, Self

from slmbench.errors import UsageError
from slmbench.meters.absence import no_window, unavailable
from slmbench.meters.grades import WALL
from slmbench.meters.protocol import Availability, Reading
from slmbench.meters.wall_sources import CsvSource, HttpSource, Sample, unix_now
from slmbench.records import Measurement, Method, Provenance

SETTING = "SLMBENCH_WALL_METER"
FIX = f"set {SETTING}=csv:/path/to/watts.csv or {SETTING}=http://host/path"
SCOPE = f"{WALL}, whole machine"
GAP_FACTOR = 3.0
"""A gap of more than so many usual periods means that samples are missing."""
GAP_LEAST_S = 0.5
SHORT_PERIODS = 20
"""A window of fewer periods errs by more than a few per cent at its edges."""


class Source(Protocol):
    """Where samples come from. Times are unix seconds."""

    period_s: float | None
    """Time between samples [s]; None: as the samples say."""

    def open(self) -> None:
        """A window begins."""

    def close(self, begin: float, end: float) -> Sequence[Sample]:
        """Samples around [begin, end], in order of time; OSError or ValueError with the cause."""

    def probe(self) -> str:
        """Why it cannot be read now; empty when it can."""


@dataclass(frozen=True, slots=True)
class Integral:
    """Energy of a window, or why there is none."""

    joules: float | None
    reason: str = ""


class WallMeter:
    """Energy [J] of the whole machine between start and stop, from samples of power."""

    method: ClassVar[Method] = "sampled"
    resolution: ClassVar[str] = (
        "as the meter samples, usually once a second: windows of 20 samples and more; "
        "stop waits for the sample after the window"
    )
    metrics: ClassVar[tuple[str, ...]] = ("energy_gross",)

    def __init__(self, source: Source | None, why: str = "") -> None:
        self._source, self._why = source, why
        self._begun: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Whether a wall meter is named in the settings and can be read now; never raises."""
        try:
            source = source_of(os.environ)
        except UsageError as error:
            return Availability(False, error.message, FIX)
        if source is None:
            return Availability(False, f"no wall meter is set up ({SETTING} is not set)", FIX)
        why = source.probe()
        return Availability(False, why, "start the program that logs the meter") if why else (
            Availability(True)
        )  # fmt: skip

    @classmethod
    def create(cls, device: str) -> Self:
        """The device does not matter: the plug feeds the whole machine."""
        del device
        state = cls.availability()
        return cls(source_of(os.environ)) if state.ok else cls(None, state.reason)

    def start(self) -> None:
        """Note the time; an endpoint is asked for its first sample."""
        if self._source is not None:
            self._source.open()
        self._begun = unix_now()

    def stop(self) -> Reading:
        """Integrate what was sampled since the start."""
        begun, self._begun = self._begun, None
        if begun is None:
            raise no_window("wall")
        if self._source is None:
            return Reading(unavailable(self.metrics, self.method, self._why, SCOPE))
        end = unix_now()
        try:
            samples = self._source.close(begun, end)
        except (OSError, ValueError) as error:
            why = f"the wall meter could not be read: {error}"
            return Reading(unavailable(self.metrics, self.method, why, SCOPE))
        found = integrate(samples, begun, end, self._source.period_s)
        if found.joules is None:
            return Reading(unavailable(self.metrics, self.method, found.reason, SCOPE))
        return Reading(
            (
                Measurement(
                    metric="energy_gross",
                    samples=(found.joules,),
                    provenance=Provenance.MEASURED,
                    method=self.method,
                    scope=SCOPE,
                    reason=found.reason,
                ),
            )
        )


def configured(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the settings name a wall meter (it may still be unreadable)."""
    return bool((os.environ if environ is None else environ).get(SETTING, "").strip())


def source_of(environ: Mapping[str, str]) -> Source | None:
    """The source that the settings name; None without one, UsageError for another form."""
    text = environ.get(SETTING, "").strip()
    if not text:
        return None
    if text.startswith("csv:") and len(text) > len("csv:"):
        return CsvSource(Path(text.removeprefix("csv:")))
    if text.startswith(("http://", "https://")):
        return HttpSource(text)
    raise UsageError(f"{SETTING} is {text!r}: neither csv:PATH nor an http(s) address", hint=FIX)


def integrate(
    samples: Sequence[Sample], begin: float, end: float, period_s: float | None = None
) -> Integral:
    """Trapezoid rule over [begin, end] [J]; samples are ordered by time (unix seconds).

    There must be a sample at or before the beginning, one at or after the end, and no gap longer
    than three usual periods in between; ``period_s`` is the usual one, else the median gap.

    >>> integrate([Sample(0, 40), Sample(1, 42), Sample(2, 44)], 0.0, 2.0).joules
    84.0
    >>> integrate([Sample(0, 40), Sample(1, 42)], 0.0, 2.0).joules is None
    True
    """
    around = _around(samples, begin, end)
    if len(around) < 2 or around[0].at > begin or around[-1].at < end:
        return Integral(None, _uncovered(samples, begin, end))
    gaps = [right.at - left.at for left, right in pairwise(around)]
    usual = period_s or statistics.median(gaps)
    worst = max(gaps)
    if worst > max(GAP_FACTOR * usual, GAP_LEAST_S):
        why = f"the wall meter has no sample for {worst:.1f} s, usually one in {usual:.1f} s"
        return Integral(None, f"{why}: samples are missing in the window")
    joules = 0.0
    for left, right in pairwise(around):
        first, last = max(left.at, begin), min(right.at, end)
        if last > first:
            watts = (_between(left, right, first) + _between(left, right, last)) / 2
            joules += watts * (last - first)
    periods = (end - begin) / usual if usual > 0 else 0.0
    if periods >= SHORT_PERIODS:
        return Integral(joules)
    note = f"the window is {periods:.1f} sampling periods long: its edges weigh in"
    return Integral(joules, note)


def _around(samples: Sequence[Sample], begin: float, end: float) -> list[Sample]:
    """The samples inside, with the last one before and the first one after."""
    before = [s for s in samples if s.at <= begin][-1:]
    inside = [s for s in samples if begin < s.at < end]
    after = [s for s in samples if s.at >= end][:1]
    return [*before, *inside, *after]


def _between(left: Sample, right: Sample, at: float) -> float:
    """Power at a time between two samples [W]."""
    share = (at - left.at) / (right.at - left.at)
    return left.watts + share * (right.watts - left.watts)


def _uncovered(samples: Sequence[Sample], begin: float, end: float) -> str:
    if not samples:
        return "the wall meter gave no sample near the window"
    if samples[0].at > begin:
        late = samples[0].at - begin
        return f"the wall meter's first sample came {late:.1f} s after the window began"
    early = end - samples[-1].at
    return f"the wall meter's last sample came {early:.1f} s before the window's end"
