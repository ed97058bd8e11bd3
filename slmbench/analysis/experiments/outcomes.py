"""What an experiment measured of each variant, and how two variants differ in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis.cost_pairs import cost_pair
from slmbench.analysis.experiments.findings import Number, nothing, number_of
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.paired import (
    Difference,
    Verdict,
    cost_verdict,
    paired_difference,
    quality_verdict,
)
from slmbench.analysis.pairing import Reference as Partner
from slmbench.analysis.pairing import same_where_it_matters
from slmbench.analysis.rows import JUDGED_OF, Judged, MetricRow
from slmbench.analysis.special import normal_cdf
from slmbench.analysis.statistics import Estimate, mean_of_means
from slmbench.errors import IncomparableRunsError
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.spec import TaskSpec, WorkloadSpec

ACCURACY = ("acc", "acc_norm", "acc_bytes", "exact_match")
"""Primary metrics that a mean over the tasks of a suite is taken of."""
MEAN = "mean of tasks"
COSTS = (
    ("latency", "tpot"),
    ("latency", "ttft"),
    ("memory", "peak_memory"),
    ("energy", "energy_per_token"),
    ("energy", "energy_estimate_per_token"),
)
"""Workload and metric of the costs that a section shows where they were asked."""
_NOT_THE_LOAD = frozenset({"warm_up", "idle_before", "idle_after", "idle_unloaded"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that was measured of every variant."""

    suite: str
    works: tuple[str, ...]
    """Task or workload; several tasks: their mean."""
    metric: str
    kind: Literal["quality", "cost"]

    @property
    def title(self) -> str:
        """What it is called: metric and task."""
        if self.kind == "cost":
            return METRICS[self.metric].label
        if len(self.works) > 1:
            return f"Accuracy, {MEAN}"
        return f"{METRICS[self.metric].label}, {self.works[0]}"

    @property
    def unit(self) -> str:
        """Of a value."""
        return METRICS[self.metric].unit

    @property
    def direction(self) -> Literal["higher", "lower", "none"]:
        """Which way is better."""
        return METRICS[self.metric].direction

    @property
    def difference_unit(self) -> str:
        """Of a difference: perplexities are compared in nats."""
        judged = JUDGED_OF.get(self.metric, self.metric)
        return METRICS[judged].unit


def quality_outcomes(material: Material) -> tuple[Outcome, ...]:
    """Primary metrics of all tasks that were asked, and means of the accuracies of a suite."""
    found: dict[tuple[str, str, str], None] = {}
    for rows in material.rows.values():
        for row in rows:
            if row.primary and isinstance(row.run.spec.work, TaskSpec) and row.metric in METRICS:
                found[row.run.spec.suite, row.run.spec.work_name, row.metric] = None
    alone = [Outcome(suite, (work,), metric, "quality") for suite, work, metric in sorted(found)]
    means = []
    for suite in dict.fromkeys(o.suite for o in alone):
        tasks = [o for o in alone if o.suite == suite and o.metric in ACCURACY]
        if len(tasks) > 1:
            works = tuple(o.works[0] for o in tasks)
            means.append(Outcome(suite, works, tasks[0].metric, "quality"))
    return (*means, *alone)


def losses_on_text(material: Material) -> tuple[Outcome, ...]:
    """Losses on running text that a suite has: bits per byte."""
    return tuple(o for o in quality_outcomes(material) if o.unit == "bits/byte")


