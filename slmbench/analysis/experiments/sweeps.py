"""Trainings of one variant over learning rates and seeds, and how two such sweeps compare.

The rate is chosen by the mean validation loss over seeds, among the rates that have most of them.
Seeds are paired: the same seed is the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slmbench.analysis.experiments.closure import (
    UNIT,
    closure_of_curves,
    losses_of,
    mean_loss,
    mean_of,
    over_seeds_of,
    tokens_to,
)
from slmbench.analysis.experiments.contrasts import over_seeds, seed_difference
from slmbench.analysis.experiments.findings import Number, nothing
from slmbench.analysis.experiments.material import Material
from slmbench.made import Training
from slmbench.spec.experiment import Arm
from slmbench.spec.recipe import Train

LOSS = "nats/byte"
ONE_RUN = "one training run: no interval"
_NO_PAIR = "no seed that both the base and the variant were trained with"


@dataclass(frozen=True, slots=True)
class Try:
    """One training of a sweep."""

    variant: str
    rate: float | None
    seed: int | None
    training: Training

    @property
    def start(self) -> float:
        """Validation loss before training [nats/byte]."""
        return losses_of(self.training)[0]

    @property
    def end(self) -> float:
        """Validation loss at the budget [nats/byte]."""
        return losses_of(self.training)[-1]


Pair = tuple[Try, Try]
"""The base and the variant, trained with one seed."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """All trainings of one arm, by rising learning rate and seed."""

    arm: Arm
    tries: tuple[Try, ...]

    @property
    def rates(self) -> tuple[float | None, ...]:
        """That were tried, ascending."""
        return tuple(dict.fromkeys(t.rate for t in self.tries))

    @property
    def seeds(self) -> int:
        """Of the rate that has most of them."""
        return max((len(self.at(rate)) for rate in self.rates), default=0)

    @property
    def complete(self) -> tuple[float | None, ...]:
        """Rates that have all seeds; the others cannot be chosen."""
        return tuple(rate for rate in self.rates if len(self.at(rate)) == self.seeds)

    @property
    def best(self) -> tuple[Try, ...]:
        """The seeds of the rate of least mean validation loss; empty when none has a curve."""
        return min(
            (self.at(rate) for rate in self.complete),
            key=lambda tries: mean_of([t.end for t in tries]),
            default=(),
        )

    @property
    def rate(self) -> float | None:
        """The one that was chosen."""
        return self.best[0].rate if self.best else None

    @property
    def at_edge(self) -> bool:
        """Whether the chosen rate is the smallest or the largest that was tried."""
        return bool(self.best) and self.rate in (self.rates[0], self.rates[-1])

    def at(self, rate: float | None) -> tuple[Try, ...]:
        """The trainings with that rate, by seed."""
        return tuple(t for t in self.tries if t.rate == rate)


def sweep_of(material: Material, arm: Arm) -> Sweep:
    """The trainings of an arm that ended with a curve."""
    tries = []
    for name in arm.variants:
        training = material.training(name)
        if training is not None and losses_of(training):
            tries.append(Try(name, *_settings(material, name), training))
    return Sweep(arm, tuple(sorted(tries, key=lambda t: (t.rate or 0.0, t.seed or 0))))


def _settings(material: Material, variant: str) -> tuple[float | None, int | None]:
    """Learning rate and seed."""
    member = material.kept.member(variant)
    recipe = None if member is None else member.variant.recipe
    return (recipe.learning_rate, recipe.seed) if isinstance(recipe, Train) else (None, None)


def pairs(base: Sweep | None, sweep: Sweep) -> tuple[Pair, ...]:
    """Base and variant at their chosen rates, by the seeds that both have."""
    theirs = {} if base is None else {t.seed: t for t in base.best}
    return tuple((theirs[t.seed], t) for t in sweep.best if t.seed in theirs)


def closures(base: Sweep | None, sweep: Sweep) -> dict[int | None, Number]:
    """Gap closure of every seed."""
    return {
        mine.seed: closure_of_curves(other.training, mine.training)
        for other, mine in pairs(base, sweep)
    }


def gap_closure(base: Sweep | None, sweep: Sweep) -> Number:
    """Mean over seeds, each paired with the base of the same seed."""
    found = tuple(closures(base, sweep).values())
    return over_seeds_of(found) if found else nothing(UNIT, _why_no_pair(base, sweep))


def loss_at_budget(tries: Sequence[Try]) -> Number:
    """Mean over seeds."""
    return over_seeds([Number(t.end, LOSS, method=ONE_RUN) for t in tries], LOSS)


def area(tries: Sequence[Try]) -> Number:
    """Mean loss over the budget (AULC), over seeds."""
    return over_seeds([_area(t) for t in tries], LOSS)


def half_way(base: Sweep | None, sweep: Sweep) -> Number:
    """Tokens until half of the gap before training was left above the base of the same seed."""
    found = pairs(base, sweep)
    if not found:
        return nothing("tokens", _why_no_pair(base, sweep))
    tokens = []
    for other, mine in found:
        gap = mine.start - other.start
        if gap <= 0:
            return nothing("tokens", "there was no gap")
        tokens.append(tokens_to(mine.training, other.end + gap / 2))
    missed = tokens.count(None)
    if missed:
        of = "" if len(tokens) == 1 else f" by {missed} of {len(tokens)} seeds"
        return nothing("tokens", f"not reached within the budget{of}")
    return over_seeds(
        [Number(t, "tokens", method="between points along a line") for t in tokens], "tokens"
    )


def above_base(base: Sweep | None, sweep: Sweep, of: Callable[[Try], Number]) -> Number:
    """The variant minus the base, seeds paired."""
    found = pairs(base, sweep)
    if not found:
        return nothing(LOSS, _why_no_pair(base, sweep))
    theirs, mine = zip(*found, strict=True)
    return seed_difference([of(t) for t in mine], [of(t) for t in theirs], LOSS, "lower")


def end_above(base: Sweep | None, sweep: Sweep) -> Number:
    """Loss at budget minus that of the base."""
    return above_base(base, sweep, lambda t: Number(t.end, LOSS))


def area_above(base: Sweep | None, sweep: Sweep) -> Number:
    """Mean loss over the budget minus that of the base."""
    return above_base(base, sweep, _area)


def _area(one: Try) -> Number:
    found = mean_loss(one.training)
    return nothing(LOSS, "fewer than two points") if found is None else Number(found, LOSS)


def _why_no_pair(base: Sweep | None, sweep: Sweep) -> str:
    if base is None or not base.best or not sweep.best:
        return "the base or the variant has no training curve"
    return _NO_PAIR
