"""What making a variant takes in energy: meters beside the maker, in a process of their own.

They would cost the maker memory and time (a model of energy imports a hundred MB), and its peak
memory is a figure too. Counters of processors are taken where they can be read, with the boards of
GPUs beside them; else codecarbon's model, as an estimate; else nothing, with the reason.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from slmbench.made import Energy
from slmbench.meters import METERS, Meter
from slmbench.meters.totals import total_energy
from slmbench.process import Child, enter_child
from slmbench.records import Measurement, Provenance
from slmbench.spec import Frozen

_CHUNK_S = 120.0
"""Windows are closed and opened again so often: a counter may wrap once in each."""
_READY_S = 0.05
"""Meters that have not said by then that they are ready missed everything."""
_WAIT_S = 20.0
_LATE = 0.2
"""Share of the making that may pass before the meters are ready."""
_PROCESSORS = ("cpu ", "platform", "wall")
"""Beginnings of scopes that hold the work of a processor."""
_MODULE = "slmbench.lifecycle.energy"


class Metered(Frozen):
    """What the meters saw, and when they began and ended (``perf_counter_ns``)."""

    energy: Energy
    began_ns: int
    ended_ns: int


class EnergyMeter:
    """Meters in a child process from here to :meth:`stop`; the caller does not wait for them.

    >>> with EnergyMeter() as meter:      # doctest: +SKIP
    ...     work()
    ...     energy = meter.stop()
    """

    def __init__(self) -> None:
        self._started_ns = time.perf_counter_ns()
        self._child: Child | None = None
        self._why = ""
        try:
            self._child = Child(_MODULE)
        except OSError as error:
            self._why = f"the meters cannot be started: {error.strerror}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.__exit__(kind, error, trace)

    def stop(self) -> Energy:
        """The energy since the start, or why it is not known; never raises for a meter."""
        ended_ns = time.perf_counter_ns()
        if self._child is None:
            return unknown(self._why)
        until = time.monotonic() + _READY_S
        lines = self._child.lines(lambda: until)
        if next(lines, None) is None:
            ending = self._child.finish()
            if not ending.timed_out and ending.stderr_tail:
                return unknown(f"the meters failed: {ending.stderr_tail[-1]}")
            return unknown("over before the meters were ready")
        self._child.tell("stop")
        until = time.monotonic() + _WAIT_S
        read = next(lines, None)
        if read is None:
            return unknown("the meters gave no answer")
        return settled(Metered.model_validate_json(read), self._started_ns, ended_ns)


def settled(metered: Metered, started_ns: int, ended_ns: int) -> Energy:
    """The reading as the energy of the making: unknown when the meters missed too much of it."""
    energy = metered.energy
    if energy.joules is None:
        return energy
    missed = max(0, metered.began_ns - started_ns)
    if missed > _LATE * (ended_ns - started_ns):
        return unknown(f"over before the meters were ready, which took {missed / 1e9:.1f} s")
    return energy.model_copy(
        update={"scope": f"{energy.scope}; without the first {missed / 1e9:.1f} s"}
    )


def unknown(why: str) -> Energy:
    """No figure, and the reason."""
    return Energy(joules=None, provenance=Provenance.UNAVAILABLE, scope=why)


def main() -> int:
    """Meter until a line comes on stdin, or its end."""
    pipe = enter_child(sys.argv)
    meters, missing = _meters()
    pipe.write("ready\n")
    began_ns = time.perf_counter_ns()
    parts = [_window(meters, sys.stdin)]
    while parts[-1].going_on:
        parts.append(_window(meters, sys.stdin))
    ended_ns = time.perf_counter_ns()
    energy = unknown("; ".join(missing) or "no meter") if not meters else _sum(parts)
    metered = Metered(energy=energy, began_ns=began_ns, ended_ns=ended_ns)
    pipe.write(metered.model_dump_json() + "\n")
    return 0


class _Part(Frozen):
    energy: Energy
    going_on: bool


def _meters() -> tuple[list[Meter], list[str]]:
    """Counters if a processor has one that can be read, else the model; what there is not."""
    missing: list[str] = []
    rapl = METERS.load("rapl").availability()
    if rapl.ok:
        names = ["rapl", *(["nvml"] if METERS.load("nvml").availability().ok else [])]
        return [METERS.load(name).create("cuda:0") for name in names], missing
    missing.append(rapl.reason)
    model = METERS.load("codecarbon")
    found = model.availability()
    if found.ok:
        return [model.create("cpu")], missing
    return [], [*missing, found.reason]


def _window(meters: Sequence[Meter], stdin: IO[str]) -> _Part:
    for meter in meters:
        meter.start()
    told = bool(select.select([stdin], [], [], _CHUNK_S)[0])
    read = [m for meter in meters for m in meter.stop().measurements]
    return _Part(energy=energy_of(read), going_on=not told)


def energy_of(read: Sequence[Measurement]) -> Energy:
    """One figure from a window's readings: counters that hold a processor, else the model."""
    total = total_energy(read)
    if total is not None and any(part.startswith(_PROCESSORS) for part in total.parts):
        return Energy(joules=total.joules, provenance=Provenance.MEASURED, scope=total.scope)
    for one in read:
        if one.metric == "energy_estimate" and one.samples:
            return Energy(
                joules=sum(one.samples),
                provenance=Provenance.ESTIMATED,
                scope=f"{one.scope}: {one.reason}",
            )
    reasons = [m.reason for m in read if m.reason and "energy" in m.metric]
    return unknown("; ".join(dict.fromkeys(reasons)) or "no meter read a processor")


def _sum(parts: Sequence[_Part]) -> Energy:
    """All windows together; unknown when one of them is."""
    joules = [part.energy.joules for part in parts]
    known = [j for j in joules if j is not None]
    if len(known) < len(joules):
        return next(part.energy for part in parts if part.energy.joules is None)
    return parts[-1].energy.model_copy(update={"joules": sum(known)})


if __name__ == "__main__":
    sys.exit(main())
