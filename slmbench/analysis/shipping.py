"""What is said about a variant that might be shipped: losses, costs, the choice, the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from slmbench.analysis.columns import Column, frame
from slmbench.analysis.signature_rules.findings import change, points
from slmbench.analysis.statistics import Estimate
from slmbench.analysis.systems import System
from slmbench.metrics import METRICS
from slmbench.records import Provenance
from slmbench.spec.experiment import Limits

Outcome = Literal["may ship", "cannot be said", "ruled out"]
ORDER: tuple[Outcome, ...] = ("may ship", "cannot be said", "ruled out")
Keeps = Literal["yes", "no", "cannot be said"]


@dataclass(frozen=True, slots=True)
class Loss:
    """One accuracy score against the reference's."""

    task: str
    delta: float
    low: float | None
    high: float | None
    non_inferior: Literal["yes", "no", "inconclusive"]
    needed: int | None = None
    """Items that would settle an inconclusive one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost, with the limit that it was held against."""

    metric: str
    point: str
    estimate: Estimate
    provenance: Provenance
    limit: float | None = None
    """In the metric's unit; None: none was set."""
    keeps: Keeps | None = None
    reason: str = ""
    """Why there is no value, or why nothing can be said."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One system, and what speaks for or against it."""

    system: System
    outcome: Outcome
    against: tuple[str, ...]
    """Why it is ruled out; empty unless it is."""
    unknown: tuple[str, ...]
    """What is not known although it would be needed."""
    losses: tuple[Loss, ...]
    costs: tuple[Cost, ...]
    price: Cost
    """The cost that decides which is cheapest."""
    unchecked: tuple[str, ...] = ()
    """Signatures that these results cannot decide: said, and no obstacle."""
    is_reference: bool = False
    rank: int | None = None
    """1 is the cheapest of those that may ship."""
    tied: bool = False
    """Its price is not told from that of the cheapest."""

    @property
    def why(self) -> str:
        """Everything against it, then everything unknown."""
        return "; ".join((*self.against, *self.unknown))


@dataclass(frozen=True, slots=True)
class Decision:
    """All systems, those that may ship first, the cheapest first."""

    reference: str
    """``base`` (the root of each lineage) or a variant's name."""
    limits: Limits
    choices: tuple[Choice, ...]

    @property
    def sentence(self) -> str:
        """The answer in a sentence or two."""
        may = [c for c in self.choices if c.outcome == "may ship"]
        counts = {o: sum(c.outcome == o for c in self.choices) for o in ORDER}
        rest = (
            f"{counts['ruled out']} ruled out, {counts['cannot be said']} cannot be said for want "
            "of results or items"
        )
        if not may:
            return f"Nothing here can be recommended: {rest}."
        first, ties = may[0], [c.system.variant for c in may[1:] if c.tied]
        said = f"Ship {first.system.variant} on {first.system.target}: the cheapest by "
        said += f"{METRICS[self.limits.cheapest_by].label.lower()} of {len(may)} that may ship"
        if ties:
            said += f" (not told from {', '.join(ties)})"
        if first.is_reference:
            said += "; it is the reference itself, nothing cheaper is shown to be as good"
        return f"{said}. {rest[0].upper()}{rest[1:]}."


def lost(loss: Loss, margin: float) -> str:
    moved = change(loss.delta, loss.low, loss.high)
    return f"{loss.task}: {moved}, more than {points(margin)} is lost"


def undecided(loss: Loss, margin: float) -> str:
    told = f"{loss.task}: {change(loss.delta, loss.low, loss.high)}, a loss of {points(margin)} is "
    told += "neither shown nor ruled out"
    return told + (f", about {loss.needed:,} items would tell" if loss.needed else "")


def held_against(cost: Cost) -> str:
    label, unit = METRICS[cost.metric].label, METRICS[cost.metric].unit
    at = f" at {cost.point}" if cost.point else ""
    value = "no value" if cost.estimate.value is None else amount(cost.estimate.value, unit)
    limit = "" if cost.limit is None else amount(cost.limit, unit)
    why = f": {cost.reason}" if cost.reason else ""
    return f"{label}{at} {value} ({cost.provenance.value}), limit {limit}{why}"


def amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.4g} MB"
    return f"{value * 1e3:.4g} ms" if unit == "s" else f"{value:.4g} {unit}"


def _text(name: str, description: str) -> Column:
    return Column(name, "=which_to_ship", "string", description)


SHIP_COLUMNS: tuple[Column, ...] = (
    Column("rank", "=which_to_ship", "Int64", "1: the cheapest that may ship; null: may not"),
    _text("variant", "variant name"),
    _text("target", "target name"),
    _text("size", "demo, standard or full"),
    _text("machine", "fingerprint of the machine"),
    _text("outcome", "may ship, cannot be said, or ruled out"),
    Column("tied", "=which_to_ship", "boolean", "price not told from the cheapest one's"),
    _text("priced_by", "metric that cheapest goes by"),
    Column("price", "=which_to_ship", "Float64", "value of that metric", "of priced_by"),
    Column("price_low", "=which_to_ship", "Float64", "lower end, 95 %", "of priced_by"),
    Column("price_high", "=which_to_ship", "Float64", "upper end, 95 %", "of priced_by"),
    Column("worst_loss", "=which_to_ship", "Float64", "lowest difference of a score", "fraction"),
    _text("ruled_out_by", "why it may not ship"),
    _text("unknown", "what would have to be known, and is not"),
    _text("unchecked", "signatures that the results do not decide, or that the reference shows"),
)


def ship_frame(decision: Decision) -> pd.DataFrame:
    """One row a system in the decision's order (:data:`SHIP_COLUMNS`)."""
    values: Mapping[str, Sequence[object]] = {
        "rank": [c.rank for c in decision.choices],
        "variant": [c.system.variant for c in decision.choices],
        "target": [c.system.target for c in decision.choices],
        "size": [c.system.size for c in decision.choices],
        "machine": [c.system.machine for c in decision.choices],
        "outcome": [c.outcome for c in decision.choices],
        "tied": [c.tied if c.rank else None for c in decision.choices],
        "priced_by": [c.price.metric for c in decision.choices],
        "price": [c.price.estimate.value for c in decision.choices],
        "price_low": [c.price.estimate.low for c in decision.choices],
        "price_high": [c.price.estimate.high for c in decision.choices],
        "worst_loss": [min((x.delta for x in c.losses), default=None) for c in decision.choices],
        "ruled_out_by": ["; ".join(c.against) or None for c in decision.choices],
        "unknown": ["; ".join(c.unknown) or None for c in decision.choices],
        "unchecked": ["; ".join(c.unchecked) or None for c in decision.choices],
    }
    return frame(SHIP_COLUMNS, values)
