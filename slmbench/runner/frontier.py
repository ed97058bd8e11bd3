"""The OOM frontier: which context and batch fit below a memory limit, found by trying.

Every try is a process of its own that fills the context and decodes under a limit that really
holds: a memory control group where one can be made, else the address space, on a GPU the share
of PyTorch's allocator. What one try showed is not tried again: what fits with less memory fits
with more, and what fails with a short context fails with a long one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from slmbench.memory_group import MemoryGroup, NoGroup, memory_group
from slmbench.records import (
    Environment,
    Measurement,
    ModelInfo,
    PhaseRecord,
    ProbeEnding,
    Provenance,
    Status,
)
from slmbench.runner.environment import fingerprint
from slmbench.runner.events import Listener, Silent
from slmbench.runner.own_pages import own_pages
from slmbench.runner.page_cache import residency
from slmbench.runner.phases import utc_label
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome, run_job
from slmbench.spec import RunSpec, WorkloadPoint, WorkloadSpec

PROBE_S = 300.0
"""A try that takes longer counts as not fitting, unless the suite's ``budget_s`` says otherwise."""
MAX_BATCH = 64
_LEAST_CONTEXT = 64
_NO_FIT = frozenset({Status.OOM, Status.TIMEOUT, Status.UNSUPPORTED, Status.CRASHED})
"""Endings below a limit that mean: not this much. Anything else is a fault of its own."""
_INCLUDES = {
    "cgroup": "anonymous memory, kernel memory and page cache of the worker, weights included; "
    "shared libraries that other processes hold are free",
    "address": "address space: mapped weights and reserved ranges count in full, so more may fit",
    "CUDA": "PyTorch's allocator; the CUDA context and its libraries come on top",
}


class TimeIsUpError(Exception):
    """The cell's time limit passed while something was still to be tried."""


