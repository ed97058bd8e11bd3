"""A results folder as typed values, each computed when it is first asked for and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from slmbench.analysis.answers import Answers, read_answers
from slmbench.analysis.baselines import (
    AgainstBaseline,
    Baseline,
    ChoicesOnly,
    against_baselines,
    item_baselines,
)
from slmbench.analysis.calibration import Calibration, calibrate
from slmbench.analysis.chance import chance_level
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.constructs.robustness import Robustness, robustness
from slmbench.analysis.contamination import contaminated
from slmbench.analysis.noise import timing_floor
from slmbench.analysis.plausibility import Evidence, Suspicion, marked
from slmbench.analysis.plausibility_pairs import suspicions
from slmbench.analysis.rows import Judged, MetricRow, judged_by_metric, metric_rows
from slmbench.made import MadeRecord
from slmbench.metrics import METRICS
from slmbench.records import SkipRecord, Status
from slmbench.requests import ItemSet
from slmbench.spec import Suite, TaskSpec
from slmbench.store import Quarantined, StoredRun, VariantRecord, read_items
from slmbench.store.noise import NoiseRecord, read_noise

if TYPE_CHECKING:
    from slmbench.analysis.signature_rules.findings import Finding


@dataclass(frozen=True)
class StoredResults:
    """What a results folder holds as typed values; :class:`slmbench.Results` adds the tables."""

    root: Path
    stored: tuple[StoredRun, ...]
    """The runs that the tables show: one per digest and machine unless all were asked for.

    Runs of baselines (``RunSpec.is_baseline``) are not among them."""
    quarantined: tuple[Quarantined, ...] = ()
    """Folders that could not be read, and why; never counted."""
    skips: tuple[SkipRecord, ...] = ()
    """Cells that the last plans left out, and why."""
    suites: tuple[Suite, ...] = ()
    """As they were when they were last run into this folder: they hold the margins."""
    baseline_runs: tuple[StoredRun, ...] = ()
    """Runs that measure a shortcut: :meth:`runs` and :meth:`baselines` show them, no other."""
    variant_records: tuple[VariantRecord, ...] = ()
    """Variants that were made or found for runs into this folder, and those that could not be."""
    _judged: dict[Path, dict[str, Judged] | None] = field(
        default_factory=dict, repr=False, compare=False
    )
    _item_sets: dict[str, ItemSet | None] = field(default_factory=dict, repr=False, compare=False)
    _answers: dict[Path, Answers | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def made(self) -> tuple[MadeRecord, ...]:
        """How derived variants were made, ancestors included; one of each identity."""
        found = {r.made.identity: r.made for r in self.variant_records if r.made is not None}
        return tuple(found.values())

    @property
    def all_runs(self) -> tuple[StoredRun, ...]:
        """Those of baselines too: for what must be told of every run, not for numbers."""
        return (*self.stored, *self.baseline_runs)

    @cached_property
    def metric_rows(self) -> tuple[MetricRow, ...]:
        """The rows of :meth:`metrics` as typed values; suspect ones are flagged, with why."""
        return tuple(
            marked(row, self.doubts.get(run.folder, ()))
            for run, found in self._plain_rows
            for row in found
        )

    @cached_property
    def _plain_rows(self) -> tuple[tuple[StoredRun, tuple[MetricRow, ...]], ...]:
        """Numbers of every run before anything is said about their plausibility."""
        return tuple(
            (run, metric_rows(run, self.judged(run), self.chance_of)) for run in self.stored
        )

    @cached_property
    def doubts(self) -> Mapping[Path, tuple[Suspicion, ...]]:
        """What makes runs suspect, by their folder; those above suspicion are not in it."""
        evidence = [
            Evidence(run, found, self.item_set(run), self.answers(run), self.judged(run) or {})
            for run, found in self._plain_rows
            if isinstance(run.spec.work, TaskSpec) and run.record.status is Status.OK
        ]
        found = dict(suspicions(evidence))
        for folder, suspicion in contaminated(evidence, self.made).items():
            found[folder] = (*found.get(folder, ()), suspicion)
        return found

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The rows of :meth:`signatures` as typed values."""
        from slmbench.analysis.signatures import find_signatures

        return find_signatures(self)

    @cached_property
    def calibrations(self) -> tuple[Calibration, ...]:
        """The rows of :meth:`calibration` by run, with reliability bins and risk curve."""
        doubtful = {row.run.folder: row for row in self.metric_rows if row.suspect}
        found = []
        for run in self.stored:
            items = self.item_set(run)
            if items is None or items.scorer != "multiple_choice":
                continue
            one = calibrate(run, self.answers(run), self.judged(run), items)
            if one is not None:
                found.append(one.doubted(doubtful.get(run.folder)))
        return tuple(found)

    @cached_property
    def construct_rows(self) -> tuple[MetricRow, ...]:
        """The rows of :meth:`constructs` as typed values."""
        from slmbench.analysis.constructs import derived

        rows = [row for judged in self.judged_runs for row in derived(judged)]
        return (*rows, *(row for found in self.disturbances for row in found.rows()))

    @cached_property
    def disturbances(self) -> tuple[Robustness, ...]:
        """The rows of :meth:`robustness` as typed values."""
        return robustness(self.stored, self.baseline_runs, self.judged, self.item_set)

    @cached_property
    def judged_runs(self) -> tuple[JudgedRun, ...]:
        """Quality runs that ended ok, with items and judgements; those of baselines apart."""
        return tuple(self._judged_runs(self.stored))

    def _judged_runs(self, runs: Iterable[StoredRun]) -> Iterator[JudgedRun]:
        for run in runs:
            items, judged = self.item_set(run), self.judged(run)
            if items is not None and judged and run.record.status is Status.OK:
                yield JudgedRun(run, items, judged, self.answers(run))

    @cached_property
    def shortcuts(self) -> tuple[AgainstBaseline, ...]:
        """The rows of :meth:`baselines` as typed values."""
        known: dict[str, tuple[Baseline, ...]] = {}
        alone = ChoicesOnly(self.baseline_runs, self.judged)
        found: list[AgainstBaseline] = []
        for run in self.stored:
            items, digest = self.item_set(run), run.record.item_set
            judged = self.judged(run)
            if items is None or digest is None or not judged:
                continue
            if digest not in known:
                known[digest] = item_baselines(items)
            if of_items := known[digest]:
                every = (*of_items, alone.beside(run, judged))
                found += against_baselines(run, judged, every, self.chance_of(run, "acc"))
        return tuple(found)

    @cached_property
    def noise(self) -> tuple[NoiseRecord, ...]:
        """What `slmbench doctor --noise` found on the machines of these runs."""
        return read_noise(self.root)

    def timing_floor(self, row: MetricRow, rounds: int) -> float | None:
        """Log ratio that the row's machine and target show A/A in so many rounds, if known."""
        run = row.run
        return timing_floor(self.noise, run.record.machine, run.spec.target, row.metric, rounds)

    def item_set(self, run: StoredRun) -> ItemSet | None:
        """The items of a quality run; None when there are none or they cannot be read."""
        digest = run.record.item_set
        if digest is None or not isinstance(run.spec.work, TaskSpec):
            return None
        if digest not in self._item_sets:
            try:
                self._item_sets[digest] = read_items(self.root, digest)
            except (ValueError, OSError):
                self._item_sets[digest] = None
        return self._item_sets[digest]

    def answers(self, run: StoredRun) -> Answers | None:
        """The stored answers of a quality run; None when none were kept."""
        if run.folder not in self._answers:
            items = self.item_set(run)
            self._answers[run.folder] = None if items is None else read_answers(run, items)
        return self._answers[run.folder]

    def judged(self, run: StoredRun) -> Mapping[str, Judged] | None:
        """Judgements of one run by metric; None when its score files cannot be read."""
        if run.folder not in self._judged:
            try:
                self._judged[run.folder] = judged_by_metric(run.scores())
            except (ValueError, OSError):
                self._judged[run.folder] = None
        return self._judged[run.folder]

    def chance_of(self, run: StoredRun, metric_name: str) -> float | None:
        """Chance level of a metric on the items that the run was judged on."""
        if run.record.item_set is None or not isinstance(run.spec.work, TaskSpec):
            return None
        if metric_name not in METRICS or not METRICS[metric_name].chance:
            return None
        items = self.item_set(run)
        return chance_level(metric_name, items.items if items is not None else ())
