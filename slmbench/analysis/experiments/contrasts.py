"""Arms against their controls: over seeds where there are several, else over items.

Seeds are paired: the n-th variant of one arm with the n-th of the other. The interval over seeds
is Student's t of the paired differences (n - 1 degrees of freedom); it says what training again
would change, on these items. With one seed the interval is over items, and says what other items
would change, for these weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis.experiments.findings import (
    Column,
    Conclusion,
    Grid,
    Line,
    Number,
    named,
    nothing,
    number_of,
    quoted,
)
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import (
    Outcome,
    cost_outcomes,
    difference_of,
    headlines,
    judge,
    quality_outcomes,
    value_of,
)
from slmbench.analysis.paired import ALPHA
from slmbench.analysis.statistics import holm, mean_estimate, t_test_p
from slmbench.spec.experiment import Arm

LOSS = "validation loss"


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm minus its control in one outcome."""

    arm: Arm
    control: Arm
    title: str
    unit: str
    direction: str
    value: Number
    """Of the arm."""
    reference: Number
    """Of the control."""
    difference: Number
    is_headline: bool = True
    """Whether a sentence is made of it, resolved or not."""
    is_cost: bool = False


def contrasts(material: Material) -> tuple[Contrast, ...]:
    """Every arm with a control, in every outcome and in the loss that training ended at.

    Verdicts about quality rest on p adjusted after Holm (1979): over all that sentences are made
    of, and over the others (single tasks, perplexities) apart.
    """
    outcomes = quality_outcomes(material)
    heads = headlines(outcomes)
    found: list[Contrast] = []
    for arm in material.experiment.arms:
        control = material.experiment.control_of(arm)
        if control is None or arm.role == "ladder":  # its steps are no seeds of one thing
            continue
        found += _losses(material, arm, control)
        found += [
            replace(contrast_of(material, o, arm, control), is_headline=o in heads)
            for o in outcomes
        ]
        if len(arm.variants) == len(control.variants) == 1:
            found += [
                replace(contrast_of(material, o, arm, control), is_headline=False, is_cost=True)
                for o in cost_outcomes(material)
            ]
    return tuple(_adjusted(found))


def arm_value(material: Material, outcome: Outcome, arm: Arm) -> Number:
    """The value of an arm's one variant, or the mean over its seeds."""
    return over_seeds([value_of(material, outcome, name) for name in arm.variants], outcome.unit)


def over_seeds(values: Sequence[Number], unit: str) -> Number:
    """One value as it is; several: their mean with a t interval over them."""
    if len(values) == 1:
        return values[0]
    known = [v.value for v in values if v.value is not None]
    if len(known) < len(values):
        why = next(v.reason for v in values if v.value is None)
        return nothing(unit, f"not of every seed: {why}")
    number = number_of(mean_estimate(known), unit)
    shown = tuple(f"{v:.4g}" for v in known)
    seeds = f"seeds: {', '.join(shown)}"
    return replace(number, method=f"t over {len(known)} seeds", said=(seeds,))


def final_loss(material: Material, variant: str) -> Number:
    """Validation loss at the end of the variant's own training [nats/byte]."""
    training = material.training(variant)
    points = () if training is None else training.curve
    losses = [p.validation for p in points if p.validation is not None]
    if not losses:
        return nothing("nats/byte", "its last step is no training, or took no validation loss")
    return Number(losses[-1], "nats/byte", method="one training run: no interval")


def _losses(material: Material, arm: Arm, control: Arm) -> Iterator[Contrast]:
    mine = [final_loss(material, name) for name in arm.variants]
    theirs = [final_loss(material, name) for name in control.variants]
    if not any(n.value is not None for n in (*mine, *theirs)):
        return
    yield Contrast(
        arm, control, f"{LOSS} at the end of training", "nats/byte", "lower",
        over_seeds(mine, "nats/byte"), over_seeds(theirs, "nats/byte"),
        seed_difference(mine, theirs, "nats/byte", "lower"),
    )  # fmt: skip


def contrast_of(material: Material, outcome: Outcome, arm: Arm, control: Arm) -> Contrast:
    """One arm minus another in one outcome; p is not adjusted."""
    if len(arm.variants) == len(control.variants) == 1:
        difference = difference_of(material, outcome, arm.variants[0], control.variants[0])
    else:
        mine = [value_of(material, outcome, name) for name in arm.variants]
        theirs = [value_of(material, outcome, name) for name in control.variants]
        difference = seed_difference(mine, theirs, outcome.unit, outcome.direction)
    return Contrast(
        arm, control, outcome.title, outcome.unit, outcome.direction,
        arm_value(material, outcome, arm), arm_value(material, outcome, control), difference,
    )  # fmt: skip


