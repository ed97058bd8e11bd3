"""Judge a cell's answers as they arrive, and say when its difference from the parent is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slmbench.records import AdaptiveStop, Look
from slmbench.requests import ItemOutput, ItemSet
from slmbench.sequential import METRIC_OF, Pair, Schedule, look
from slmbench.spec.suite import Until
from slmbench.tasks.scorers import score


@dataclass(frozen=True, slots=True)
class ParentAnswers:
    """What the parent's finished run made of the same items."""

    run_id: str
    asked: int
    """How many items it was asked: the first ones of the same set."""
    values: Mapping[str, float | None]
    """By item id, in the metric of ``until``; None where it could not be scored."""


@dataclass(slots=True)
class Watcher:
    """The looks at one cell while it runs."""

    items: ItemSet
    until: Until
    parent: ParentAnswers
    looks: list[Look] = field(default_factory=list)
    enough: bool = False
    _pairs: list[Pair | None] = field(default_factory=list)

    @property
    def schedule(self) -> Schedule:
        """Looks are of use as far as the parent was asked."""
        return Schedule(self.until, self.parent.asked)

    def go_on(self, outputs: Sequence[ItemOutput]) -> bool:
        """Whether more items are to be asked; ``outputs`` are all answers so far, in order."""
        self._judge(outputs)
        done = self.looks[-1].asked if self.looks else 0
        for asked in self.schedule.looks:
            if self.enough or not done < asked <= len(outputs):
                continue
            pairs = [p for p in self._pairs[:asked] if p is not None]
            looked = look(self.schedule, asked, pairs)
            self.looks.append(looked.look)
            self.enough = looked.enough
        return not self.enough

    def record(self, outputs: Sequence[ItemOutput]) -> AdaptiveStop:
        """What is to be kept when the cell has ended ok with these answers."""
        self.go_on(outputs)
        return AdaptiveStop(
            parent_run=self.parent.run_id,
            asked=len(outputs),
            available=len(self.items.items),
            reason=self._reason(len(outputs)),
            looks=tuple(self.looks),
        )

    def _judge(self, outputs: Sequence[ItemOutput]) -> None:
        """Score what is new."""
        known = len(self._pairs)
        fresh = self.items.items[known : len(outputs)]
        if not fresh:
            return
        part = self.items.model_copy(update={"items": fresh})
        metric = METRIC_OF[self.until.metric]
        mine = {
            row.item_id: row.value for row in score(part, outputs[known:]) if row.metric == metric
        }
        for item in fresh:
            a, b = self.parent.values.get(item.item_id), mine.get(item.item_id)
            if a is None or b is None:
                self._pairs.append(None)
            else:
                self._pairs.append(Pair(b - a, item.cluster))

    def _reason(self, asked: int) -> str:
        available = len(self.items.items)
        width = _halfwidth(self.looks[-1]) if self.looks else None
        if width is None:
            return f"all {available} items asked: too few pairs to judge"
        if asked < available:
            return f"stopped after {asked} of {available}: {width}"
        if self.enough:
            return f"all {available} items asked: {width}"
        limit = self.parent.asked
        short = f" after the {limit} that the parent answered" if limit < available else ""
        return f"all {available} items asked: {width}{short}"


def _halfwidth(one: Look) -> str | None:
    """``±1.9 pt``, from a look."""
    if one.low is None or one.high is None:
        return None
    return f"±{(one.high - one.low) * 50:.1f} pt"
