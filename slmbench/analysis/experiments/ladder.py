"""Steps of falling bits: distance, losses and costs of each, in order, and where they collapse."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slmbench.analysis.experiments.findings import (
    Column,
    Conclusion,
    Grid,
    Line,
    Mark,
    Number,
    Plot,
    Trace,
    named,
    nothing,
    number_of,
    quoted,
)
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import (
    ACCURACY,
    Outcome,
    cost_outcomes,
    difference_of,
    headlines,
    quality_outcomes,
    value_of,
)
from slmbench.analysis.experiments.overview import of_bits, of_disk
from slmbench.analysis.fidelity import ALL_TASKS, Fidelity, FidelityRow, measure_fidelity
from slmbench.analysis.measures import MEASURES
from slmbench.analysis.signature_rules.findings import Finding
from slmbench.spec.experiment import Arm

COLLAPSE = "accuracy collapse"
SAME_BITS = 0.02
"""Two steps whose bits per weight differ by less, as a share, are one rung: neither is below the
other."""


@dataclass(frozen=True, slots=True)
class Step:
    """One variant of a ladder."""

    variant: str
    bits: float | None
    """Effective bits per weight."""
    distance: Number
    """Mean KL divergence from the parent [nats]."""
    flips: Number
    losses: tuple[Number, ...]
    """Differences from the parent in the ladder's outcomes, in their order."""
    collapse: str
    """``yes``, ``no``, ``not decidable``, ``does not apply``."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ladder:
    """One family of steps, most bits first."""

    arm: Arm
    parent: str
    outcomes: tuple[Outcome, ...]
    steps: tuple[Step, ...]


def ladders(material: Material) -> tuple[Ladder, ...]:
    """Every arm of role ``ladder``; its parent is ``against``, the parent arm or its first step."""
    outcomes = headlines(quality_outcomes(material))
    fidelity = measure_fidelity(material.results)
    collapsed = _collapses(material)
    return tuple(_ladder(material, arm, outcomes, fidelity, collapsed)
                 for arm in material.arms("ladder"))  # fmt: skip


def _ladder(
    material: Material,
    arm: Arm,
    outcomes: tuple[Outcome, ...],
    fidelity: Fidelity,
    collapsed: Mapping[str, Finding],
) -> Ladder:
    parent = _parent(material, arm)
    steps = []
    for name in arm.variants:
        if name == parent:
            continue
        finding = collapsed.get(name)
        steps.append(
            Step(
                name,
                material.bits(name),
                _measure(fidelity, name, "kld_mean", ("fidelity",)),
                _measure(fidelity, name, "flips", (ALL_TASKS, *_tasks(outcomes))),
                tuple(difference_of(material, o, name, parent) for o in outcomes),
                "not decidable" if finding is None else finding.verdict,
                "" if finding is None else finding.text,
            )
        )
    return Ladder(arm, parent, outcomes, tuple(sorted(steps, key=lambda s: -(s.bits or 0.0))))


def _parent(material: Material, arm: Arm) -> str:
    experiment = material.experiment
    other = next((a for a in experiment.arms if a.name == arm.against), experiment.arm("parent"))
    return arm.variants[0] if other is None else other.variants[0]


def _tasks(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return tuple(work for o in outcomes for work in o.works)


def _measure(fidelity: Fidelity, variant: str, measure: str, works: Sequence[str]) -> Number:
    """The measure against the variant's own parent, of the first of these works that has it."""
    unit = MEASURES[measure].unit
    mine = [r for r in fidelity.rows if r.variant == variant and r.measure == measure
            and not r.is_floor]  # fmt: skip
    for work in works:
        row = next((r for r in mine if r.work == work and r.estimate.value is not None), None)
        if row is not None:
            number = number_of(row.estimate, unit)
            return number if row.floor is None else _with_floor(number, row)
    reason = next((r.reason for r in mine if r.reason), "no run says")
    return nothing(unit, reason)


def _with_floor(number: Number, row: FidelityRow) -> Number:
    floor = row.floor.value if row.floor is not None else None
    if floor is None:
        return number
    said = (f"against {row.parent}; floor {floor:.2g}",)
    return Number(number.value, number.unit, number.low, number.high, number.n, number.method,
                  number.provenance, said=said)  # fmt: skip


def _collapses(material: Material) -> Mapping[str, Finding]:
    """The finding about collapse of every variant that has one; the gravest of several systems."""
    order = ("yes", "not decidable", "no", "does not apply")
    found: dict[str, Finding] = {}
    for finding in material.results.findings:
        if finding.signature != COLLAPSE:
            continue
        known = found.get(finding.system.variant)
        if known is None or order.index(finding.verdict) < order.index(known.verdict):
            found[finding.system.variant] = finding
    return found


def ladder_grid(material: Material, ladder: Ladder) -> Grid:
    """One row a step."""
    costs = cost_outcomes(material)
    columns = (
        Column("Size", "bytes on disk"),
        Column("Bits per weight", "effective; of a grid stored as floats what it would take"),
        Column("KL divergence", "mean over scored tokens, from the parent's distribution"),
        Column("Flips", "share of items whose correctness changed"),
        *(Column(f"Δ {o.title}", "minus the parent, paired", o.metric) for o in ladder.outcomes),
        Column("Collapse", "signature: accuracy at the level of guessing, or a large drop"),
        *(Column(o.title, f"suite {o.suite}", o.metric) for o in costs),
    )
    lines = []
    for step in ladder.steps:
        simulated = ("simulated kernel: no credit for costs",)
        cells: tuple[Number | str | None, ...] = (
            of_disk(material, step.variant),
            of_bits(material, step.variant),
            step.distance,
            step.flips,
            *step.losses,
            step.collapse,
            *(value_of(material, o, step.variant) for o in costs),
        )
        below = simulated if material.is_simulated(step.variant) else ()
        lines.append(Line(step.variant, below, cells))
    return Grid(f"ladder-{_slug(ladder.arm.name)}", f"{ladder.arm.name}, against {ladder.parent}",
                "Step", columns, tuple(lines))  # fmt: skip


