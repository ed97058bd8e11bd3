"""Which variant to ship: the cheapest that loses nothing that matters and keeps the limits.

A system (variant on target) may be shipped when it is non-inferior to the reference within the
margin on every primary accuracy score, shows no failure signature that the reference does not
show, and keeps every limit that was set. What was not measured "cannot be said": it never passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from slmbench.analysis.accuracy_mean import ACCURACY, NOT_ACCURACY
from slmbench.analysis.compare import Asked, Comparison, Delta, compare
from slmbench.analysis.cost_pairs import cost_pair
from slmbench.analysis.headline import headline_point
from slmbench.analysis.paired import COST_MARGIN, cost_verdict
from slmbench.analysis.pairing import BASE, Lineages
from slmbench.analysis.results import Results
from slmbench.analysis.rows import MetricRow
from slmbench.analysis.shipping import (
    ORDER,
    Choice,
    Cost,
    Decision,
    Keeps,
    Loss,
    Outcome,
    held_against,
    lost,
    undecided,
)
from slmbench.analysis.signature_rules.findings import Finding
from slmbench.analysis.statistics import Estimate
from slmbench.analysis.systems import System
from slmbench.errors import UsageError
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.spec import TaskSpec
from slmbench.spec.experiment import Limits

_EXACT = frozenset({"single", "max", "sum"})
"""Aggregates without a sampling interval: facts about the run."""
_NOT_THE_LOAD = frozenset({"warm_up", "idle_unloaded", "idle_before", "idle_after"})


def which_to_ship(
    results: Results, limits: Limits | None = None, reference: str | None = None
) -> Decision:
    """Judge every system of a results folder.

    ``reference``: a variant's name; none: the root of each variant's lineage. Raises UsageError
    when there are no results of it.
    """
    wanted = limits or Limits()
    against = reference or BASE
    names = {run.spec.variant.name for run in results.stored}
    if reference is not None and reference not in names:
        raise UsageError(
            f"no results of variant {reference!r} in {results.root}",
            hint=f"there are: {', '.join(sorted(names)) or 'none'}",
        )
    comparison = compare(results, Asked(None, against, None, (), wanted.margin, strict=False))
    judge = _Judge(results, wanted, against, comparison, Lineages.of(results.stored))
    systems = sorted({System.of(r) for r in results.stored}, key=lambda s: (s.variant, s.target))
    return Decision(against, wanted, tuple(_ranked(judge, [judge.choice(s) for s in systems])))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Makes a choice of a system."""

    results: Results
    limits: Limits
    against: str
    comparison: Comparison
    lineages: Lineages

    def choice(self, system: System) -> Choice:
        """Everything about one system but its rank."""
        name = self._reference(system)
        losses, open_tasks = self._losses(system, name)
        costs = tuple(self._costs(system))
        price = self.price(system)
        found, excused, unchecked = self._signatures(system, name)
        broken = [f"{f.signature}: {f.text}" for f in found]
        broken += [lost(loss, self.limits.margin) for loss in losses if loss.non_inferior == "no"]
        broken += [held_against(c) for c in costs if c.keeps == "no"]
        if self._simulated(system):
            broken.append("its compression is simulated: nothing with these costs can be shipped")
        unknown = [
            undecided(x, self.limits.margin) for x in losses if x.non_inferior == "inconclusive"
        ]
        unknown += [*open_tasks, *(held_against(c) for c in costs if c.keeps == "cannot be said")]
        if price.estimate.value is None:
            unknown.append(f"its price is not known: {price.reason}")
        outcome: Outcome = "ruled out" if broken else "cannot be said" if unknown else "may ship"
        return Choice(
            system, outcome, tuple(broken), tuple(dict.fromkeys(unknown)), tuple(losses), costs,
            price, (*unchecked, *excused), is_reference=name is None,
        )  # fmt: skip

    def _reference(self, system: System) -> str | None:
        """What it is compared with; None for the reference itself."""
        ref = self.lineages.by_digest.get(system.digest) or self.lineages.by_name[system.variant]
        found = self.lineages.reference(ref, self.against)
        return None if found is None else found.name

    def _losses(self, system: System, reference: str | None) -> tuple[list[Loss], list[str]]:
        """Scores against the reference's; and the tasks of which nothing can be said."""
        tasks = dict.fromkeys(
            row.run.spec.work_name
            for row in self.results.metric_rows
            if _is_accuracy(row) and row.run.spec.variant.name in (reference or system.variant,)
        )
        if not tasks:
            return [], [f"no accuracy results of {reference or system.variant}"]
        if reference is None:
            return [], []
        mine = {
            d.row.run.spec.work_name: d
            for d in self.comparison.deltas
            if System.of(d.row.run) == system and _is_accuracy(d.row)
        }
        losses = [loss for d in mine.values() if (loss := _loss(d)) is not None]
        told = {loss.task for loss in losses}
        return losses, [self._untold(system, t, mine.get(t)) for t in tasks if t not in told]

    def _untold(self, system: System, task: str, delta: Delta | None) -> str:
        if delta is not None:
            return f"{task}: {delta.row.reason or 'its difference has no interval'}"
        refused = [
            r.reason
            for r in self.comparison.refused
            if r.row is not None
            and System.of(r.row.run) == system
            and r.row.run.spec.work_name == task
        ]
        failed = [
            row.reason
            for row in self.results.metric_rows
            if System.of(row.run) == system and row.run.spec.work_name == task and row.reason
        ]
        return f"{task}: {next(iter((*refused, *failed)), 'was not run')}"

    def _signatures(
        self, system: System, reference: str | None
    ) -> tuple[list[Finding], list[str], list[str]]:
        """Those that count; those that the reference has too; those that nothing decides."""
        mine = [f for f in self.results.findings if f.system == system]
        theirs = {
            f.signature
            for f in self.results.findings
            if f.found and f.system.variant == (reference or system.variant)
        }
        found = [f for f in mine if f.found]
        new = [f for f in found if f.signature not in theirs]
        excused = [f"{f.signature}: shown, as by the reference" for f in found if f not in new]
        open_ones = [f"{f.signature}: {f.reason}" for f in mine if f.verdict == "not decidable"]
        return new, excused, open_ones

    def _simulated(self, system: System) -> bool:
        runs = [r for r in self.results.stored if System.of(r) == system]
        models = [r.record.model for r in runs if r.record.model is not None]
        made = [m.measured for m in self.results.made if m.identity == system.digest]
        return any(m.kernel == "simulated" for m in models) or any(
            m is not None and m.kernel == "simulated" for m in made
        )

    def _costs(self, system: System) -> Iterator[Cost]:
        """Every limit that was set, at every point that was measured."""
        asked = (
            ("peak_memory", self.limits.memory_mb, 1e6),
            ("tpot", self.limits.tpot_ms, 1e-3),
            ("ttft", self.limits.ttft_ms, 1e-3),
            ("energy_per_token", self.limits.energy_j_per_token, 1.0),
        )
        for metric, limit, scale in asked:
            if limit is None:
                continue
            rows = self.rows(system, metric)
            if not rows:
                yield _nothing(metric, limit * scale, f"{metric} was not measured")
            for row in rows:
                yield _held(_cost(row), limit * scale)

    def rows(self, system: System, metric: str) -> list[MetricRow]:
        """The newest row of every point of a cost; failures where there is no number."""
        found: dict[str, MetricRow] = {}
        for row in self.results.metric_rows:
            if (
                row.metric == metric
                and row.phase not in _NOT_THE_LOAD
                and System.of(row.run) == system
            ):
                known = found.get(row.point)
                if known is None or row.run.record.run_id >= known.run.record.run_id:
                    found[row.point] = row
        return list(found.values())

    def price(self, system: System) -> Cost:
        """What cheapest goes by, at the point that most systems have."""
        metric = self.limits.cheapest_by
        if metric == "artefact_size":
            runs = [r for r in self.results.stored if System.of(r) == system]
            sizes = [r.record.model.artefact_bytes for r in runs if r.record.model is not None]
            if not sizes:
                return _nothing(metric, None, "no run loaded the model")
            return Cost(metric, "", Estimate(sizes[-1], 1, method="exact"), Provenance.MEASURED)
        row = self.price_row(system)
        return _nothing(metric, None, f"{metric} was not measured") if row is None else _cost(row)

    def price_row(self, system: System) -> MetricRow | None:
        """The row behind the price."""
        metric = self.limits.cheapest_by
        point = headline_point(self.results.metric_rows).get(metric, "")
        rows = self.rows(system, metric)
        return next((r for r in rows if r.point == point), rows[0] if rows else None)

    def tied(self, first: System, other: System) -> bool:
        """Whether the prices of two systems cannot be told apart."""
        left, right = self.price(first).estimate.value, self.price(other).estimate.value
        if left is None or right is None or left == right:
            return True
        before, after = self.price_row(first), self.price_row(other)
        if before is None or after is None:
            return False
        pair = cost_pair(before, after)
        if pair is None or pair.difference.low is None:
            return abs(right - left) <= COST_MARGIN * abs(left)
        floor = self.results.timing_floor(after, pair.rounds)
        verdict = cost_verdict(pair.difference, left, after.direction, floor)
        return verdict == "not resolved"


