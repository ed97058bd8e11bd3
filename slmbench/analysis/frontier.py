"""What fits below a memory limit, per variant: contexts, batches, and how fast at the edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slmbench.records import Measurement, PhaseRecord, ProbeEnding, Status
from slmbench.spec import WorkloadSpec
from slmbench.store import StoredRun

WORKLOAD = "oom_frontier"


@dataclass(frozen=True, slots=True)
class Edge:
    """One limit of one run of ``oom_frontier``."""

    run: StoredRun
    limit_bytes: int
    enforced_by: str
    at_context: int
    """The point's context: what a device must hold for the answer yes [tokens]."""
    max_context: int | None
    """Largest filled context of one sequence; None: none fits, or unknown (``reason``)."""
    max_batch: int | None
    """Most sequences of ``at_context`` at a time."""
    decode_rate: float | None
    """At the largest context that was tried and fitted below this limit [tok/s]."""
    major_faults: float | None
    """There: pages read back from disk while it answered."""
    peak: float | None
    """There: peak of the group, else of the process [bytes]."""
    endings: str
    """Tries below this limit: ``5 ok, 2 oom``."""
    refused: bool
    """A try with ``at_context`` tokens or fewer failed here, and not for want of time."""
    reason: str

    @property
    def fits(self) -> bool | None:
        """Whether the model answers with ``at_context`` tokens; None: the search did not say."""
        if self.max_context is not None and self.max_context >= self.at_context:
            return True
        return False if self.refused else None

    @property
    def whole_window(self) -> bool:
        """Whether the trained context fits: the model ends before the memory does."""
        model = self.run.record.model
        return bool(model and self.max_context and self.max_context >= model.context_train)


def edges(runs: Iterable[StoredRun]) -> tuple[Edge, ...]:
    """Every limit of every finished search, smallest first."""
    return tuple(
        _edge(run, limit, context)
        for run in runs
        if run.record.status is Status.OK and isinstance(run.spec.work, WorkloadSpec)
        if run.spec.work.workload == WORKLOAD
        for context in sorted({p.tokens for p in run.spec.work.points})
        for limit in sorted(run.spec.work.memory_limits)
    )


def _edge(run: StoredRun, limit: int, context: int) -> Edge:
    name = f"{limit / 1e6:g} MB"
    largest = _measured(run, "max_context", name)
    batch = _measured(run, "max_batch", f"{context} tokens, {name}")
    mine = [(phase, probe) for phase, probe in _probes(run) if probe.limit_bytes == limit]
    best = max(
        (pair for pair in mine if pair[1].status is Status.OK and pair[1].batch == 1),
        key=lambda pair: pair[1].context,
        default=None,
    )
    count = Counter(probe.status.value for _, probe in mine)
    order = sorted(count.items(), key=lambda item: (item[0] != "ok", item[0]))
    return Edge(
        run,
        limit,
        mine[-1][1].enforced_by if mine else "",
        context,
        int(largest.samples[0]) if largest and largest.samples else None,
        int(batch.samples[0]) if batch and batch.samples else None,
        _reading(best, "decode_rate"),
        _reading(best, "major_faults"),
        _reading(best, "cgroup_peak") or _reading(best, "peak_rss"),
        ", ".join(f"{n} {status}" for status, n in order) or "implied by a smaller limit",
        any(
            probe.status not in (Status.OK, Status.TIMEOUT)
            for _, probe in mine
            if probe.batch == 1 and probe.context <= context
        ),
        largest.reason if largest else "no search below this limit",
    )


def _probes(run: StoredRun) -> Iterator[tuple[PhaseRecord, ProbeEnding]]:
    for phase in run.record.phases:
        if phase.probe is not None:
            yield phase, phase.probe


def _measured(run: StoredRun, metric: str, point: str) -> Measurement | None:
    for phase in run.record.phases:
        for m in phase.measurements:
            if phase.phase == "frontier" and (m.metric, m.point) == (metric, point):
                return m
    return None


def _reading(best: tuple[PhaseRecord, ProbeEnding] | None, metric: str) -> float | None:
    if best is None:
        return None
    return next(
        (max(m.samples) for m in best[0].measurements if m.metric == metric and m.samples), None
    )
