"""Timed cells in rounds: every cell once per round, each in a fresh process, in random order.

A drift of the machine (heat, neighbours, the page cache) then falls on all cells of a round alike,
and the ratio of two cells within a round is free of it; a process that was unlucky in its memory
layout is one of several. The order is drawn from the suite's seed and the round. Protocol and
sources: docs/decisions/012-rounds-of-fresh-processes.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from slmbench.precision import widths
from slmbench.records import MachinePeaks, Observation, PhaseRecord, ProcessRecord, Status
from slmbench.runner.environment import LIBRARIES, fingerprint
from slmbench.runner.events import Listener
from slmbench.runner.observer import Observer, added
from slmbench.runner.page_cache import residency
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome, run_job
from slmbench.runner.workloads import slots_of
from slmbench.spec import RunSpec, Target, WorkloadSpec

Peaks = Callable[[Target], MachinePeaks | None]
"""What the machine can do with the threads of a target; None where nobody can tell."""


class Shelf(Protocol):
    """Where finished processes of unfinished cells lie, of this machine."""

    def kept(self, spec: RunSpec) -> tuple[ProcessRecord, ...]:
        """Those of one cell, by number."""

    def keep(self, spec: RunSpec, record: ProcessRecord) -> None:
        """Put one there, in place of another of the same number."""

    def discard(self, spec: RunSpec) -> None:
        """Take away all of one cell."""


@dataclass(frozen=True, slots=True)
class RoundCell:
    """A timed cell and what it loads."""

    spec: RunSpec
    artefact: Path
    sha256: str
    draft: Path | None = None
    """The variant that proposes tokens."""

    @property
    def work(self) -> WorkloadSpec:
        """Its workload."""
        assert isinstance(self.spec.work, WorkloadSpec)
        return self.spec.work


def planned_processes(spec: RunSpec) -> int:
    """How many processes a cell is run in at least; 1 for a task."""
    work = spec.work
    if not isinstance(work, WorkloadSpec) or not work.timed:
        return 1
    return work.processes * len(slots_of(spec))


def run_rounds(
    cells: Sequence[RoundCell],
    shelf: Shelf,
    listener: Listener,
    *,
    session: str | None = None,
    peaks: Peaks | None = None,
) -> Iterator[Outcome]:
    """Run timed cells, the suites one after the other; each outcome as soon as it is known.

    Finished processes are on the shelf the moment they end, and are not run again. Who seals an
    outcome discards them. ``session`` tells the rounds of this call from those of any other.
    """
    rounds = _Rounds(shelf, listener, session or _session(), peaks or _no_peaks)
    for suite in dict.fromkeys(cell.spec.suite for cell in cells):
        yield from rounds.of_suite([c for c in cells if c.spec.suite == suite])


def shuffled(count: int, seed: int, number: int) -> list[int]:
    """The numbers below ``count`` in the order of round ``number``.

    Every permutation is as likely as any other; the same seed and round give the same.
    """
    places = list(range(count))
    random.Random(f"round:{seed}:{number}").shuffle(places)  # noqa: S311 - not cryptographic
    return places


def _session() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _no_peaks(target: Target) -> MachinePeaks | None:
    return None


@dataclass(slots=True)
class _Running:
    """A cell between its first and its last process."""

    cell: RoundCell
    slots: tuple[Target, ...]
    done: dict[int, ProcessRecord] = field(default_factory=dict)
    """Processes that ended ok, by number."""
    failed: Outcome | None = None
    """The process that did not, which ends the cell."""

    @property
    def rounds(self) -> int:
        """Whole rounds that are done."""
        number = 0
        while not self._left(number):
            number += 1
        return number

    def missing(self) -> list[int]:
        """Processes of the round that comes next."""
        return self._left(self.rounds)

    def finished(self) -> bool:
        """Whether no further process is to be run."""
        if self.failed is not None:
            return True
        work, rounds = self.cell.work, self.rounds
        if rounds < work.processes or 0 < len(self.missing()) < len(self.slots):
            return False  # a round that was begun is ended
        if work.precision is None or rounds >= (work.max_processes or work.processes):
            return True
        return all(width.within(work.precision) for width in widths(self.phases()))

    def phases(self) -> tuple[PhaseRecord, ...]:
        """Of all processes, in order."""
        done = tuple(p for number in sorted(self.done) for p in self.done[number].phases)
        return done if self.failed is None else (*done, *self.failed.phases)

    def add(self, record: ProcessRecord) -> bool:
        """Take a process in; False if those before it ran on another engine: they are dropped."""
        same = all(_engine(other) == _engine(record) for other in self.done.values())
        if not same:
            self.done.clear()
        self.done[record.process] = record
        return same

    def outcome(self, peaks: MachinePeaks | None) -> Outcome:
        """All processes as one: the last one's ending, everybody's phases."""
        records = [self.done[number] for number in sorted(self.done)]
        costs = [record.observer for record in records]
        seconds = sum(record.seconds for record in records)
        if self.failed is not None:
            base = self.failed
            costs += [base.observer] if base.observer is not None else []
        else:
            last = records[-1]
            base = Outcome(
                spec=self.cell.spec,
                environment=last.environment,
                started_utc=last.started_utc,
                seconds=0.0,
                status=Status.OK,
                model=last.model,
            )
        return replace(
            base,
            started_utc=min([base.started_utc, *(r.started_utc for r in records)]),
            seconds=base.seconds + seconds,
            phases=_judged(self.phases(), self.cell.work),
            peaks=peaks,
            observer=added(costs),
        )

    def _left(self, number: int) -> list[int]:
        first = number * len(self.slots)
        return [p for p in range(first, first + len(self.slots)) if p not in self.done]


@dataclass(slots=True)
class _Rounds:
    shelf: Shelf
    listener: Listener
    session: str
    peaks: Peaks
    known_peaks: dict[tuple[str, str, int, str | None], MachinePeaks | None] = field(
        default_factory=dict
    )

    def of_suite(self, cells: Sequence[RoundCell]) -> Iterator[Outcome]:
        """All rounds of one suite's cells."""
        running = [self._begun(cell) for cell in cells]
        for one in running:
            if one.finished():
                yield self._outcome(one)
        running = [one for one in running if not one.finished()]
        for one in running:
            self._peaks_of(one)
        number = min((one.rounds for one in running), default=0)
        while running:
            units = [(one, process) for one in running for process in one.missing()]
            for place in shuffled(len(units), running[0].cell.work.seed, number):
                one, process = units[place]
                if one.finished():  # another slot of it failed in this round
                    continue
                self._run(one, process, f"{self.session}-{number}")
                if one.finished():
                    yield self._outcome(one)
            running = [one for one in running if not one.finished()]
            number += 1

    def _begun(self, cell: RoundCell) -> _Running:
        """The cell with the processes that were kept, if the same libraries are installed."""
        one = _Running(cell, slots_of(cell.spec))
        kept = self.shelf.kept(cell.spec)
        if kept and cell.spec.target.python is None:
            here = fingerprint(LIBRARIES).libraries
            if any(record.environment.libraries != here for record in kept):
                self.shelf.discard(cell.spec)
                return one
        for record in kept:
            one.add(record)
        return one

    def _run(self, one: _Running, process: int, label: str) -> None:
        cell = one.cell
        target = one.slots[process % len(one.slots)]
        seen = residency(cell.artefact, drop=process == 0 and cell.work.processes > 1)
        job = CellJob(spec=cell.spec, items=None, process=process)
        if target != cell.spec.target:
            job = job.model_copy(update={"target": target})
        if seen is not None:
            told = {"cold": seen.cold, "page_cache": seen.told, "cached_share": seen.share}
            job = job.model_copy(update=told)
        observer = Observer()
        worker = WorkerJob(
            artefact=str(cell.artefact),
            artefact_sha256=cell.sha256,
            cells=(job,),
            draft=None if cell.draft is None else str(cell.draft),
        )
        (outcome,) = run_job(worker, self.listener)
        cost = observer.cost(outcome.meters_s)
        placed = {"process": process, "round": label}
        phases = tuple(phase.model_copy(update=placed) for phase in outcome.phases)
        if outcome.status is not Status.OK:
            one.failed = replace(outcome, phases=phases, observer=cost)
            return
        assert outcome.environment is not None
        assert outcome.model is not None
        record = ProcessRecord(
            digest=cell.spec.digest,
            process=process,
            started_utc=outcome.started_utc,
            seconds=outcome.seconds,
            environment=outcome.environment,
            model=outcome.model,
            phases=phases,
            observer=cost,
        )
        if not one.add(record):
            self.shelf.discard(cell.spec)
        self.shelf.keep(cell.spec, record)
        self.listener.process_finished(cell.spec, len(one.done), planned_processes(cell.spec))

    def _peaks_of(self, one: _Running) -> MachinePeaks | None:
        target = one.cell.spec.target
        key = (target.backend, target.device, target.threads, target.python)
        if key not in self.known_peaks:
            self.known_peaks[key] = self.peaks(target)
        return self.known_peaks[key]

    def _outcome(self, one: _Running) -> Outcome:
        return one.outcome(self._peaks_of(one))


