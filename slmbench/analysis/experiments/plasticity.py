"""How well compressed models still learn: shares pruned × learning rates, one budget."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.analysis.experiments.closure import (
    closure_of_curves,
    losses_of,
    mean_loss,
    tokens_to,
)
from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Conclusion,
    Findings,
    Grid,
    Line,
    Mark,
    Number,
    Plot,
    Trace,
    named,
    nothing,
    quoted,
)
from slmbench.analysis.experiments.making import curve_plot, making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import Outcome, difference_of, quality_outcomes
from slmbench.analysis.experiments.overview import overview
from slmbench.made import Training
from slmbench.spec.experiment import Arm
from slmbench.spec.recipe import Train

STIFF = 0.5
"""Gap closure at the budget below which a variant is called stiff."""
FEWEST_RATES = 3
_ABOUT = (
    "Every variant was trained with each learning rate on the same rows in the same order; the one "
    "of least validation loss at the budget stands for it (a rate that suits one model may be "
    "wrong for another, which would look like stiffness). Gap closure compares it with the "
    "unpruned base at its own best rate.",
)


@dataclass(frozen=True, slots=True)
class Try:
    """One training of a sweep."""

    variant: str
    rate: float | None
    training: Training

    @property
    def end(self) -> float:
        """Validation loss at the budget [nats/byte]."""
        return losses_of(self.training)[-1]


@dataclass(frozen=True, slots=True)
class Sweep:
    """All trainings of one arm, by rising learning rate."""

    arm: Arm
    tries: tuple[Try, ...]

    @property
    def best(self) -> Try | None:
        """The one of least validation loss; None when none has a curve."""
        return min(self.tries, key=lambda t: t.end, default=None)

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the smallest or the largest that was tried."""
        ends = (self.tries[0], self.tries[-1]) if self.tries else ()
        return self.best is not None and any(self.best is t for t in ends)


