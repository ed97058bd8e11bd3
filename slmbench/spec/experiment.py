"""An experiment: a question, the variants and suites that answer it, and the section that says so.

``slmbench experiment NAME`` makes the variants, runs the suites, and writes the report with the
section. The conclusions that a section draws are computed from results, never written beforehand.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name, PlacedError
from slmbench.spec.recipe_file import Budget
from slmbench.spec.suite import Size

Section = Literal[
    "initialization",
    "quantization",
    "recovery",
    "co_adaptation",
    "plasticity",
    "families",
    "attention",
    "which_to_ship",
]
"""Which analysis reads the results; one module each in ``analysis/experiments/``."""


class Asked(Frozen):
    """A suite that is run for the experiment."""

    suite: str
    """Name or path."""
    size: Size = "demo"
    overrides: tuple[str, ...] = ()
    """``path=value``, as for ``slmbench run --set``."""
    variants: tuple[Name, ...] = ()
    """Only these; empty: all of the models file."""
    targets: tuple[Name, ...] = ()


Role = Literal[
    "parent",
    "control",
    "treatment",
    "ladder",
    "parent_tuned",
    "before",
    "after",
    "shipped",
    "perturbed",
]
"""What an arm is to its section. ``parent``: the point of departure. ``control``: what treatments
are judged against. ``ladder``: steps of falling bits. ``parent_tuned``: the parent trained on the
same budget. ``before``, ``after``, ``shipped``: damaged, tuned, and tuned then quantized again.
``perturbed``: untrained, with noise in the weights."""


class Arm(Frozen):
    """A side of the comparison: one variant, or several that differ in one thing only."""

    name: str
    """What the section calls it: ``pruned, then distilled``."""
    variants: tuple[Name, ...] = Field(min_length=1)
    """In the order of what they differ in: arms that are compared list their seeds alike."""
    role: Role = "treatment"
    differ: Literal["seed", "step", "learning_rate"] = "seed"
    """What the variants of the arm differ in. ``learning_rate``: the one of least validation loss
    at the budget stands for the arm; with several seeds of each, that of the least mean."""
    against: str | None = None
    """Arm that it is judged against; null: the one control of the experiment."""
    at: float | None = None
    """Its place on an axis: the share pruned."""


class Limits(Frozen):
    """What a variant to ship must keep to; for ``which_to_ship``."""

    memory_mb: float | None = Field(default=None, gt=0)
    """Peak memory of the memory suite [10^6 bytes]."""
    tpot_ms: float | None = Field(default=None, gt=0)
    ttft_ms: float | None = Field(default=None, gt=0)
    energy_j_per_token: float | None = Field(default=None, gt=0)
    margin: float = Field(default=0.02, gt=0, lt=1)
    """Largest loss against the parent that counts as none, of each primary score that is a
    share."""
    cheapest_by: Literal["peak_memory", "artefact_size", "tpot", "energy_per_token"] = "peak_memory"


class Experiment(Frozen):
    """One experiment file."""

    name: Name
    title: str
    question: str
    """In a sentence, with a question mark."""
    models: str
    """Models file: the variants and their targets."""
    section: Section
    suites: tuple[Asked, ...] = Field(min_length=1)
    arms: tuple[Arm, ...] = ()
    limits: Limits = Limits()
    budget: Budget
    """What it may take on two cores without a GPU, making the variants included."""
    limitations: tuple[str, ...] = ()
    """What its numbers do not say."""

    @model_validator(mode="after")
    def _arms_are_apart(self) -> Self:
        names = [arm.name for arm in self.arms]
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for i, arm in enumerate(self.arms):
            if arm.name in names[:i]:
                problems.append((("arms", i, "name"), f"two arms are named {arm.name!r}"))
            if arm.against == arm.name:
                problems.append((("arms", i, "against"), f"{arm.name!r} is this arm itself"))
            elif arm.against is not None and arm.against not in names:
                cause = f"there is no arm {arm.against!r}; arms: {', '.join(names)}"
                problems.append((("arms", i, "against"), cause))
        if problems:
            raise PlacedError(problems)
        return self

    def arm(self, role: Role) -> Arm | None:
        """The first arm of that role."""
        return next((arm for arm in self.arms if arm.role == role), None)

    def control_of(self, arm: Arm) -> Arm | None:
        """What an arm is judged against; None for a control, or where nothing says so."""
        if arm.against is not None:
            return next(other for other in self.arms if other.name == arm.against)
        return self.arm("control") if arm.role == "treatment" else None

    def arm_variants(self) -> tuple[Name, ...]:
        """All variants of all arms."""
        return tuple(dict.fromkeys(name for arm in self.arms for name in arm.variants))