def seed_difference(
    mine: Sequence[Number], theirs: Sequence[Number], unit: str, direction: str
) -> Number:
    """Mean of ``mine`` minus ``theirs``, seeds paired in their order, with its t interval."""
    if len(mine) != len(theirs):
        return nothing(unit, "the arms have different numbers of seeds")
    pairs = [(a.value, b.value) for a, b in zip(mine, theirs, strict=True)]
    steps = [a - b for a, b in pairs if a is not None and b is not None]
    if len(steps) < len(pairs):
        lacking = next(n for n in (*mine, *theirs) if n.value is None)
        return nothing(unit, lacking.reason)
    estimate = mean_estimate(steps)
    mean, se = sum(steps) / len(steps), estimate.se
    p = None if se is None else t_test_p(mean, se, len(steps) - 1)
    number = replace(number_of(estimate, unit), signed=True, p=p)
    how = f"paired t over {len(steps)} seeds" if len(steps) > 1 else "one seed each: no interval"
    return replace(number, method=how, verdict=judge(number, p, direction))


def _adjusted(found: Sequence[Contrast]) -> Iterator[Contrast]:
    adjusted: dict[int, float] = {}
    for family in (True, False):
        mine = [
            (i, p)
            for i, c in enumerate(found)
            if c.is_headline is family and (p := c.difference.p) is not None
        ]
        p_values = holm([p for _, p in mine])
        adjusted |= dict(zip((i for i, _ in mine), p_values, strict=True))
    for i, contrast in enumerate(found):
        d = contrast.difference
        if adjusted.get(i, 0.0) >= ALPHA:
            d = replace(d, verdict="not resolved")
        yield replace(contrast, difference=d)


def contrast_grids(found: Sequence[Contrast]) -> tuple[Grid, ...]:
    """One table an arm and its control: outcomes down."""
    pairs = dict.fromkeys((c.arm.name, c.control.name) for c in found)
    grids = []
    for number, (arm, control) in enumerate(pairs, 1):
        mine = [c for c in found if (c.arm.name, c.control.name) == (arm, control)]
        columns = (
            Column(arm, "mean over seeds where there are several"),
            Column(control, "mean over seeds where there are several"),
            Column("Difference", "the first minus the second; over seeds where there are several, "
                   "else paired over items"),
        )  # fmt: skip
        lines = tuple(Line(_titled(c), (), (c.value, c.reference, c.difference)) for c in mine)
        grids.append(Grid(f"contrast-{number}", f"{arm} − {control}", "Outcome", columns, lines))
    return tuple(grids)


def _titled(c: Contrast) -> str:
    return f"{c.title} {'↓' if c.direction == 'lower' else '↑'}"


def contrast_conclusions(material: Material, found: Sequence[Contrast]) -> tuple[Conclusion, ...]:
    """A sentence an arm and headline; of single tasks and of costs only resolved ones."""
    margin = material.experiment.limits.margin
    return tuple(
        sentence(c, margin)
        for c in found
        if c.is_headline or (c.difference.verdict in ("better", "worse") and c.unit != "perplexity")
    )


def sentence(c: Contrast, margin: float) -> Conclusion:
    """What one contrast comes to."""
    arm, control, what = named(c.arm.name), named(c.control.name), quoted(c.title)
    d = c.difference
    if d.value is None:
        return Conclusion(
            "cannot be said",
            f"{what}: {arm} cannot be compared with {control}: {quoted(d.reason)}.",
        )
    if d.verdict in ("better", "worse"):
        return Conclusion(
            "better" if d.verdict == "better" else "worse",
            f"{what}: {arm} is {d.verdict} than {control} by {{0}} ({quoted(d.method)}).",
            (size_of(d),),
        )
    if d.low is None or d.high is None:
        return Conclusion(
            "cannot be said",
            f"{what}: {arm} and {control} differ by {{0}}, with nothing to tell whether that is "
            f"more than chance ({quoted(d.method)}).",
            (d,),
        )
    bad = d.low if c.direction == "higher" else -d.high
    if c.unit == "fraction" and bad > -margin:
        return Conclusion(
            "non-inferior",
            f"{what}: {arm} is non-inferior to {control} within {{0}}: the difference is {{1}}.",
            (Number(100 * margin, "pp"), d),
        )
    why = "the interval holds 0" if d.holds_zero else "p is above 0.05 after Holm's adjustment"
    return Conclusion(
        "not resolved",
        f"{what}: whether {arm} or {control} is better is not resolved: the difference is {{0}}, "
        f"{why}.",
        (d,),
    )


def size_of(d: Number) -> Number:
    """|difference| with its interval, for one that excludes 0; shares in points."""
    assert d.value is not None
    assert d.low is not None
    assert d.high is not None
    low, high = sorted((abs(d.low), abs(d.high)))
    times, unit = (100, "pp") if d.unit == "fraction" else (1, d.unit)
    return replace(
        d, value=times * abs(d.value), low=times * low, high=times * high, unit=unit, signed=False
    )
