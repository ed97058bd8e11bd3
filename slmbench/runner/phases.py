"""A phase with its meters stacked around it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slmbench.meters import METERS, Meter
from slmbench.records import Measurement, Observation, PhaseRecord


def utc_label() -> str:
    """Now, as an ISO 8601 label in UTC; never used for a duration."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(slots=True)
class _Spent:
    """Of this process, like its processor time: how long its meters took [ns]."""

    ns: int = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what the body takes."""
        begin = time.perf_counter_ns()
        try:
            yield
        finally:
            self.ns += time.perf_counter_ns() - begin


_METERS = _Spent()


def meters_seconds() -> float:
    """Time that making, starting and stopping meters took in this process so far [s]."""
    return _METERS.ns * 1e-9


@dataclass(slots=True)
class Phase:
    """What is known of a phase while it runs; ``add`` and ``observe`` are for the workload."""

    name: str
    measurements: list[Measurement] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    record: PhaseRecord | None = None
    """Set when the phase has ended."""

    def add(self, *measurements: Measurement) -> None:
        """Numbers that the workload itself knows (time stamps)."""
        self.measurements.extend(measurements)

    def observe(self, observation: Observation) -> None:
        """Something that makes the phase's numbers doubtful."""
        self.observations.append(observation)

    def finished(self) -> PhaseRecord:
        """The record (after the phase ended)."""
        assert self.record is not None
        return self.record


@dataclass(frozen=True, slots=True)
class Watch:
    """The meters of one worker."""

    meters: tuple[Meter, ...]

    @classmethod
    def of(cls, names: Sequence[str], device: str) -> Watch:
        """Meters by name; one that is not available still reports why."""
        with _METERS.counted():
            return cls(tuple(METERS.load(name).create(device) for name in names))

    @contextmanager
    def phase(self, name: str, *, point: str = "") -> Iterator[Phase]:
        """Start the meters, run the body, stop them in reverse order.

        Measurements that the meters return are given ``point``.
        """
        current = Phase(name)
        started = utc_label()
        with _METERS.counted():
            for meter in self.meters:
                meter.start()
        begin = time.perf_counter_ns()
        try:
            yield current
        finally:
            duration = time.perf_counter_ns() - begin
            with _METERS.counted():
                read = [meter.stop() for meter in reversed(self.meters)]
        for reading in reversed(read):
            current.add(*(_at(m, point) for m in reading.measurements))
            current.observations.extend(reading.observations)
        current.record = PhaseRecord(
            phase=name,
            started_utc=started,
            duration_ns=duration,
            measurements=tuple(current.measurements),
            observations=tuple(current.observations),
        )


def _at(measurement: Measurement, point: str) -> Measurement:
    return measurement.model_copy(update={"point": point}) if point else measurement