def find(material: Material) -> Findings:
    """Sweeps, what the best of each reached, curves and costs."""
    sweeps = [_sweep(material, arm) for arm in material.arms("treatment")]
    tuned = material.experiment.arm("parent_tuned")
    base = None if tuned is None else _sweep(material, tuned)
    every = ([] if base is None else [base]) + sweeps
    best = [s.best.variant for s in every if s.best is not None]
    curves = curve_plot(material, best)
    plots = tuple(p for p in (curves, _closure_plot(base, sweeps)) if p is not None)
    return Findings(
        tuple(_said(base, sweeps)) + tuple(_forgotten(material, every)) + tuple(_doubts(every)),
        (
            Chapter("plasticity", "What the budget won back", _ABOUT,
                    (_grid(material, base, every),), plots),
            Chapter("sweep", "Learning rates", (), (_rates(every),)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )  # fmt: skip


def _sweep(material: Material, arm: Arm) -> Sweep:
    tries = []
    for name in arm.variants:
        training = material.training(name)
        if training is not None and losses_of(training):
            tries.append(Try(name, _rate(material, name), training))
    return Sweep(arm, tuple(sorted(tries, key=lambda t: t.rate or 0.0)))


def _rate(material: Material, variant: str) -> float | None:
    member = material.kept.member(variant)
    recipe = None if member is None else member.variant.recipe
    return recipe.learning_rate if isinstance(recipe, Train) else None


def _closure(base: Sweep | None, sweep: Sweep) -> Number:
    if base is None or base.best is None or sweep.best is None:
        return nothing("fraction", "the base or the variant has no training curve")
    return closure_of_curves(base.best.training, sweep.best.training)


def _grid(material: Material, base: Sweep | None, every: Sequence[Sweep]) -> Grid:
    columns = (
        Column("Pruned", "share taken away"),
        Column("Learning rate", "of least validation loss"),
        Column("Loss before", "validation, before training"),
        Column("Loss at budget", "validation, at the end"),
        Column("Mean loss", "area under the learning curve over its length (AULC)"),
        Column("Gap closure", "1 − (L(B) − L_base(B)) / (L(0) − L_base(0)), base trained too"),
        Column("Tokens to half the gap", "until half of the gap was left above the trained base"),
        *(Column(f"Forgetting: Δ {o.title}", "trained minus untrained, on other text", o.metric)
          for o in _general(material)),
    )  # fmt: skip
    lines = [_line(material, base, sweep) for sweep in every]
    return Grid("plasticity", "What the budget won back", "Variant", columns, tuple(lines))


def _line(material: Material, base: Sweep | None, sweep: Sweep) -> Line:
    best, at = sweep.best, sweep.arm.at
    pruned = None if at is None else Number(at, "fraction")
    if best is None:
        why = nothing("nats/byte", "no training of it ended")
        return Line(sweep.arm.name, (), (pruned, why))
    before, area = losses_of(best.training)[0], mean_loss(best.training)
    is_base = base is not None and sweep.arm is base.arm
    cells = (
        pruned,
        "not known" if best.rate is None else f"{best.rate:g}",
        Number(before, "nats/byte"),
        Number(best.end, "nats/byte"),
        nothing("nats/byte", "fewer than two points")
        if area is None
        else Number(area, "nats/byte"),
        None if is_base else _closure(base, sweep),
        None if is_base else _half(base, sweep),
        *(_forgetting(material, o, best.variant) for o in _general(material)),
    )
    return Line(sweep.arm.name, (best.variant,), cells)


def _half(base: Sweep | None, sweep: Sweep) -> Number:
    """Tokens until half of the gap before training was left above the trained base."""
    if base is None or base.best is None or sweep.best is None:
        return nothing("tokens", "the base or the variant has no training curve")
    gap = losses_of(sweep.best.training)[0] - losses_of(base.best.training)[0]
    if gap <= 0:
        return nothing("tokens", "there was no gap")
    tokens = tokens_to(sweep.best.training, base.best.end + gap / 2)
    if tokens is None:
        return nothing("tokens", "not reached within the budget")
    return Number(tokens, "tokens", method="between points along a line")


def _general(material: Material) -> list[Outcome]:
    """Loss on text that was not trained on."""
    return [o for o in quality_outcomes(material) if o.unit == "bits/byte"]


def _forgetting(material: Material, outcome: Outcome, variant: str) -> Number:
    parent = material.parent(variant)
    if parent is None:
        return nothing(outcome.unit, "it has no parent")
    return difference_of(material, outcome, variant, parent)


def _rates(every: Sequence[Sweep]) -> Grid:
    rates = sorted({t.rate for s in every for t in s.tries if t.rate is not None})
    columns = tuple(Column(f"{rate:g}", "validation loss at the budget") for rate in rates)
    lines = []
    for sweep in every:
        by_rate = {t.rate: t for t in sweep.tries}
        cells = []
        for rate in rates:
            one = by_rate.get(rate)
            if one is None:
                cells.append(nothing("nats/byte", "not tried, or it did not end"))
            else:
                said = ("best",) if one is sweep.best else ()
                cells.append(Number(one.end, "nats/byte", said=said))
        lines.append(Line(sweep.arm.name, (), tuple(cells)))
    return Grid("rates", "Validation loss at the budget by learning rate", "Variant", columns,
                tuple(lines))  # fmt: skip


def _closure_plot(base: Sweep | None, sweeps: Sequence[Sweep]) -> Plot | None:
    marks = []
    for sweep in sweeps:
        g = _closure(base, sweep)
        if g.value is not None and sweep.arm.at is not None:
            marks.append(Mark(sweep.arm.at, g, sweep.arm.name))
    if len(marks) < 2:
        return None
    return Plot(
        "closure", "Gap closure × share pruned",
        "Each at its best learning rate; one training run each, so no interval.",
        "share pruned", "gap closure at the budget",
        (Trace("gap closure", tuple(sorted(marks, key=lambda m: m.x))),),
    )  # fmt: skip


def _said(base: Sweep | None, sweeps: Sequence[Sweep]) -> list[Conclusion]:
    said = []
    known: list[tuple[Sweep, Number]] = []
    for sweep in sweeps:
        g, name = _closure(base, sweep), named(sweep.arm.name)
        if g.value is None:
            said.append(
                Conclusion("cannot be said", f"{name}: no gap closure: {quoted(g.reason)}.")
            )
            continue
        known.append((sweep, g))
        stiff = g.value < STIFF
        word = "stiff" if stiff else "not stiff"
        said.append(
            Conclusion(
                "stiff" if stiff else "not stiff",
                f"{name} is {word}: at the budget {{0}} of the gap to the base, trained as long, "
                "is closed (limit {1}; one run, no interval).",
                (g, Number(STIFF, "fraction")),
            )
        )
    placed = sorted((s.arm.at, g.value) for s, g in known if s.arm.at is not None and g.value)
    if len(placed) > 1:
        closures = [g for _, g in placed]
        falls = all(b < a for a, b in itertools.pairwise(closures))
        ends = (Number(placed[0][1], "fraction"), Number(placed[-1][1], "fraction"))
        text = "Gap closure falls" if falls else "Gap closure does not fall"
        said.append(
            Conclusion(
                "falls" if falls else "does not fall",
                f"{text} with every further share that is pruned, from {{0}} to {{1}}; single "
                "runs, so this order is a description, not a test.",
                ends,
            )
        )
    return said


def _forgotten(material: Material, every: Sequence[Sweep]) -> list[Conclusion]:
    said = []
    for outcome in _general(material):
        for sweep in every:
            if sweep.best is None:
                continue
            d = _forgetting(material, outcome, sweep.best.variant)
            if d.value is not None and d.verdict in ("better", "worse"):
                word = "raised" if d.verdict == "worse" else "lowered"
                said.append(
                    Conclusion(
                        "worse" if d.verdict == "worse" else "better",
                        f"{named(sweep.arm.name)}: training {word} {quoted(outcome.title)} on "
                        "other text by {0}.",
                        (d,),
                    )
                )
    return said


def _doubts(every: Sequence[Sweep]) -> list[Conclusion]:
    said = []
    for sweep in every:
        if 0 < len(sweep.tries) < FEWEST_RATES:
            said.append(
                Conclusion(
                    "cannot be said",
                    f"{named(sweep.arm.name)}: only {len(sweep.tries)} learning rates ended: what "
                    "looks like stiffness may be a wrong rate.",
                )
            )
        elif sweep.at_edge:
            said.append(
                Conclusion(
                    "cannot be said",
                    f"{named(sweep.arm.name)}: the best learning rate lies at the edge of those "
                    "that were tried; a better one may lie beyond it.",
                )
            )
    return said
