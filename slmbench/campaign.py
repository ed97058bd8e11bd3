"""Carry out a plan: make what is missing, run what is not done, judge, seal.

Each cell is sealed the moment it ends, so a kill at any time loses at most the running cell, and
the next run of the same plan takes up where this one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import slmbench
from slmbench.adaptive import Followers, unwatched
from slmbench.errors import InterruptedRunError, SlmbenchError
from slmbench.kept_variants import keep_variants
from slmbench.lifecycle import Artefact, Artefacts
from slmbench.locations import cache_dir
from slmbench.plan import Cell, Plan
from slmbench.records import Environment, RunRecord, ScoreRow, Status
from slmbench.requests import ItemSet
from slmbench.runner.environment import fingerprint
from slmbench.runner.events import Listener
from slmbench.runner.frontier import run_frontier
from slmbench.runner.peaks import peaks_of
from slmbench.runner.phases import utc_label
from slmbench.runner.prepare import PreparedItems, prepare_items
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.references import NoReference, References, reference_spec
from slmbench.runner.rounds import RoundCell, planned_processes, run_rounds
from slmbench.runner.supervisor import Outcome, run_job
from slmbench.runner.watch import Watcher
from slmbench.spec import ModelsFile, RunSpec, TaskSpec, WorkloadSpec
from slmbench.store import (
    FinishedRun,
    ProcessShelf,
    finished,
    only_campaign,
    save_items,
    save_skips,
    save_suite,
    seal,
    sweep,
)
from slmbench.tasks.scorers import score
from slmbench.tasks.workloads import LIMITED


@dataclass(frozen=True, slots=True)
class Policy:
    """What to do with cells that have a result already."""

    force: bool = False
    """Run everything again; earlier runs are kept beside the new ones."""
    retry_failed: bool = False
    """Run those again that did not end ok."""


@dataclass(frozen=True, slots=True)
class CellState:
    """A planned cell and what is known of it on this machine."""

    cell: Cell
    status: Status | None
    """Of the newest run (an ok one first); None when it never ran here."""
    reason: str = ""
    kept: int = 0
    """Processes that are finished and kept, of a timed cell that is not sealed."""

    @property
    def told(self) -> str:
        """For people: how it ended, ``to run``, or ``2 of 5 processes``."""
        if self.status is not None:
            return self.status.value
        if not self.kept:
            return "to run"
        return f"{self.kept} of {planned_processes(self.cell.spec)} processes"

    @property
    def left(self) -> float:
        """Share of the cell that is still to be run, about."""
        if self.status is not None:
            return 0.0
        return max(0.0, 1 - self.kept / planned_processes(self.cell.spec))


@dataclass(frozen=True, slots=True)
class Summary:
    """How a campaign ended."""

    states: tuple[CellState, ...]
    """Every planned cell, as it is now."""
    ran: int
    """Cells that were run in this campaign."""

    @property
    def failed(self) -> tuple[CellState, ...]:
        """Cells that did not end ok."""
        return tuple(s for s in self.states if s.status is not Status.OK)


def states(root: Path, cells: Sequence[Cell]) -> tuple[CellState, ...]:
    """What the results folder knows of these cells, for this machine."""
    machine = fingerprint(()).machine
    return tuple(_state(root, cell, machine) for cell in cells)


def _state(root: Path, cell: Cell, machine: str) -> CellState:
    run = finished(root, cell.spec, machine)
    if run is None:
        timed = is_timed(cell.spec)
        kept = len(ProcessShelf(root, machine).kept(cell.spec)) if timed else 0
        return CellState(cell, None, kept=kept)
    return CellState(cell, run.record.status, run.record.reason)


def wanted(policy: Policy, state: CellState) -> bool:
    """Whether a campaign with this policy would run the cell."""
    if policy.force or state.status is None:
        return True
    return policy.retry_failed and state.status is not Status.OK


@dataclass(slots=True)
class Campaign:
    """One carrying-out of one plan into one results folder."""

    plan: Plan
    models: ModelsFile
    root: Path
    """Results folder."""
    listener: Listener
    policy: Policy

    def run(self) -> Summary:
        """Run what is to be run; raises InterruptedRunError on Ctrl-C, with all done work kept.

        UsageError when another run writes into the same folder.
        """
        with only_campaign(self.root):
            return self._run()

    def _run(self) -> Summary:
        sweep(self.root)
        self._keep_declarations()
        before = states(self.root, self.plan.cells)
        todo = [s.cell for s in before if wanted(self.policy, s)]
        if self.policy.force:
            for cell in todo:
                self._shelf().discard(cell.spec)
        ran = 0
        try:
            with References((cell.spec for cell in todo), self.listener) as references:
                for outcome, items in self._outcomes(todo, references):
                    self._seal(outcome, items)
                    ran += 1
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"stopped: {ran} of {len(todo)} cells of this run are done and kept, "
                "and so are finished processes of the others",
                hint="the same command goes on from here",
            ) from None
        return Summary(states(self.root, self.plan.cells), ran)

    def _keep_declarations(self) -> None:
        for suite in {c.spec.suite for c in self.plan.cells} | {s.suite for s in self.plan.skips}:
            mine = tuple(s for s in self.plan.skips if s.suite == suite)
            save_skips(self.root, suite, mine)
        for declared in self.plan.suites:
            save_suite(self.root, declared)

    def _outcomes(
        self, todo: Sequence[Cell], references: References
    ) -> Iterator[tuple[Outcome, ItemSet | None]]:
        works = (c.spec.work for c in todo)
        specs = list(dict.fromkeys(work for work in works if isinstance(work, TaskSpec)))
        prepared = dict(zip(specs, prepare_items(specs, self.listener), strict=True))
        artefacts = Artefacts(self.models, self.listener.stage)
        artefacts.make({name for c in todo for name in c.spec.loads})
        artefacts.look({c.spec.variant.name for c in self.plan.cells})
        keep_variants(self.root, artefacts)
        followers = Followers(
            self.root, fingerprint(()).machine, self.models, artefacts.refs, self.plan.cells
        )
        for group in worker_groups(c for c in todo if not is_timed(c.spec)):
            made = artefacts.serving(group[0].spec)
            if isinstance(made, SlmbenchError):
                yield from ((_invalid(c.spec, made.message, made.hint or ""), None) for c in group)
                continue
            if (reference := reference_spec(group[0].spec)) is not None:
                base = artefacts.of(reference.variant.name)
                yield self._read_text(group[0].spec, made, reference, base, references), None
                continue
            yield from self._run_group(group, made, prepared, followers)
        for outcome in self._timed([c.spec for c in todo if is_timed(c.spec)], artefacts):
            yield outcome, None

    def _timed(self, specs: Sequence[RunSpec], artefacts: Artefacts) -> Iterator[Outcome]:
        """Cells that measure speed, memory or energy, when nothing else is left to do."""
        cells: list[RoundCell] = []
        alone: list[WorkerJob] = []
        for spec in specs:
            made = artefacts.serving(spec)
            if isinstance(made, SlmbenchError):
                yield _invalid(spec, made.message, made.hint or "")
            elif made.simulated:
                yield _invalid(spec, made.simulated, "", Status.UNSUPPORTED)
            elif spec.work_name in LIMITED:
                alone.append(_job(made, CellJob(spec=spec, items=None)))
            else:
                cells.append(RoundCell(spec, made.path, made.sha256, made.draft))
        yield from run_rounds(cells, self._shelf(), self.listener, peaks=peaks_of)
        for job in alone:
            yield run_frontier(job, self.listener)

    def _shelf(self) -> ProcessShelf:
        return ProcessShelf(self.root, fingerprint(()).machine)

    def _cache_of(self, suite: str) -> str | None:
        """Folder of the response cache, if the suite asks for one."""
        asked = any(s.scoring.cache for s in self.plan.suites if s.name == suite)
        return str(cache_dir("scores")) if asked else None

    def _read_text(
        self,
        spec: RunSpec,
        made: Artefact,
        reference: RunSpec,
        base: Artefact | SlmbenchError,
        references: References,
    ) -> Outcome:
        """One fidelity cell: the reference's log-probabilities first, where nobody needed them."""
        try:
            if isinstance(base, SlmbenchError):
                why = f"its reference {reference.variant.name} could not be made: {base.message}"
                return _invalid(spec, why, base.hint or "")
            folder = references.folder(reference, base.path, base.sha256)
            if isinstance(folder, NoReference):
                return _invalid(spec, folder.reason, folder.hint)
            cell = CellJob(spec=spec, items=None, scratch=str(folder))
            (outcome,) = run_job(_job(made, cell), self.listener)
            return outcome
        finally:
            references.done(reference)

    def _run_group(
        self,
        group: Sequence[Cell],
        made: Artefact,
        prepared: Mapping[TaskSpec, PreparedItems],
        followers: Followers,
    ) -> Iterator[tuple[Outcome, ItemSet | None]]:
        jobs: list[CellJob] = []
        watchers: dict[str, Watcher] = {}
        whole: dict[str, str] = {}
        for cell in group:
            work = cell.spec.work
            assert isinstance(work, TaskSpec)
            items = prepared[work]
            if items.path is None:
                yield _invalid(cell.spec, items.reason, items.hint), None
                continue
            every = None
            if work.until is not None:
                found = followers.watcher(cell.spec, work.until, _read_items(items.path))
                if isinstance(found, Watcher):
                    watchers[cell.spec.digest], every = found, work.until.every
                else:
                    whole[cell.spec.digest] = found
            jobs.append(
                CellJob(
                    spec=cell.spec,
                    items=str(items.path),
                    look_every=every,
                    cache=self._cache_of(cell.spec.suite),
                )
            )
        if not jobs:
            return
        paths = {job.spec.digest: job.items for job in jobs}
        for outcome in run_job(_job(made, *jobs), self.listener, watchers):
            path = paths[outcome.spec.digest]
            asked = _read_items(Path(path)) if path else None
            why = whole.get(outcome.spec.digest)
            if asked is not None and why and outcome.status is Status.OK:
                outcome = replace(outcome, adaptive=unwatched(why, asked))
            yield outcome, asked

    def _seal(self, outcome: Outcome, items: ItemSet | None) -> None:
        environment = outcome.environment or fingerprint(())
        rows: tuple[ScoreRow, ...] = ()
        digest = None
        if items is not None:
            digest = save_items(self.root, items)
            if outcome.status is Status.OK:
                outcome, rows = _judged(outcome, _asked(outcome, items))
        record = _record(outcome, environment, items, digest)
        scorer = items.scorer if items is not None else ""
        seal(
            self.root,
            FinishedRun(outcome.spec, environment, record, outcome.outputs, rows, scorer),
        )
        if is_timed(outcome.spec):
            self._shelf().discard(outcome.spec)
        told = outcome.reason
        if outcome.adaptive is not None and outcome.adaptive.parent_run is not None:
            told = told or outcome.adaptive.reason
        self.listener.cell_finished(outcome.spec, outcome.status, told, outcome.seconds)


