"""What a section reads: the cells of its experiment, its variants, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slmbench.analysis.results import Results
from slmbench.analysis.rows import MetricRow
from slmbench.made import (
    MadeRecord,
    Training,
)
from slmbench.records import ModelInfo, Status
from slmbench.spec.experiment import Arm, Experiment
from slmbench.store.experiments import KeptExperiment, MemberVariant


@dataclass(frozen=True)
class Material:
    """One experiment with its results."""

    kept: KeptExperiment
    results: Results
    """Its cells only."""
    made: Mapping[str, MadeRecord]
    """By variant name; sources and what could not be made are not in it."""
    rows: Mapping[str, tuple[MetricRow, ...]]
    """By variant name."""
    failed: Mapping[str, str]
    """Why variants could not be made, by name."""

    @property
    def experiment(self) -> Experiment:
        """Its file."""
        return self.kept.experiment

    def row(self, variant: str, suite: str, work: str, metric: str) -> MetricRow | None:
        """The row with a value and the most readings, else one that says why there is none."""
        found = [
            row
            for row in self.rows.get(variant, ())
            if (row.run.spec.suite, row.run.spec.work_name) == (suite, work)
            and row.metric == metric
            and row.phase != "warm_up"
        ]
        return max(
            found,
            key=lambda r: (r.estimate.value is not None, r.primary, r.estimate.n),
            default=None,
        )

    def training(self, variant: str) -> Training | None:
        """How the variant itself was trained; None for one that was not."""
        record = self.made.get(variant)
        return None if record is None else record.training

    def lineage(self, variant: str) -> tuple[MemberVariant, ...]:
        """The variant and what it was derived from, itself first, the root last."""
        found: list[MemberVariant] = []
        name: str | None = variant
        while name is not None and (member := self.kept.member(name)) is not None:
            found.append(member)
            name = member.variant.parent
        return tuple(found)

    def parent(self, variant: str) -> str | None:
        """What the variant was made from."""
        member = self.kept.member(variant)
        return None if member is None else member.variant.parent

    def bits(self, variant: str) -> float | None:
        """Effective bits per weight, as read off the artefact; None where nothing is known.

        Of a grid whose levels are stored as floats or bytes those that the grid would take.
        """
        record = self.made.get(variant)
        if record is not None and record.grid_bits is not None:
            return record.grid_bits
        if record is not None and record.measured is not None:
            return record.measured.bits_per_weight
        loaded = self._loaded(variant)
        return None if loaded is None else loaded.bits_per_weight

    def parameters(self, variant: str) -> int | None:
        """Weights, a tied head once; None where nothing is known."""
        record = self.made.get(variant)
        if record is not None and record.measured is not None:
            return record.measured.parameters
        loaded = self._loaded(variant)
        return None if loaded is None else loaded.parameters

    def size(self, variant: str) -> int | None:
        """Bytes on disk."""
        record = self.made.get(variant)
        if record is not None:
            return record.artefact_bytes
        loaded = self._loaded(variant)
        return None if loaded is None else loaded.artefact_bytes

    def is_simulated(self, variant: str) -> bool:
        """Whether dense arithmetic stands for the compression."""
        record, member = self.made.get(variant), self.kept.member(variant)
        if record is not None and record.measured is not None:
            return record.measured.kernel == "simulated"
        return member is not None and member.variant.is_simulated

    def arms(self, *roles: str) -> tuple[Arm, ...]:
        """The arms of these roles, in order."""
        return tuple(arm for arm in self.experiment.arms if arm.role in roles)

    def _loaded(self, variant: str) -> ModelInfo | None:
        runs = [r for r in self.results.stored if r.spec.variant.name == variant]
        models = (r.record.model for r in runs if r.record.status is Status.OK)
        return next((m for m in models if m is not None), None)


def gather(results: Results, kept: KeptExperiment) -> Material:
    """The part of a results folder that belongs to the experiment."""
    wanted = frozenset(kept.cells)
    mine = replace(
        results,
        stored=tuple(r for r in results.stored if r.record.digest in wanted),
        baseline_runs=tuple(r for r in results.baseline_runs if r.record.digest in wanted),
    )
    rows: dict[str, list[MetricRow]] = {}
    for row in mine.metric_rows:
        rows.setdefault(row.run.spec.variant.name, []).append(row)
    by_identity = {record.identity: record for record in results.made}
    made = {m.variant.name: by_identity[m.digest] for m in kept.members if m.digest in by_identity}
    failures = {r.variant.digest: r.failure for r in results.variant_records if r.failure}
    failed = {m.variant.name: failures[m.digest] for m in kept.members if m.digest in failures}
    return Material(kept, mine, made, {name: tuple(rs) for name, rs in rows.items()}, failed)
