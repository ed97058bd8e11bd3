"""Which variant to ship: the cheapest that loses nothing beyond a margin and keeps the limits."""

from __future__ import annotations

from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Conclusion,
    Findings,
    Grid,
    Line,
    Number,
    nothing,
    number_of,
    quoted,
)
from slmbench.analysis.experiments.making import making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.overview import overview
from slmbench.analysis.shipping import Choice, Cost, Decision
from slmbench.analysis.which_to_ship import which_to_ship
from slmbench.metrics import METRICS
from slmbench.spec.experiment import Limits


def find(material: Material) -> Findings:
    """The ranked variants with what ruled the others out."""
    parent = material.experiment.arm("parent")
    reference = None if parent is None else parent.variants[0]
    known = {run.spec.variant.name for run in material.results.stored}
    if not known or (reference is not None and reference not in known):
        why = f"There are no results of {reference or 'any variant'}: nothing can be chosen."
        return Findings((Conclusion("cannot be said", quoted(why)),), (making_chapter(material),))
    limits = material.experiment.limits
    decision = which_to_ship(material.results, limits, reference)
    return Findings(
        (_answer(decision), *(_sentence(c) for c in decision.choices if c.outcome != "may ship")),
        (
            Chapter("ranking", "Which may be shipped", (_rules(limits),), (_grid(decision),)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )


def _rules(limits: Limits) -> str:
    bounds = (
        ("peak memory", limits.memory_mb, "MB"),
        ("time per token", limits.tpot_ms, "ms"),
        ("time to first token", limits.ttft_ms, "ms"),
        ("energy per token", limits.energy_j_per_token, "J"),
    )
    set_ = [f"{name} at most {bound:g} {unit}" for name, bound, unit in bounds if bound is not None]
    kept = f"; limits: {', '.join(set_)}" if set_ else "; no limits are set"
    return (
        f"Non-inferior to the reference within {100 * limits.margin:g} points on every accuracy "
        f"score, no failure signature that the reference does not show{kept}. What was not "
        "measured cannot be said, and never passes."
    )


def _answer(decision: Decision) -> Conclusion:
    found = any(c.outcome == "may ship" for c in decision.choices)
    return Conclusion("ship" if found else "cannot be said", quoted(decision.sentence))


def _sentence(choice: Choice) -> Conclusion:
    """What rules it out; else what would have to be known. The table has both."""
    name = f"{choice.system.variant} on {choice.system.target}"
    if choice.outcome == "ruled out":
        return Conclusion("ruled out", quoted(f"{name}: {'; '.join(choice.against)}."))
    unknown = "; ".join(choice.unknown)
    return Conclusion("cannot be said", quoted(f"{name} cannot be recommended: {unknown}."))


def _grid(decision: Decision) -> Grid:
    limited = list(dict.fromkeys(cost.metric for c in decision.choices for cost in c.costs))
    metric = decision.limits.cheapest_by
    columns = (
        Column("Rank", "1: the cheapest that may ship"),
        Column("Outcome", "may ship, cannot be said, or ruled out"),
        Column("Worst loss", "least favourable difference of a score from the reference"),
        Column(f"Price: {METRICS[metric].label}", "what cheapest goes by", metric),
        *(Column(METRICS[m].label, "held against its limit", m) for m in limited),
        Column("Why", "what is against it, or not known"),
    )
    lines = tuple(_line(choice, limited) for choice in decision.choices)
    return Grid("ranking", "Which may be shipped", "Variant", columns, lines)


def _line(choice: Choice, limited: list[str]) -> Line:
    worst = min(choice.losses, key=lambda loss: loss.delta, default=None)
    rank = "" if choice.rank is None else f"{choice.rank}{' (tied with 1)' if choice.tied else ''}"
    by_metric = {cost.metric: cost for cost in choice.costs}
    costs = [by_metric.get(metric) for metric in limited]
    cells = (
        rank,
        "reference; " + choice.outcome if choice.is_reference else choice.outcome,
        None
        if worst is None
        else Number(worst.delta, "fraction", worst.low, worst.high, method=worst.task, signed=True,
                    verdict={"yes": "non-inferior", "no": "worse"}.get(worst.non_inferior,
                                                                       "not resolved"),
                    said=(worst.task,)),
        _cost(choice.price),
        *(None if cost is None else _cost(cost) for cost in costs),
        choice.why,
    )  # fmt: skip
    return Line(choice.system.variant, (choice.system.target,), cells)


def _cost(cost: Cost) -> Number:
    unit = METRICS[cost.metric].unit
    if cost.estimate.value is None:
        return nothing(unit, cost.reason)
    number = number_of(cost.estimate, unit, cost.provenance)
    if cost.keeps is None:
        return number
    words = {"yes": "keeps its limit", "no": "breaks its limit"}.get(cost.keeps, cost.reason)
    return Number(number.value, unit, number.low, number.high, number.n, number.method,
                  number.provenance, said=(words,))  # fmt: skip
