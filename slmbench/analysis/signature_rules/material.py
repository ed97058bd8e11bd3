"""What the rules look at: the results of every system, and of what it was made from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

from slmbench.analysis.accuracy_mean import Scores, accuracy_scores
from slmbench.analysis.constructs import derived
from slmbench.analysis.constructs.judged_run import JudgedRun
from slmbench.analysis.frontier import Edge, edges
from slmbench.analysis.long_context import LongSequences, symptoms
from slmbench.analysis.pairing import Lineages, Reference
from slmbench.analysis.plausibility import Guard, Suspicion
from slmbench.analysis.signature_rules.findings import Thresholds
from slmbench.analysis.stored_results import StoredResults
from slmbench.analysis.systems import System
from slmbench.made import MadeRecord
from slmbench.records import Status
from slmbench.spec import VariantRef
from slmbench.store import StoredRun

MISMEASURED: frozenset[Guard] = frozenset(
    {"impossible log-likelihood", "other prompt start", "score without answer", "twin"}
)
"""Guards that say the measurement is wrong, so that it proves nothing about the model. The others
see outputs that no working model gives, which is what some signatures are about."""


@dataclass(frozen=True)
class Material:
    """Results, arranged by system; everything is made once and when it is first asked for."""

    results: StoredResults
    made: Sequence[MadeRecord]
    thresholds: Thresholds

    @cached_property
    def systems(self) -> tuple[System, ...]:
        """Everything that was run, in a stable order."""
        return tuple(sorted({System.of(run) for run in self.results.stored}, key=astuple))

    @cached_property
    def lineages(self) -> Lineages:
        """Who was made from whom."""
        return Lineages.of(self.results.stored)

    @cached_property
    def runs(self) -> Mapping[System, tuple[StoredRun, ...]]:
        """All runs by system."""
        found: dict[System, list[StoredRun]] = {}
        for run in self.results.stored:
            found.setdefault(System.of(run), []).append(run)
        return {system: tuple(runs) for system, runs in found.items()}

    @cached_property
    def judged(self) -> Mapping[System, tuple[JudgedRun, ...]]:
        """Quality runs by system."""
        found: dict[System, list[JudgedRun]] = {}
        for run in self.results.judged_runs:
            found.setdefault(System.of(run.run), []).append(run)
        return {system: tuple(runs) for system, runs in found.items()}

    @cached_property
    def scores(self) -> Mapping[System, Scores]:
        """Accuracy by system, of runs that measured what they say."""
        sound = (r for r in self.results.judged_runs if not self.is_mismeasured(r.run))
        return accuracy_scores(sound)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """What fits below memory limits."""
        return edges(self.results.stored)

    @cached_property
    def long_texts(self) -> tuple[LongSequences, ...]:
        """What long texts showed."""
        long = (r for r in self.results.judged_runs if r.scorer in ("retrieval", "position"))
        return symptoms(row for run in long for row in derived(run))

    @cached_property
    def _by_questions(self) -> Mapping[tuple[str, str], list[JudgedRun]]:
        found: dict[tuple[str, str], list[JudgedRun]] = {}
        for run in self.results.judged_runs:
            key = (run.run.spec.variant.name, run.run.record.item_set or "")
            found.setdefault(key, []).append(run)
        return found

    def reference(self, system: System) -> VariantRef | None:
        """The system's variant as its newest run knew it."""
        return self.lineages.by_digest.get(system.digest)

    def parent(self, system: System) -> Reference | None:
        """What it was made from; None for a root."""
        ref = self.reference(system)
        return None if ref is None else self.lineages.parent(ref)

    def ancestors(self, system: System) -> Iterator[Reference]:
        """What it was made from, the nearest first, as far as runs tell."""
        seen = {system.variant}
        here = self.parent(system)
        while here is not None and here.name not in seen:
            seen.add(here.name)
            yield here
            known = self.lineages.by_digest.get(here.digest or "")
            known = known or self.lineages.by_name.get(here.name)
            here = None if known is None else self.lineages.parent(known)

    def alike(self, system: System, other: str, digest: str | None) -> tuple[System, ...]:
        """Systems of that variant, those most like this one first."""

        def closeness(found: System) -> tuple[bool, ...]:
            return (
                digest is not None and found.digest != digest,
                found.size != system.size,
                found.target != system.target,
                found.backend != system.backend,
                found.machine != system.machine,
            )

        return tuple(sorted((s for s in self.systems if s.variant == other), key=closeness))

    def partner(self, run: JudgedRun, wanted: Reference) -> JudgedRun | None:
        """The reference's run on the same items; of several the one most like this run."""
        target = run.run.spec.target

        def closeness(other: JudgedRun) -> tuple[bool, bool, bool, str]:
            spec = other.run.spec
            return (
                spec.variant.digest == wanted.digest,
                spec.target.name == target.name,
                spec.target.backend == target.backend,
                other.run.record.run_id,
            )

        found = self._by_questions.get((wanted.name, run.run.record.item_set or ""), ())
        same = [r for r in found if _asked_alike(r.run, run.run)]
        return max(same, key=closeness, default=None)

    def doubts(self, run: StoredRun, guards: Collection[Guard]) -> tuple[Suspicion, ...]:
        """Of these guards, what they say about a run."""
        return tuple(s for s in self.results.doubts.get(run.folder, ()) if s.guard in guards)

    def is_mismeasured(self, run: StoredRun) -> bool:
        """Whether a guard says that something else than the model was measured."""
        return bool(self.doubts(run, MISMEASURED))

    def out_of_memory(self, system: System) -> tuple[StoredRun, ...]:
        """Its runs that were ended for want of memory."""
        return tuple(r for r in self.runs.get(system, ()) if r.record.status is Status.OOM)


def _asked_alike(left: StoredRun, right: StoredRun) -> bool:
    a, b = left.spec.work, right.spec.work
    return a.kind == b.kind == "task" and (a.task, a.num_fewshot, a.chat_template) == (
        b.task,
        b.num_fewshot,
        b.chat_template,
    )