def _job(made: Artefact, *cells: CellJob) -> WorkerJob:
    draft = None if made.draft is None else str(made.draft)
    return WorkerJob(artefact=str(made.path), artefact_sha256=made.sha256, cells=cells, draft=draft)


def _read_items(path: Path) -> ItemSet:
    return ItemSet.model_validate_json(path.read_text("utf-8"))


def _asked(outcome: Outcome, items: ItemSet) -> ItemSet:
    """The items that the cell was asked: all, unless it stopped when enough was known."""
    stop = outcome.adaptive
    return items if stop is None else items.first(stop.asked)


def _judged(outcome: Outcome, items: ItemSet) -> tuple[Outcome, tuple[ScoreRow, ...]]:
    """Score the outputs; a cell of which nothing could be scored did not end ok."""
    rows = tuple(score(items, outcome.outputs))
    if rows and all(row.value is None for row in rows):
        why = next(row.failure for row in rows) or "no answer could be scored"
        return replace(
            outcome,
            status=Status.INVALID,
            reason=f"none of {len(items.items)} items could be scored: {why}",
            hint="look at samples.jsonl: the model gave no finite log-likelihoods",
        ), rows
    return outcome, rows


def _record(
    outcome: Outcome, environment: Environment, items: ItemSet | None, digest: str | None
) -> RunRecord:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    failed = sum(any(o.failure for o in item.outputs) for item in outcome.outputs)
    return RunRecord(
        run_id=f"{stamp}-{environment.machine}",
        digest=outcome.spec.digest,
        machine=environment.machine,
        started_utc=outcome.started_utc,
        ended_utc=utc_label(),
        status=outcome.status,
        reason=outcome.reason,
        signal=outcome.signal,
        hint=outcome.hint,
        stderr_tail=outcome.stderr_tail,
        model=outcome.model,
        item_set=digest,
        items_total=len(_asked(outcome, items).items) if items is not None else 0,
        items_failed=failed,
        phases=outcome.phases,
        adaptive=outcome.adaptive,
        peaks=outcome.peaks,
        observer=outcome.observer,
        slmbench_version=slmbench.__version__,
    )


def is_timed(spec: RunSpec) -> bool:
    """Whether a cell measures speed, memory or energy: these run in rounds, after all others."""
    return isinstance(spec.work, WorkloadSpec) and spec.work.timed


def worker_groups(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    """Cells that share a worker: the tasks of one variant × target; each workload is alone."""

    def key(cell: Cell) -> tuple[str, str, str]:
        spec = cell.spec
        alone = spec.digest if isinstance(spec.work, WorkloadSpec) else ""
        return (spec.variant.digest, spec.target.model_dump_json(), alone)

    first: dict[tuple[str, str, str], int] = {}
    for index, cell in enumerate(cells := list(cells)):
        first.setdefault(key(cell), index)
    ordered = sorted(cells, key=lambda c: first[key(c)])
    for _, group in groupby(ordered, key=key):
        yield list(group)


def _invalid(spec: RunSpec, reason: str, hint: str, status: Status = Status.INVALID) -> Outcome:
    return Outcome(spec, None, utc_label(), 0.0, status, reason=reason, hint=hint)