def _ranked(judge: _Judge, choices: Iterable[Choice]) -> Iterator[Choice]:
    """Those that may ship by price, then the others by what is against them."""
    ordered = sorted(choices, key=lambda c: (ORDER.index(c.outcome), _price(c), c.system.variant))
    first: System | None = None
    for rank, choice in enumerate(ordered, start=1):
        if choice.outcome != "may ship":
            yield choice
            continue
        tied = first is not None and judge.tied(first, choice.system)
        first = first or choice.system
        yield replace(choice, rank=rank, tied=tied)


def _price(choice: Choice) -> float:
    value = choice.price.estimate.value
    return float("inf") if value is None else value


def _is_accuracy(row: MetricRow) -> bool:
    spec = row.run.spec
    if not isinstance(spec.work, TaskSpec) or spec.suite in NOT_ACCURACY:
        return False
    return row.primary and row.metric in ACCURACY


def _loss(d: Delta) -> Loss | None:
    e = d.equivalence
    if e is None or e.non_inferior is None:
        return None
    diff = d.difference
    return Loss(
        d.row.run.spec.work_name, diff.delta, diff.low, diff.high, e.non_inferior, e.n_needed
    )


def _cost(row: MetricRow) -> Cost:
    return Cost(row.metric, row.point, row.estimate, row.provenance, reason=row.reason)


def _nothing(metric: str, limit: float | None, reason: str) -> Cost:
    nothing = Estimate(None, 0, method="no value")
    keeps: Keeps | None = None if limit is None else "cannot be said"
    return Cost(metric, "", nothing, Provenance.UNAVAILABLE, limit, keeps, reason)


def _held(cost: Cost, limit: float) -> Cost:
    """Against its limit: the whole interval decides; a number without one only if it is exact."""
    e = cost.estimate
    if e.value is None or cost.provenance in (Provenance.UNAVAILABLE, Provenance.ESTIMATED):
        why = cost.reason or "there is only an estimate"
        return replace(cost, limit=limit, keeps="cannot be said", reason=why)
    low, high, reason = e.low, e.high, ""
    if low is None or high is None:
        if METRICS[cost.metric].aggregate not in _EXACT and e.value <= limit:
            why = "too few readings for an interval"
            return replace(cost, limit=limit, keeps="cannot be said", reason=why)
        low = high = e.value
        reason = "judged by its value: it has no interval"
    keeps: Keeps = "yes" if high <= limit else "no" if low > limit else "cannot be said"
    if keeps == "cannot be said":
        reason = "its interval reaches across the limit"
    return replace(cost, limit=limit, keeps=keeps, reason=reason)