def _engine(record: ProcessRecord) -> tuple[tuple[str, ...], str]:
    """What must be the same in all processes of a cell."""
    return record.environment.libraries, record.model.engine_version


def _judged(phases: tuple[PhaseRecord, ...], work: WorkloadSpec) -> tuple[PhaseRecord, ...]:
    """The phases, with a note about how precisely each point is known where that was asked."""
    found = widths(phases) if work.precision is not None else ()
    for point in dict.fromkeys(width.point for width in found):
        mine = [width for width in found if width.point == point]
        widest = max(mine, key=lambda w: float("inf") if w.halfwidth is None else w.halfwidth)
        assert work.precision is not None
        reached = widest.within(work.precision)
        known = "not known" if widest.halfwidth is None else f"known to {widest.halfwidth:.1%}"
        note = Observation(
            kind="precision_reached" if reached else "precision_not_reached",
            value=float(widest.processes if widest.halfwidth is None else widest.halfwidth),
            unit="processes" if widest.halfwidth is None else "fraction",
            message=f"{widest.metric} of {point} is {known} after {widest.processes} processes; "
            f"{work.precision:.1%} either side was asked for",
        )
        phases = _with_note(phases, point, note)
    return phases


def _with_note(
    phases: tuple[PhaseRecord, ...], point: str, note: Observation
) -> tuple[PhaseRecord, ...]:
    """The note stands with the last phase that has readings of the point."""
    of_point = [
        place
        for place, phase in enumerate(phases)
        if any(m.point == point and m.samples for m in phase.measurements)
    ]
    last = of_point[-1]
    noted = phases[last].model_copy(update={"observations": (*phases[last].observations, note)})
    return (*phases[:last], noted, *phases[last + 1 :])
