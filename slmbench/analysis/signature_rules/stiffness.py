"""Stiffness: a compressed model that training with a fair budget does not bring back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

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
from slmbench.spec.recipe import FedAvg, PeftPrune, Train

DEFINITION = Definition(
    "stiffness",
    "stiff",
    "stiff",
    "Gap closure at the budget lies below the threshold: G = 1 - (L_v(B) - L_base(B)) / (L_v(0) - "
    "L_base(0)), validation losses in nats per byte before (0) and after (B) training with the "
    "same budget on the same validation text; the base is trained too. Over several seeds the "
    "upper end of the 95 % t interval must lie below it, each seed paired with the base of that "
    "seed; one seed has no interval, and the finding says so.",
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
    bases = next((b for name in above if (b := tuned(material.made, name, made))), None)
    if bases is None:
        return unknown(
            f"no base trained with the same budget ({training.tokens} tokens) on the same "
            f"validation text: train {' or '.join(above)} as well"
        )
    return _judged(material, made, bases)


def _judged(material: Material, made: MadeRecord, bases: Sequence[MadeRecord]) -> Answer:
    limits = material.thresholds
    paired = _paired(_seeds(material.made, made), bases)
    closures = [
        closure
        for record, base in paired
        if (closure := gap_closure(record, base, limits.gap_nats)) is not None
    ]
    made, base = next((pair for pair in paired if pair[0] is made), paired[0])
    if not closures:
        return unknown(
            f"the loss before training lies less than {limits.gap_nats:g} nats/byte above that of "
            f"{base.variant}'s start: there is no gap to close"
        )
    closed = mean_estimate(closures)
    evidence = _evidence(closed, made, base, limits)
    if closed.low is None or closed.high is None:
        assert closed.value is not None
        below = closed.value < limits.gap_closure
        alone = "one seed: no interval"
        return yes([evidence], "moderate") if below else no([evidence], alone)
    if closed.high < limits.gap_closure:
        return yes([evidence], "moderate")
    if closed.low >= limits.gap_closure:
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


def tuned(records: Sequence[MadeRecord], name: str, like: MadeRecord) -> list[MadeRecord]:
    """Trainings of that variant with the same budget and validation text, all seeds of one setting.

    Of several settings, among those with most seeds, the one of least mean validation loss: a base
    with a badly set learning rate would flatter the compressed one. Empty when there is none.
    """
    wanted = training_of(like)
    settings: dict[str, list[MadeRecord]] = {}
    for made in records:
        training = training_of(made)
        if (
            wanted is not None
            and training is not None
            and made.parent == name
            and losses(made) is not None
            and training.tokens == wanted.tokens
            and training.validation_text.sha256 == wanted.validation_text.sha256
        ):
            settings.setdefault(_setting(made), []).append(made)
    most = max((len(seeds) for seeds in settings.values()), default=0)
    return min((s for s in settings.values() if len(s) == most), key=_mean_loss, default=[])


def _mean_loss(records: Sequence[MadeRecord]) -> float:
    return mean([reached.after for made in records if (reached := losses(made)) is not None])


def _setting(made: MadeRecord) -> str:
    """Everything of a recipe but its seed."""
    return made.recipe.model_dump_json(exclude={"seed": True, "train": {"seed"}})


def _seed(made: MadeRecord) -> int | None:
    recipe = made.recipe
    if isinstance(recipe, PeftPrune):
        return recipe.train.seed
    return recipe.seed if isinstance(recipe, Train | FedAvg) else None


def _paired(
    mine: Sequence[MadeRecord], bases: Sequence[MadeRecord]
) -> list[tuple[MadeRecord, MadeRecord]]:
    """Each training with the base of the same seed; all with one base where no two share seeds."""
    by_seed = {_seed(base): base for base in bases}
    paired = [(made, by_seed[s]) for made in mine if (s := _seed(made)) in by_seed]
    return paired if len(paired) > 1 else [(made, bases[0]) for made in mine]


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
    return [
        record
        for record in records
        if record.parent_identity == made.parent_identity
        and record.parent == made.parent
        and _setting(record) == _setting(made)
    ]


def _evidence(closed: Estimate, made: MadeRecord, base: MadeRecord, limits: Thresholds) -> Evidence:
    training, mine, theirs = training_of(made), losses(made), losses(base)
    interval = "one seed: no interval"
    if closed.low is not None and closed.high is not None:
        interval = f"{closed.low:.2f} to {closed.high:.2f} over {closed.n} seeds"
    text = f"gap closure {closed.value:.2f} ({interval})"
    if training is not None and mine is not None and theirs is not None:
        text += (
            f" after {training.tokens} tokens: {mine.before:.4f} to {mine.after:.4f} nats/byte, "
            f"{base.variant} {theirs.before:.4f} to {theirs.after:.4f}"
        )
    return Evidence(
        "gap closure",
        closed.value,
        closed.low,
        closed.high,
        "",
        limits.gap_closure,
        closed.n,
        base.variant,
        text,
    )
