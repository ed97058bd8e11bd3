"""Hold the results against acceptance gates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from slmbench.analysis.acceptance import FLIPS, Gate, refuse_absent
from slmbench.analysis.compare import Asked, Delta, compare, trusted, wanted_rows
from slmbench.analysis.equivalence import items_to_tell
from slmbench.analysis.pairing import Lineages
from slmbench.analysis.results import Results
from slmbench.analysis.rows import JUDGED_OF, MetricRow
from slmbench.analysis.stability import INTERFERENCE, Flag
from slmbench.analysis.statistics import Estimate
from slmbench.errors import UsageError
from slmbench.metrics import METRICS

Outcome = Literal["pass", "fail", "inconclusive"]
_EXACT = frozenset({"single", "max", "sum"})
"""Aggregates that are facts about the run and have no sampling interval."""
NO_INTERVAL = "judged by its value: it has no interval"


@dataclass(frozen=True, slots=True)
class Check:
    """One gate applied to one result."""

    gate: Gate
    variant: str
    reference: str
    target: str
    suite: str
    task: str
    """Task or workload."""
    point: str
    outcome: Outcome
    value: float | None = None
    """Change, ratio - 1, flip rate or level, in the unit of the gate."""
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval."""
    n: int = 0
    reason: str = ""
    """Why it is inconclusive, or what else is to be known."""


def judge(results: Results, gates: Iterable[Gate], asked: Asked) -> tuple[Check, ...]:
    """Apply each gate to every result that has its metric.

    A task that the reference answered and the variant did not is inconclusive, so that a crash
    never helps to pass. UsageError when no result at all has a gate's metric.
    """
    checks: list[Check] = []
    for gate in gates:
        mine = replace(asked, metrics=None if gate.metric == FLIPS else {gate.metric}, strict=False)
        found = [*_judged(results, gate, mine)]
        found += _missing(results, gate, mine, found)
        if not found:
            refuse_absent(gate, (r.metric for r in results.metric_rows if r.estimate.n))
        checks += sorted(found, key=_order)
    return tuple(checks)


def _order(c: Check) -> tuple[str, ...]:
    return (c.suite, c.task, c.point, c.variant, c.target)


def overall(checks: Iterable[Check]) -> Outcome:
    """Fail if one fails, else inconclusive if one is, else pass."""
    outcomes = {c.outcome for c in checks}
    return next((o for o in ("fail", "inconclusive") if o in outcomes), "pass")


def mapped(checks: Iterable[Check], inconclusive: Outcome) -> tuple[Check, ...]:
    """The checks with each inconclusive one turned into this outcome; its reason stays."""
    return tuple(
        replace(c, outcome=inconclusive) if c.outcome == "inconclusive" else c for c in checks
    )


def _judged(results: Results, gate: Gate, asked: Asked) -> Iterator[Check]:
    if gate.metric != FLIPS and gate.kind in ("below", "above"):
        lineages = Lineages.of(results.stored)
        for row in wanted_rows(results, asked):
            reference = lineages.reference(row.run.spec.variant, asked.against)
            if reference is not None:
                yield _level(gate, row, reference.name)
        return
    comparison = compare(results, asked)
    for d in comparison.deltas:
        if gate.metric != FLIPS or d.difference.flips is not None:
            yield _change(gate, d)
    if gate.metric != FLIPS:
        for r in comparison.refused:
            if r.row is not None:
                yield _check(gate, r.row, r.parent, "inconclusive", reason=r.reason)


def _check(
    gate: Gate,
    row: MetricRow,
    reference: str,
    outcome: Outcome,
    interval: Estimate | None = None,
    reason: str = "",
) -> Check:
    spec, e = row.run.spec, interval or Estimate(None, 0)
    return Check(
        gate, spec.variant.name, reference, spec.target.name, spec.suite, spec.work_name,
        row.point, outcome, e.value, e.low, e.high, e.n, reason,
    )  # fmt: skip


def _level(gate: Gate, row: MetricRow, reference: str) -> Check:
    if "suspect" in row.flags:
        return _check(gate, row, reference, "inconclusive", row.estimate, "the row is suspect")
    outcome, reason = _outcome(gate, row.estimate)
    reason = "; ".join(t for t in (reason, _disturbed(row.flags)) if t)
    return _check(gate, row, reference, outcome, row.estimate, reason)


