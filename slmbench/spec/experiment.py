"""An experiment: a question, the variants and suites that answer it, and the section that says so.

``slmbench experiment NAME`` makes the variants, runs the suites, and writes the report with the
section. The conclusions that a section draws are computed from results, never written beforehand.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name
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


class Arm(Frozen):
    """A side of the comparison: variants that differ by their seed only, or a step of a ladder."""

    name: str
    """What the section calls it: ``pruned, then distilled``."""
    variants: tuple[Name, ...] = Field(min_length=1)
    role: Literal["parent", "control", "treatment", "step"] = "treatment"
    """``parent``: the point of departure. ``control``: what it is judged against. ``step``: one of
    an ordered ladder."""
    at: float | None = None
    """Place on the ladder: bits, share pruned, learning rate; what it is, the section knows."""


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
        twins = sorted({n for n in names if names.count(n) > 1})
        if twins:
            raise ValueError(f"two arms are named {', '.join(twins)}")
        return self
