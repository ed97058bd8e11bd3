"""Which run a run is compared with, and what the two must have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from slmbench.analysis.rows import MetricRow
from slmbench.errors import IncomparableRunsError
from slmbench.spec import TaskSpec, VariantRef
from slmbench.store import StoredRun

PARENT, BASE = "parent", "base"
"""References that depend on the variant: what it was made from, and the root of its lineage."""

_PER_TOKEN = frozenset({"nats/token", "perplexity"})
"""Units of which only runs with one tokenizer can be compared."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a variant is compared with."""

    name: str
    digest: str | None
    """Of the artefact that the lineage names; None for a reference chosen by name."""


@dataclass(slots=True)
class Lineages:
    """The declared lineages of the variants that were run."""

    by_digest: dict[str, VariantRef] = field(default_factory=dict)
    by_name: dict[str, VariantRef] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[StoredRun]) -> Lineages:
        """Read the lineages off the runs; of two artefacts of one name the newest counts."""
        found = cls()
        for run in sorted(runs, key=lambda r: r.record.run_id):
            found.by_digest[run.spec.variant.digest] = run.spec.variant
            found.by_name[run.spec.variant.name] = run.spec.variant
        return found

    def parent(self, ref: VariantRef) -> Reference | None:
        """What the variant was made from; None for a root."""
        return None if ref.parent is None else Reference(ref.parent, ref.parent_digest)

    def base(self, ref: VariantRef) -> Reference | None:
        """The root of its lineage, as far as runs tell; None for a root."""
        seen = {ref.name}
        found = self.parent(ref)
        while found is not None and found.name not in seen:
            seen.add(found.name)
            known = self.by_digest.get(found.digest or "") or self.by_name.get(found.name)
            above = None if known is None else self.parent(known)
            if above is None:
                return found
            found = above
        return found

    def reference(self, ref: VariantRef, against: str) -> Reference | None:
        """``parent``, ``base``, or a variant by its name; None where that is itself."""
        if against == PARENT:
            found = self.parent(ref)
        elif against == BASE:
            found = self.base(ref)
        else:
            found = Reference(against, None)
        return None if found is None or found.name == ref.name else found


def counterpart(rows: Iterable[MetricRow], row: MetricRow, wanted: Reference) -> MetricRow | None:
    """The reference's row of the same thing, or None.

    Of several the same artefact, questions, target, backend and machine are preferred in this
    order, then the newest run.
    """
    mine = row.run.spec
    place = (row.metric, row.phase, row.point, row.scope)
    work = (mine.suite, mine.size, mine.work_name)

    def closeness(other: MetricRow) -> tuple[bool, bool, bool, bool, bool, str]:
        spec = other.run.spec
        return (
            spec.variant.digest == wanted.digest,
            all(left == right for _, left, right in _asked_alike(row.run, other.run)),
            spec.target.name == mine.target.name,
            spec.target.backend == mine.target.backend,
            other.run.record.machine == row.run.record.machine,
            other.run.record.run_id,
        )

    candidates = [
        other
        for other in rows
        if other.run.spec.variant.name == wanted.name
        and (other.run.spec.suite, other.run.spec.size, other.run.spec.work_name) == work
        and (other.metric, other.phase, other.point, other.scope) == place
        and other.estimate.value is not None
    ]
    return max(candidates, key=closeness, default=None)


def same_where_it_matters(
    row: MetricRow, other: MetricRow, wanted: Reference, varied: Collection[str]
) -> None:
    """Raises IncomparableRunsError for the first field that differs and is not varied."""
    for name, left, right in _matters(row.run, other.run):
        if left != right and name not in varied:
            raise IncomparableRunsError(name, right, left)
    if row.unit in _PER_TOKEN:
        _same_tokenizer(row.run, other.run, varied)
    found = other.run.spec.variant.digest
    if wanted.digest and wanted.digest != found and "parent_digest" not in varied:
        raise IncomparableRunsError("parent_digest", found, wanted.digest)


def _same_tokenizer(left: StoredRun, right: StoredRun, varied: Collection[str]) -> None:
    """A number per token means nothing beside one of another tokenizer; bits per byte do."""
    mine, theirs = left.record.model, right.record.model
    if mine is None or theirs is None or "tokenizer" in varied:
        return
    if mine.first_ids != theirs.first_ids:
        raise IncomparableRunsError("tokenizer", theirs.first_ids, mine.first_ids)


def _matters(left: StoredRun, right: StoredRun) -> Iterator[tuple[str, object, object]]:
    yield from _asked_alike(left, right)
    if not isinstance(left.spec.work, TaskSpec):
        yield "machine", left.record.machine, right.record.machine
        yield "device", left.spec.target.device, right.spec.target.device
        yield "threads", left.spec.target.threads, right.spec.target.threads


def _asked_alike(left: StoredRun, right: StoredRun) -> Iterator[tuple[str, object, object]]:
    a, b = left.spec.work, right.spec.work
    if isinstance(a, TaskSpec) and isinstance(b, TaskSpec):
        yield "item_set", left.record.item_set, right.record.item_set
        yield "num_fewshot", a.num_fewshot, b.num_fewshot
        yield "chat_template", a.chat_template, b.chat_template