def headlines(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Those that sentences are made of: means instead of their tasks, bits per byte instead of
    perplexities of the same suite."""
    means = {o.suite for o in outcomes if len(o.works) > 1}
    bytes_ = {o.suite for o in outcomes if o.unit == "bits/byte"}
    return tuple(
        o
        for o in outcomes
        if not (o.suite in means and len(o.works) == 1 and o.metric in ACCURACY)
        and not (o.suite in bytes_ and o.unit == "perplexity")
    )


def cost_outcomes(material: Material) -> tuple[Outcome, ...]:
    """The costs of :data:`COSTS` that any variant has a number of, or a reason for."""
    found = []
    for workload, metric in COSTS:
        suites = dict.fromkeys(
            row.run.spec.suite
            for rows in material.rows.values()
            for row in rows
            if row.run.spec.work_name == workload and row.metric == metric
        )
        found += [Outcome(suite, (workload,), metric, "cost") for suite in suites]
    return tuple(found)


def value_of(material: Material, outcome: Outcome, variant: str) -> Number:
    """The variant's value, or why there is none."""
    if outcome.kind == "cost" and material.is_simulated(variant):
        return nothing(outcome.unit, "simulated kernel: no credit for speed, memory or energy")
    rows = [_row(material, outcome, variant, work) for work in outcome.works]
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return nothing(outcome.unit, _why_none(material, variant))
    lacking = next((row for row in known if row.estimate.value is None), None)
    if lacking is not None:
        return nothing(outcome.unit, lacking.reason)
    if len(known) == 1:
        return number_of(known[0].estimate, outcome.unit, known[0].provenance)
    return number_of(mean_of_means([row.estimate for row in known]), outcome.unit)


def difference_of(material: Material, outcome: Outcome, variant: str, reference: str) -> Number:
    """Variant minus reference, paired on items (quality) or rounds (costs), with its verdict.

    Means over tasks combine the tasks' paired differences; p is the normal one then.
    """
    found = [_difference(material, outcome, variant, reference, work) for work in outcome.works]
    for one in found:
        if isinstance(one, str):
            return nothing(outcome.difference_unit, one)
    differences = [d for d in found if not isinstance(d, str)]
    if len(differences) == 1:
        return _number(material, outcome, differences[0], variant, reference)
    mean = mean_of_means([Estimate(d.delta, d.n, d.low, d.high, d.se) for d in differences])
    p = None
    if mean.value is not None and mean.se:
        p = 2 * (1 - normal_cdf(abs(mean.value) / mean.se))
    number = number_of(mean, outcome.difference_unit)
    return _signed(number, p, judge(number, p, outcome.direction))


def judge(number: Number, p: float | None, direction: str) -> str:
    """``better`` or ``worse`` where the interval excludes 0 and p is below 0.05."""
    if number.value is not None and number.low is None:
        return "no interval"
    if number.value is None or number.holds_zero or (p is not None and p >= 0.05):
        return "not resolved"
    if direction == "none":
        return "higher" if number.value > 0 else "lower"
    return "better" if (number.value > 0) == (direction == "higher") else "worse"


def judged_of(material: Material, outcome: Outcome, variant: str, work: str) -> Judged | None:
    """All judgements of the variant on one task."""
    row = _row(material, outcome, variant, work)
    if row is None or row.estimate.value is None:
        return None
    judged = material.results.judged(row.run) or {}
    return judged.get(JUDGED_OF.get(outcome.metric, outcome.metric))


def _row(material: Material, outcome: Outcome, variant: str, work: str) -> MetricRow | None:
    if outcome.kind == "quality":
        return material.row(variant, outcome.suite, work, outcome.metric)
    rows = [row for row in _cost_rows(material, outcome, variant, work) if not row.suspect]
    return max(rows, key=_rank, default=None)


def _cost_rows(
    material: Material, outcome: Outcome, variant: str, work: str
) -> Iterator[MetricRow]:
    """Rows of the load itself."""
    for row in material.rows.get(variant, ()):
        spec = row.run.spec
        same = (spec.suite, spec.work_name, row.metric) == (outcome.suite, work, outcome.metric)
        if same and row.phase not in _NOT_THE_LOAD:
            yield row


def _rank(row: MetricRow) -> tuple[bool, bool, int]:
    """Rows with a value, of the last point that the suite asks for."""
    work = row.run.spec.work
    labels = [p.label for p in work.points] if isinstance(work, WorkloadSpec) else []
    place = labels.index(row.point) if row.point in labels else -1
    return row.estimate.value is not None, row.provenance is not Provenance.ESTIMATED, place


def _why_none(material: Material, variant: str) -> str:
    member = material.kept.member(variant)
    if member is None:
        return "it is not in the models file"
    if variant in material.failed:
        return f"it could not be made: {material.failed[variant]}"
    skipped = [s.reason for s in material.results.skips if s.variant == variant]
    return skipped[0] if skipped else "it was not asked of this variant"


def _difference(
    material: Material, outcome: Outcome, variant: str, reference: str, work: str
) -> Difference | str:
    """The difference in one task or workload, or why there is none."""
    mine, theirs = (_row(material, outcome, name, work) for name in (variant, reference))
    if mine is None or mine.estimate.value is None:
        return f"{variant} has no such number"
    if theirs is None or theirs.estimate.value is None:
        return f"{reference} has no such number"
    try:
        same_where_it_matters(mine, theirs, Partner(reference, None), ())
    except IncomparableRunsError as error:
        return error.message
    if outcome.kind == "cost":
        pair = cost_pair(theirs, mine)
        return "no readings of both" if pair is None else pair.difference
    left = judged_of(material, outcome, reference, work)
    right = judged_of(material, outcome, variant, work)
    if left is None or right is None:
        return "scores cannot be read"
    return paired_difference(left, right) or "no item was scored in both runs"


def _number(
    material: Material, outcome: Outcome, d: Difference, variant: str, reference: str
) -> Number:
    verdict: Verdict
    if outcome.kind == "quality":
        verdict = quality_verdict(d, d.p, outcome.direction)
        return _signed(
            Number(d.delta, outcome.difference_unit, d.low, d.high, d.n, d.p_method), d.p, verdict
        )
    base = _row(material, outcome, reference, outcome.works[0])
    mine = _row(material, outcome, variant, outcome.works[0])
    assert base is not None
    assert mine is not None
    assert base.estimate.value is not None
    floor = material.results.timing_floor(mine, d.rounds or d.processes or 1)
    verdict = cost_verdict(d, base.estimate.value, outcome.direction, floor)
    number = Number(d.delta, outcome.unit, d.low, d.high, d.n, d.p_method)
    times = () if d.change is None else (f"× {1 + d.change:.2f}",)
    return _signed(number, None, verdict, times)


def _signed(number: Number, p: float | None, verdict: str, said: tuple[str, ...] = ()) -> Number:
    return Number(
        number.value, number.unit, number.low, number.high, number.n, number.method,
        number.provenance, number.reason, signed=True, verdict=verdict, said=said, p=p,
    )  # fmt: skip
