"""Whether a task can stop early: is there a finished run of the parent on the same items?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slmbench.plan import Cell, resolve_target
from slmbench.records import AdaptiveStop, Status
from slmbench.requests import ItemSet
from slmbench.runner.watch import ParentAnswers, Watcher
from slmbench.sequential import METRIC_OF
from slmbench.spec import ModelsFile, RunSpec, TaskSpec, VariantRef, digest_of
from slmbench.spec.suite import Until
from slmbench.store import StoredRun, finished


@dataclass(frozen=True, slots=True)
class Followers:
    """Which cells may follow which finished runs, in one results folder on one machine."""

    root: Path
    machine: str
    models: ModelsFile
    refs: Mapping[str, VariantRef]
    planned: Collection[Cell]

    def watcher(self, spec: RunSpec, until: Until, items: ItemSet) -> Watcher | str:
        """What judges the cell of a task while it runs; or why all of its items are asked.

        A variant that others of the plan are compared with is asked everything: their pairs
        end where its items end.
        """
        if children := self._children(spec):
            return f"others are compared with it: {', '.join(children)}"
        if spec.variant.parent is None:
            return "it has no parent to be compared with"
        parent = self._parent_run(spec)
        if parent is None:
            return f"its parent {spec.variant.parent} has no finished run of this task here"
        if parent.record.item_set != digest_of(items):
            return f"its parent {spec.variant.parent} was asked other items"
        metric = METRIC_OF[until.metric]
        values = {row.item_id: row.value for row in parent.scores() if row.metric == metric}
        if not values:
            return f"the task's scorer {items.scorer} gives no {metric}"
        record = parent.record
        return Watcher(items, until, ParentAnswers(record.run_id, record.items_total, values))

    def _children(self, spec: RunSpec) -> list[str]:
        name, task = spec.variant.name, spec.work_name
        return sorted(
            {
                c.spec.variant.name
                for c in self.planned
                if c.spec.variant.parent == name
                and (c.spec.suite, c.spec.work_name) == (spec.suite, task)
            }
        )

    def _parent_run(self, spec: RunSpec) -> StoredRun | None:
        """The parent's newest ok run of the same questions, on the same target if there is one."""
        for candidate in self._parent_specs(spec):
            run = finished(self.root, candidate, self.machine)
            if run is not None and run.record.status is Status.OK:
                return run
        return None

    def _parent_specs(self, spec: RunSpec) -> Iterator[RunSpec]:
        assert isinstance(spec.work, TaskSpec)
        assert spec.variant.parent is not None
        parent = self.refs[spec.variant.parent]
        others = [resolve_target(t) for t in self.models.targets]
        works = [spec.work, spec.work.model_copy(update={"until": None})]
        for target in [spec.target, *(t for t in others if t != spec.target)]:
            for work in works:
                yield RunSpec(  # a copy would keep the digest of this variant's spec
                    suite=spec.suite,
                    size=spec.size,
                    variant=parent,
                    target=target,
                    work=work,
                    timeout_s=spec.timeout_s,
                )


def unwatched(reason: str, items: ItemSet) -> AdaptiveStop:
    """What the record says of a cell that could not stop early."""
    total = len(items.items)
    why = f"all {total} items asked: {reason}"
    return AdaptiveStop(parent_run=None, asked=total, available=total, reason=why)