def distance_plot(found: Sequence[Ladder]) -> Plot | None:
    """KL divergence against bits per weight, a curve a ladder."""
    traces = []
    for ladder in found:
        marks = tuple(
            Mark(s.bits, s.distance, s.variant)
            for s in ladder.steps
            if s.bits is not None and s.distance.value
        )
        if marks:
            traces.append(Trace(ladder.arm.name, marks))
    if not traces:
        return None
    return Plot(
        "distance", "KL divergence × effective bits per weight",
        "Mean KL divergence from the parent over the scored tokens of the fidelity text, with 95 % "
        "intervals clustered by window.",
        "effective bits per weight", "KL divergence [nats]", tuple(traces), logarithmic=True,
    )  # fmt: skip


def loss_plot(found: Sequence[Ladder]) -> Plot | None:
    """Loss in the first outcome against bits, a curve a ladder."""
    traces = []
    for ladder in found:
        marks = tuple(
            Mark(s.bits, s.losses[0], s.variant)
            for s in ladder.steps
            if s.losses and s.bits is not None and s.losses[0].value is not None
        )
        if marks:
            traces.append(Trace(ladder.arm.name, marks))
    if not traces:
        return None
    outcome = found[0].outcomes[0]
    return Plot(
        "loss", f"{outcome.title} minus the parent's × bits",
        "Paired differences from the parent with 95 % intervals: 0 is the parent.",
        "effective bits per weight", "difference from the parent", tuple(traces),
    )  # fmt: skip


def monotone(ladder: Ladder) -> Conclusion:
    """Whether KL divergence rises with every step down in bits; inversions with their intervals."""
    name = named(ladder.arm.name)
    steps = [s for s in ladder.steps if s.distance.value is not None and s.bits is not None]
    if len(steps) < 2:
        return Conclusion(
            "cannot be said", f"{name}: fewer than two steps have a KL divergence, so nothing can "
            "be said about their order.",
        )  # fmt: skip
    pairs = [(a, b) for a, b in itertools.combinations(steps, 2) if _is_below(b, a)]
    falls = [(a, b) for a, b in pairs if (b.distance.value or 0.0) < (a.distance.value or 0.0)]
    told = [(a, b) for a, b in falls if _below(b.distance, a.distance)]
    first, last = steps[0], steps[-1]
    span = (
        f"from {{0}} at {{1}} ({quoted(first.variant)}) to {{2}} at {{3}} ({quoted(last.variant)})"
    )
    ends = (first.distance, _bits(first), last.distance, _bits(last))
    if not falls:
        return Conclusion(
            "in order", f"{name}: KL divergence rises with every step down in bits, {span}.", ends
        )
    if not told:
        pairs_named = "; ".join(f"{quoted(a.variant)} and {quoted(b.variant)}" for a, b in falls)
        return Conclusion(
            "in order",
            f"{name}: KL divergence rises as bits fall, {span}, as far as the intervals tell; not "
            f"in order, but within their intervals: {pairs_named}.", ends,
        )  # fmt: skip
    a, b = told[0]
    return Conclusion(
        "not in order",
        f"{name}: KL divergence does not rise with every step: {quoted(a.variant)} ({{1}}) "
        f"diverges by {{0}}, {quoted(b.variant)} with fewer bits ({{3}}) by {{2}} only.",
        (a.distance, _bits(a), b.distance, _bits(b)),
    )


def collapse_points(ladder: Ladder) -> list[Conclusion]:
    """The first step, from above, at which the signature of collapse fires.

    Nothing is said of a ladder that was asked no questions.
    """
    if not any(outcome.metric in ACCURACY for outcome in ladder.outcomes):
        return []
    return [_collapse_point(ladder)]


def _collapse_point(ladder: Ladder) -> Conclusion:
    name = named(ladder.arm.name)
    hit = next((s for s in ladder.steps if s.collapse == "yes"), None)
    open_ = [s.variant for s in ladder.steps if s.collapse == "not decidable"]
    rest = f" Not decidable with these items: {', '.join(map(quoted, open_))}." if open_ else ""
    if hit is None:
        where = "" if not ladder.steps else f" down to {quoted(ladder.steps[-1].variant)}"
        return Conclusion(
            "no collapse" if ladder.steps and not open_ else "cannot be said",
            f"{name}: no step shows the signature of accuracy collapse{where}.{rest}",
        )
    return Conclusion(
        "collapses",
        f"{name}: accuracy collapses first at {quoted(hit.variant)}, {{0}} per weight: "
        f"{quoted(hit.why)}.{rest}",
        (_bits(hit),),
    )


def _bits(step: Step) -> Number:
    return Number(step.bits, "bits")


def _is_below(step: Step, other: Step) -> bool:
    """Whether it has fewer bits than the other, by more than :data:`SAME_BITS`."""
    return (step.bits or 0.0) < (1 - SAME_BITS) * (other.bits or 0.0)


def _below(left: Number, right: Number) -> bool:
    """Whether the first is below the second for sure: their intervals are apart."""
    return left.high is not None and right.low is not None and left.high < right.low


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")
