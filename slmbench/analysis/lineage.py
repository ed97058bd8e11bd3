"""The lineage as data: every variant with the step that led to it, what it cost and what it did.

Used by `slmbench lineage` and by the report's figure. The change of quality is the mean over the
accuracy tasks that child and parent were both asked with the same items, paired item by item
(:func:`slmbench.analysis.accuracy_mean.mean_difference`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.accuracy_mean import Scores, accuracy_scores, mean_difference, shared
from slmbench.analysis.paired import Difference
from slmbench.analysis.results import Results
from slmbench.analysis.systems import System
from slmbench.analysis.variant_frame import KnownVariant, known_variants
from slmbench.made import Energy


@dataclass(frozen=True, slots=True)
class QualityChange:
    """Child minus parent on the accuracy tasks that both were asked."""

    difference: Difference
    """Mean over tasks; a fraction, with its 95 % interval."""
    tasks: int
    target: str
    parent_target: str

    @property
    def same_target(self) -> bool:
        """Whether both ran on the same target; else the runtime is part of the change."""
        return self.target == self.parent_target


@dataclass(frozen=True, slots=True)
class LineageStep:
    """A variant and the step that made it of its parent."""

    variant: KnownVariant
    parent: KnownVariant | None
    """None for a root, and for a parent of which nothing is known."""
    quality: QualityChange | None
    no_quality: str = ""
    """Why no change of quality can be told."""

    @property
    def name(self) -> str:
        """Of the variant."""
        return self.variant.ref.name

    @property
    def parent_name(self) -> str | None:
        """As declared, known or not."""
        return self.variant.ref.parent

    @property
    def technique(self) -> str:
        """What was done, in a word."""
        return self.variant.ref.technique

    @property
    def seconds(self) -> float | None:
        """What making it took [s]."""
        return None if self.variant.made is None else self.variant.made.duration_s

    @property
    def energy(self) -> Energy | None:
        """What making it took; None where no record says."""
        return self.variant.energy

    @property
    def bytes_change(self) -> int | None:
        """Size on disk, minus the parent's [bytes]."""
        ends = (self.variant.bytes, None if self.parent is None else self.parent.bytes)
        return None if ends[0] is None or ends[1] is None else ends[0] - ends[1]

    @property
    def size_ratio(self) -> float | None:
        """Size on disk over the parent's."""
        mine, theirs = self.variant.bytes, None if self.parent is None else self.parent.bytes
        return mine / theirs if mine is not None and theirs else None


def lineage_steps(results: Results) -> tuple[LineageStep, ...]:
    """One step a variant that the results folder knows, parents before their children."""
    return steps_of(known_variants(results), quality_of(results))


Accuracies = Mapping[str, Mapping[System, Scores]]
"""By digest of the variant."""


def quality_of(results: Results) -> Accuracies:
    """Accuracy scores of every variant, for :func:`steps_of`."""
    found: dict[str, dict[System, Scores]] = {}
    for system, scores in accuracy_scores(results.judged_runs).items():
        found.setdefault(system.digest, {})[system] = scores
    return found


def steps_of(known: Sequence[KnownVariant], accuracies: Accuracies) -> tuple[LineageStep, ...]:
    """Steps between these variants, in their order."""
    by_digest = {(v.ref.name, v.ref.digest): v for v in known}
    steps = []
    for variant in known:
        ref = variant.ref
        parent = by_digest.get((ref.parent or "", ref.parent_digest or ""))
        change, why = None, "a root"
        if ref.parent is not None and ref.parent_digest is not None:
            change, why = _change(
                accuracies.get(ref.digest, {}), accuracies.get(ref.parent_digest, {}), ref.parent
            )
        steps.append(LineageStep(variant, parent, change, why))
    return tuple(steps)


def _change(
    mine: Mapping[System, Scores], theirs: Mapping[System, Scores], parent: str
) -> tuple[QualityChange | None, str]:
    """The change on the pair of systems that share most, or why there is none."""
    if not mine:
        return None, "no accuracy results"
    if not theirs:
        return None, f"no accuracy results of {parent}"
    best: tuple[tuple[bool, int], QualityChange] | None = None
    for left, right in _pairs(mine, theirs):
        pairs = shared(mine[left], theirs[right])
        difference = mean_difference(pairs) if pairs else None
        if difference is None:
            continue
        rank = (left.target == right.target, len(pairs))
        if best is None or rank > best[0]:
            change = QualityChange(difference, len(pairs), left.target, right.target)
            best = (rank, change)
    if best is None:
        return None, f"{parent} was asked other items"
    return best[1], ""


def _pairs(mine: Iterable[System], theirs: Iterable[System]) -> list[tuple[System, System]]:
    return [(a, b) for a in mine for b in theirs if (a.size, a.machine) == (b.size, b.machine)]