def _change(gate: Gate, d: Delta) -> Check:
    found = _against_bound(gate, d)
    if not trusted(d):
        return _check(gate, d.row, d.parent, "inconclusive", found, "a row is suspect")
    outcome, reason = _outcome(gate, found)
    diff = d.difference
    reason = "; ".join(t for t in (reason, d.why, _disturbed(d.flags)) if t)
    if outcome == "inconclusive" and gate.kind == "change" and diff.p is not None:
        needed = items_to_tell(diff, abs(diff.delta - gate.bound))
        if needed is not None:
            reason += f"; if this is the true difference, about {needed:,} items settle it"
    return _check(gate, d.row, d.parent, outcome, found, reason)


def _disturbed(flags: Iterable[Flag]) -> str:
    """What a meter saw while the number was taken; empty where nothing was."""
    seen = sorted(INTERFERENCE.intersection(flags))
    return f"taken under interference: {', '.join(seen)}" if seen else ""


def _against_bound(gate: Gate, d: Delta) -> Estimate:
    """What the gate is about, with its interval."""
    diff = d.difference
    if gate.metric == FLIPS:
        assert diff.flips is not None
        return diff.flips
    if gate.metric in JUDGED_OF:
        raise UsageError(
            f"--gate {gate.text!r}: a change of {gate.metric} is tested through {d.metric}",
            hint=f"set a bound on {d.metric}, or a level: {gate.metric}:<…",
        )
    if gate.kind == "change":
        return Estimate(diff.delta, diff.n, diff.low, diff.high)
    if diff.p is not None:
        raise UsageError(
            f"--gate {gate.text!r}: relative changes are for costs",
            hint=f"give the bound in {d.unit}, as in {gate.metric}:+0.02",
        )
    return Estimate(diff.change, diff.n, diff.change_low, diff.change_high)


def _outcome(gate: Gate, e: Estimate) -> tuple[Outcome, str]:
    """The verdict on an interval; exact figures are their own interval."""
    low, high, note = e.low, e.high, ""
    if low is None or high is None:
        exact = gate.metric != FLIPS and METRICS[gate.metric].aggregate in _EXACT
        if not exact or e.value is None:
            return "inconclusive", "no interval: too few, or dependent, readings"
        low = high = e.value
        note = NO_INTERVAL
    bad, good = (low, high) if gate.at_least else (-high, -low)
    bound = gate.bound if gate.at_least else -gate.bound
    if bad >= bound:
        return "pass", note
    if good < bound:
        return "fail", note
    return "inconclusive", "the interval reaches across the bound"


def _missing(results: Results, gate: Gate, asked: Asked, found: Sequence[Check]) -> Iterator[Check]:
    """Works that the reference has the metric for and the variant has no result of."""
    done = {(c.variant, c.suite, c.task) for c in found}
    lineages = Lineages.of(results.stored)
    answered: dict[str, list[MetricRow]] = {}
    for row in wanted_rows(results, replace(asked, variants=None)):
        answered.setdefault(row.run.spec.variant.name, []).append(row)
    for name, ref in lineages.by_name.items():
        reference = lineages.reference(ref, asked.against)
        if reference is None or (asked.variants is not None and name not in asked.variants):
            continue
        for row in answered.get(reference.name, ()):
            spec = row.run.spec
            work = (spec.suite, spec.work_name)
            if (name, *work) in done or (gate.metric == FLIPS and not _is_binary(results, row)):
                continue
            done.add((name, *work))
            why = _why_missing(results, name, work)
            yield Check(
                gate, name, reference.name, spec.target.name, *work, row.point, "inconclusive",
                reason=why,
            )  # fmt: skip


def _is_binary(results: Results, row: MetricRow) -> bool:
    judged: Mapping[str, object] = results.judged(row.run) or {}
    return row.unit == "fraction" and JUDGED_OF.get(row.metric, row.metric) in judged


def _why_missing(results: Results, variant: str, work: tuple[str, str]) -> str:
    for row in results.metric_rows:
        spec = row.run.spec
        if (spec.variant.name, spec.suite, spec.work_name) == (variant, *work) and row.reason:
            return f"{variant} has no such result: {row.reason}"
    return f"{variant} has no such result: it was not run"
