"""Stiffness: a compressed model that training with a fair budget does not bring back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slmbench.analysis.signature_rules.findings import (
    Answer,
    Definition,
    Evidence,
    Thresholds,
    no,
    unknown,
    yes,
)
from slmbench.analysis.signature_rules.ladder import made_of
from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.statistics import Estimate, mean_estimate
from slmbench.analysis.systems import System
from slmbench.made import FedAvgFacts, MadeRecord, PeftPruneFacts, TrainFacts, Training

DEFINITION = Definition(
    "stiffness",
    "stiff",
    "stiff",
    "Gap closure at the budget lies below the threshold: G = 1 - (L_v(B) - L_base(B)) / (L_v(0) - "
    "L_base(0)), validation losses in nats per byte before (0) and after (B) training with the "
    "same budget on the same validation text; the base is trained too. Over several seeds the "
    "upper end of the 95 % t interval must lie below it; one seed has no interval, and the finding "
    "says so.",
    "Loss of plasticity under compression (see docs/signatures.md for what G does and does not "
    "say); the definition and the threshold are ours.",
    "the records of making (variant.json) of the trained variant and of its base trained on the "
    "same budget",
)


@dataclass(frozen=True, slots=True)
class Losses:
    """Validation loss of one training, at its start and at its end [nats/byte]."""

    before: float
    after: float


def judge(material: Material, system: System) -> Answer:
    """The rule, applied to one system."""
    if not material.made:
        return unknown("no records of making in this results folder")
    made = made_of(material, system)
    training = None if made is None else training_of(made)
    if made is None or training is None:
        return Answer("does not apply", reason="it was not trained as its last step")
    above = list(_above(material.made, made))
    if not above:
        return Answer("does not apply", reason="what it was trained from was not compressed")
    base = next((b for name in above if (b := tuned(material.made, name, made))), None)
    if base is None:
        return unknown(
            f"no base trained with the same budget ({training.tokens} tokens) on the same "
            f"validation text: train {' or '.join(above)} as well"
        )
    return _judged(material, made, base)


def _judged(material: Material, made: MadeRecord, base: MadeRecord) -> Answer:
    limits = material.thresholds
    closures = [
        closure
        for record in _seeds(material.made, made)
        if (closure := gap_closure(record, base, limits.gap_nats)) is not None
    ]
    if not closures:
        return unknown(
            f"the loss before training lies less than {limits.gap_nats:g} nats/byte above that of "
            f"{base.variant}'s start: there is no gap to close"
        )
    mean = mean_estimate(closures)
    evidence = _evidence(mean, made, base, limits)
    if mean.low is None or mean.high is None:
        assert mean.value is not None
        below = mean.value < limits.gap_closure
        alone = "one seed: no interval"
        return yes([evidence], "moderate") if below else no([evidence], alone)
    if mean.high < limits.gap_closure:
        return yes([evidence], "moderate")
    if mean.low >= limits.gap_closure:
        return no([evidence])
    return unknown("the interval over seeds reaches across the threshold", [evidence])


def training_of(made: MadeRecord) -> Training | None:
    """How it was trained; None for techniques that do not train."""
    if isinstance(made.facts, TrainFacts | PeftPruneFacts | FedAvgFacts):
        return made.facts.training
    return None


def losses(made: MadeRecord) -> Losses | None:
    """Validation loss at start and end; None where the curve does not hold both."""
    training = training_of(made)
    taken = [] if training is None else [p.validation for p in training.curve]
    known = [v for v in taken if v is not None]
    if len(known) < 2 or taken[0] is None:
        return None
    return Losses(taken[0], known[-1])


def gap_closure(made: MadeRecord, base: MadeRecord, smallest: float) -> float | None:
    """G(B) of one training; None without losses, or where the gap is smaller than that."""
    mine, theirs = losses(made), losses(base)
    if mine is None or theirs is None or mine.before - theirs.before < smallest:
        return None
    return 1 - (mine.after - theirs.after) / (mine.before - theirs.before)


def tuned(records: Sequence[MadeRecord], name: str, like: MadeRecord) -> MadeRecord | None:
    """A training of that variant with the same budget and validation text; the best of several.

    The best by its own validation loss: a base with a badly set learning rate would flatter the
    compressed one.
    """
    wanted = training_of(like)
    if wanted is None:
        return None
    found = [
        (reached.after, made.variant, made)
        for made in records
        if made.parent == name
        and (training := training_of(made)) is not None
        and (reached := losses(made)) is not None
        and training.tokens == wanted.tokens
        and training.validation_text.sha256 == wanted.validation_text.sha256
    ]
    return min(found, key=lambda f: f[:2], default=(0.0, "", None))[2]


def _above(records: Sequence[MadeRecord], made: MadeRecord) -> Iterator[str]:
    """What the trained one's parent was made from, nearest first."""
    by_name = {record.variant: record for record in records}
    by_identity = {record.identity: record for record in records}
    seen = {made.variant}
    here = by_identity.get(made.parent_identity or "") or by_name.get(made.parent or "")
    while here is not None and here.parent is not None and here.parent not in seen:
        seen.add(here.parent)
        yield here.parent
        here = by_identity.get(here.parent_identity or "") or by_name.get(here.parent)


def _seeds(records: Sequence[MadeRecord], made: MadeRecord) -> list[MadeRecord]:
    """The same training of the same parent with all seeds, this one among them."""
    mine = made.recipe.model_dump(exclude={"seed"})
    return [
        record
        for record in records
        if record.parent_identity == made.parent_identity
        and record.parent == made.parent
        and record.recipe.model_dump(exclude={"seed"}) == mine
    ]


def _evidence(mean: Estimate, made: MadeRecord, base: MadeRecord, limits: Thresholds) -> Evidence:
    training, mine, theirs = training_of(made), losses(made), losses(base)
    interval = "one seed: no interval"
    if mean.low is not None and mean.high is not None:
        interval = f"{mean.low:.2f} to {mean.high:.2f} over {mean.n} seeds"
    text = f"gap closure {mean.value:.2f} ({interval})"
    if training is not None and mine is not None and theirs is not None:
        text += (
            f" after {training.tokens} tokens: {mine.before:.4f} to {mine.after:.4f} nats/byte, "
            f"{base.variant} {theirs.before:.4f} to {theirs.after:.4f}"
        )
    return Evidence(
        "gap closure",
        mean.value,
        mean.low,
        mean.high,
        "",
        limits.gap_closure,
        mean.n,
        base.variant,
        text,
    )