def largest(fits: Callable[[int], bool], start: int, most: Callable[[], int], step: int) -> int:
    """The largest n <= most() that fits, to within ``step``; 0 when not even ``step`` does.

    Doubles from ``start`` while it fits, then bisects; ``fits`` must be monotonic. ``most`` is
    asked once something fitted.

    >>> largest(lambda n: n <= 5000, 512, lambda: 8192, 256)
    4864
    """
    low, high = 0, start
    if fits(start):
        low = start
        while True:
            if low >= most():
                return low
            high = min(2 * low, most())
            if not fits(high):
                break
            low = high
    while high - low > step:
        middle = low + max(step, (high - low) // 2 // step * step)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class _Found:
    """The result of one search under one limit."""

    metric: str
    point: str
    value: int
    tried: bool
    """The largest that fits was itself tried under this limit."""
    note: str = ""
    """What a reader of the value must know."""
    reason: str = ""
    """Why there is no value."""


@dataclass(slots=True)
class Frontier:
    """The search of one cell."""

    job: WorkerJob
    listener: Listener
    phases: list[PhaseRecord] = field(default_factory=list)
    model: ModelInfo | None = None
    environment: Environment | None = None
    fault: Outcome | None = None
    """The first try that ended in a way that has nothing to do with memory."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def spec(self) -> RunSpec:
        """The cell."""
        return self.job.cells[0].spec

    @property
    def work(self) -> WorkloadSpec:
        """Its workload."""
        assert isinstance(self.spec.work, WorkloadSpec)
        return self.spec.work

    def run(self) -> Outcome:
        """Search under every limit, smallest first; all tries are phases of the outcome."""
        started = utc_label()
        self.listener.cell_started(self.spec, 0)
        with own_pages(Path(self.job.artefact)) as (artefact, note):
            self.job = self.job.model_copy(update={"artefact": str(artefact)})
            found = self._search_all(note)
        outcome = Outcome(
            spec=self.spec,
            environment=self.environment,
            started_utc=started,
            seconds=time.monotonic() - self.begun,
            status=Status.OK,
            model=self.model,
            phases=(*self.phases, _summary(found)),
        )
        if (fault := self.fault) is None:
            return outcome
        return replace(
            outcome,
            status=fault.status,
            reason=fault.reason,
            hint=fault.hint,
            signal=fault.signal,
            stderr_tail=fault.stderr_tail,
        )

    def _search_all(self, note: str) -> list[Measurement]:
        found: list[Measurement] = []
        for limit in sorted(self.work.memory_limits):
            found += [_measurement(one, self._enforced(limit), note) for one in self._under(limit)]
            if self.fault is not None:
                break
        return found

    def _under(self, limit: int) -> Iterator[_Found]:
        points = self.work.points
        least = min(point.tokens for point in points)
        name = f"{limit / 1e6:g} MB"
        step = max(_LEAST_CONTEXT, least // 2)
        yield self._search(
            _Found("max_context", name, 0, tried=False),
            lambda: largest(lambda n: self.fits(n, 1, limit), least, self._trained, step),
            lambda n: (n, 1, limit),
        )
        for context in sorted({point.tokens for point in points}):
            yield self._search(
                _Found("max_batch", f"{context} tokens, {name}", 0, tried=False),
                lambda c=context: largest(  # type: ignore[misc]
                    lambda n: self.fits(c, n, limit), 1, lambda: MAX_BATCH, 1
                ),
                lambda n, c=context: (c, n, limit),  # type: ignore[misc]
            )

    def _search(
        self,
        what: _Found,
        search: Callable[[], int],
        key: Callable[[int], tuple[int, int, int]],
    ) -> _Found:
        try:
            value = search()
        except TimeIsUpError:
            return replace(what, reason=f"no answer within {self.spec.timeout_s:g} s for the cell")
        if value == 0:
            return replace(what, reason=f"nothing fits: {self._last_failure()}")
        context, batch, limit = key(value)
        probes = [phase.probe for phase in self.phases if phase.probe]
        tried = (context, batch, limit) in {(p.context, p.batch, p.limit_bytes) for p in probes}
        slow = [
            p.context * p.batch
            for p in probes
            if (p.limit_bytes, p.status) == (limit, Status.TIMEOUT)
            if p.context >= context and p.batch >= batch
        ]
        note = "" if tried else "it fits below a smaller limit, so it was not tried again"
        if slow:
            note = f"{min(slow)} tokens ran out of time, not of memory: more may fit"
        return replace(what, value=value, tried=tried, note=note)

    def fits(self, context: int, batch: int, limit: int) -> bool:
        """Whether so much was answered below the limit, by a try or by what others showed."""
        known = self._implied(context, batch, limit)
        if known is not None:
            return known
        if self.fault is not None:
            return False
        return self._try(context, batch, limit)

    def _implied(self, context: int, batch: int, limit: int) -> bool | None:
        for probe in (phase.probe for phase in self.phases):
            if probe is None:
                continue
            less = probe.context <= context and probe.batch <= batch
            more = probe.context >= context and probe.batch >= batch
            if probe.status is Status.OK and more and probe.limit_bytes <= limit:
                return True
            bound = probe.status is Status.UNSUPPORTED or probe.limit_bytes >= limit
            if probe.status is not Status.OK and less and bound:
                return False
        return None

    def _try(self, context: int, batch: int, limit: int) -> bool:
        left = self.spec.timeout_s - (time.monotonic() - self.begun)
        if left <= 0:
            raise TimeIsUpError
        size = f"{context} tokens" + (f" × {batch}" if batch > 1 else "")
        self.listener.stage(f"{self.spec.variant.name}: {size} below {limit / 1e6:g} MB")
        cell = self._cell(context, batch, limit, min(left, self.work.budget_s or PROBE_S))
        residency(Path(self.job.artefact), drop=True)  # or its pages would be charged to nobody
        with self._group(limit) as group:
            folder = str(group.folder) if group else None
            job = self.job.model_copy(update={"cells": (cell,), "group": folder})
            (outcome,) = run_job(job, Silent())
            peak = group.peak() if group else None
        self.model = outcome.model or self.model
        self.environment = _outside(outcome.environment) or self.environment
        if outcome.status not in _NO_FIT and outcome.status is not Status.OK:
            self.fault = outcome
        elif outcome.status in (Status.CRASHED, Status.UNSUPPORTED) and not self.phases:
            self.fault = outcome  # the first try of all: not yet a matter of size
        ending = ProbeEnding(
            limit_bytes=limit,
            enforced_by=self._how(group),
            context=context,
            batch=batch,
            status=outcome.status,
            reason=outcome.reason,
        )
        self.phases.append(_probe_phase(outcome, ending, peak))
        self.listener.step()
        return outcome.status is Status.OK

    def _cell(self, context: int, batch: int, limit: int, seconds: float) -> CellJob:
        output = min(self.work.points[0].output_tokens, context // 2)
        point = WorkloadPoint(prompt_tokens=context - output, output_tokens=output, batch=batch)
        work = self.work.model_copy(update={"points": (point,), "repeats": 1, "warmup": 0})
        bounds = {"context": context * batch, "memory_limit_bytes": limit}
        target = self.spec.target.model_copy(update=bounds)
        changes = {"work": work, "target": target, "timeout_s": seconds}
        return CellJob(spec=self.spec.model_copy(update=changes), items=None)

    @contextmanager
    def _group(self, limit: int) -> Iterator[MemoryGroup | None]:
        if self.spec.target.device.startswith("cuda"):
            yield None
            return
        with memory_group(limit) as group:
            yield None if isinstance(group, NoGroup) else group

    def _how(self, group: MemoryGroup | None) -> str:
        if group is not None:
            return f"cgroup v{group.version}"
        return "CUDA fraction" if self.spec.target.device.startswith("cuda") else "address space"

    def _enforced(self, limit: int) -> str:
        """By what the tries under this limit, or else the last ones, were bounded."""
        probes = [phase.probe for phase in self.phases if phase.probe]
        mine = [p.enforced_by for p in probes if p.limit_bytes == limit]
        return (mine or [p.enforced_by for p in probes] or [""])[-1]

    def _trained(self) -> int:
        return self.model.context_train if self.model else 0

    def _last_failure(self) -> str:
        failed = [p.probe for p in self.phases if p.probe and p.probe.status is not Status.OK]
        if not failed:
            return "no try succeeded"
        last = failed[-1]
        return f"{last.context} tokens × {last.batch} ended as {last.status}: {last.reason}"


def run_frontier(job: WorkerJob, listener: Listener) -> Outcome:
    """Search the frontier of the job's one cell (workload ``oom_frontier``).

    OK when the search came to its end, whatever fits; a first try that fails for another reason
    than size (a damaged artefact, an engine that dies) ends the cell as itself.
    """
    return Frontier(job, listener).run()


def _probe_phase(outcome: Outcome, ending: ProbeEnding, peak: int | None) -> PhaseRecord:
    """The try's own phase where it came so far, under the name of what was tried."""
    batch = f"×b{ending.batch}" if ending.batch > 1 else ""
    point = f"ctx{ending.context}{batch} {ending.limit_bytes / 1e6:g} MB"
    own = next((p for p in outcome.phases if p.phase == "probe"), None)
    readings = own.measurements if own is not None else ()
    found = [m.model_copy(update={"point": point}) for m in readings if m.metric != "cgroup_peak"]
    if peak is not None:
        found.append(
            Measurement(
                metric="cgroup_peak",
                samples=(float(peak),),
                provenance=Provenance.MEASURED,
                method="counter",
                point=point,
                scope=f"{ending.enforced_by} of the worker alone, from its start to its end",
            )
        )
    return PhaseRecord(
        phase="probe",
        started_utc=outcome.started_utc,
        duration_ns=int(outcome.seconds * 1e9),
        measurements=tuple(found),
        observations=own.observations if own is not None else (),
        probe=ending,
    )


def _measurement(found: _Found, enforced: str, note: str) -> Measurement:
    includes = next((text for key, text in _INCLUDES.items() if enforced.startswith(key)), "")
    scope = "; ".join(filter(None, (f"{enforced}: {includes}", note)))
    if found.reason:
        return Measurement(
            metric=found.metric,
            samples=(),
            provenance=Provenance.UNAVAILABLE,
            method="counter",
            point=found.point,
            scope=scope,
            reason=found.reason,
        )
    return Measurement(
        metric=found.metric,
        samples=(float(found.value),),
        provenance=Provenance.MEASURED if found.tried else Provenance.DERIVED,
        method="counter" if found.tried else "derived",
        point=found.point,
        scope=scope,
        reason=found.note,
    )


def _summary(found: list[Measurement]) -> PhaseRecord:
    return PhaseRecord(
        phase="frontier", started_utc=utc_label(), duration_ns=0, measurements=tuple(found)
    )


def _outside(probe: Environment | None) -> Environment | None:
    """A probe's environment on this machine, not in the group that its limit is made with.

    The limit is the experiment and stands with each try; to the machine's key it would be another
    machine, and the cell would never count as done on this one.
    """
    if probe is None:
        return None
    here = fingerprint(())
    return probe.model_copy(
        update={
            "machine": here.machine,
            "cgroup_version": here.cgroup_version,
            "cgroup_memory_bytes": here.cgroup_memory_bytes,
            "cgroup_cpus": here.cgroup_cpus,
        }
    )
