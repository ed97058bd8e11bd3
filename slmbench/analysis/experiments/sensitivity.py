"""Sensitivity: what noise of a fixed share of every matrix's norm costs models of several depths.

    S_v = L(noisy v) - L(v)        [bits per byte], on the same texts

Averaged over draws of the noise. Both texts and draws vary, crossed with each other; the variance
of the mean is taken as the sum of that over texts (of means over draws) and that over draws (of
means over texts), which counts their interaction twice and so is no less than it should be, with
Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2:110). Of one draw only texts vary.
Two models are compared by the difference of their rises on the same texts, the n-th draw with the
n-th (idea: progressive sensitivity, arXiv 2503.19206).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from slmbench.analysis.experiments.closure import mean_of
from slmbench.analysis.experiments.contrasts import size_of
from slmbench.analysis.experiments.findings import (
    Chapter,
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
    Outcome,
    judge,
    judged_of,
    losses_on_text,
    value_of,
)
from slmbench.analysis.paired import ALPHA, on_shared_items
from slmbench.analysis.rows import Judged
from slmbench.analysis.special import t_quantile
from slmbench.analysis.statistics import (
    Estimate,
    holm,
    mean_estimate,
    pooled_estimate,
    t_test_p,
)
from slmbench.spec.experiment import Arm
from slmbench.spec.recipe import Perturb

ROLE = "perturbed"
_LEAD = (
    "Gaussian noise was added to every linear layer of the untrained variants, as large a share of "
    "each matrix's norm in all of them. The rise is that of the loss over the variant without "
    "noise, on the same texts, averaged over draws of the noise.",
)
_UNDER = "under noise of {0} of each matrix's norm"
_AGAINST = "minus that of the least pruned, on the same texts; p after Holm over this column"


@dataclass(frozen=True, slots=True)
class Noisy:
    """One arm at one size of the noise."""

    arm: Arm
    norm: float
    draws: tuple[str, ...]
    plain: str
    """The variant without noise."""


@dataclass(frozen=True, slots=True)
class Level:
    """All arms at one size of the noise, by rising share pruned, in one loss."""

    outcome: Outcome
    norm: float
    noisy: tuple[Noisy, ...]
    rises: tuple[Number, ...]
    above: tuple[Number | None, ...]
    """Each minus the first; None for the first itself."""
    steps: tuple[Number, ...]
    """Each minus the one before it."""


def levels(material: Material) -> tuple[Level, ...]:
    """Every loss on text and every size of the noise; p of ``above`` adjusted after Holm."""
    every = [one for arm in material.arms(ROLE) for one in _noisy(material, arm)]
    norms = sorted({one.norm for one in every})
    found = []
    for outcome in losses_on_text(material):
        for norm in norms:
            mine = sorted((n for n in every if n.norm == norm), key=_place)
            found.append(_level(material, outcome, norm, tuple(mine)))
    return tuple(_adjusted(found))


def sensitivity_chapter(material: Material, found: Sequence[Level]) -> Chapter:
    """Table and curve of the rises."""
    plot = _plot(found)
    return Chapter(
        "sensitivity", "Sensitivity to noise in the weights", _LEAD,
        tuple(_grid(material, level, i) for i, level in enumerate(found, 1)),
        () if plot is None else (plot,),
    )  # fmt: skip


def sensitivity_conclusions(found: Sequence[Level]) -> tuple[Conclusion, ...]:
    """Whether sensitivity grows with the share pruned, and each against the least pruned."""
    said: list[Conclusion] = []
    for level in found:
        said += [c for c in (_order(level),) if c is not None]
        said += _against_first(level)
    return tuple(said)


def _noisy(material: Material, arm: Arm) -> Iterator[Noisy]:
    """The arm's variants by the size of their noise and by what they were made from."""
    groups: dict[tuple[float, str], list[str]] = {}
    for name in arm.variants:
        member = material.kept.member(name)
        recipe = None if member is None else member.variant.recipe
        plain = material.parent(name)
        if isinstance(recipe, Perturb) and plain is not None:
            groups.setdefault((recipe.relative_norm, plain), []).append(name)
    for (norm, plain), draws in groups.items():
        yield Noisy(arm, norm, tuple(draws), plain)


def _place(one: Noisy) -> float:
    return one.arm.at or 0.0


def _level(material: Material, outcome: Outcome, norm: float, noisy: tuple[Noisy, ...]) -> Level:
    rises = tuple(_rise(material, outcome, one) for one in noisy)
    above = (None, *(_apart(material, outcome, noisy[0], one) for one in noisy[1:]))
    steps = tuple(_apart(material, outcome, a, b) for a, b in itertools.pairwise(noisy))
    return Level(outcome, norm, noisy, rises, above[: len(noisy)], steps)


def _rise(material: Material, outcome: Outcome, one: Noisy) -> Number:
    """Mean over draws of the loss with noise, minus that without."""
    runs = _runs(material, outcome, one)
    if isinstance(runs, str):
        return nothing(outcome.unit, runs)
    shared = on_shared_items(runs)
    return _number(_rises(shared), shared[0], outcome)


def _apart(material: Material, outcome: Outcome, left: Noisy, right: Noisy) -> Number:
    """The rise of ``right`` minus that of ``left``, on the texts that all runs scored."""
    first, second = _runs(material, outcome, left), _runs(material, outcome, right)
    if isinstance(first, str) or isinstance(second, str):
        return nothing(outcome.unit, first if isinstance(first, str) else str(second))
    if len(first) != len(second):
        return nothing(outcome.unit, "the two have different numbers of draws")
    shared = on_shared_items([*first, *second])
    theirs, mine = _rises(shared[: len(first)]), _rises(shared[len(first) :])
    steps = [
        [b - a for a, b in zip(left_, right_, strict=True)]
        for left_, right_ in zip(theirs, mine, strict=True)
    ]
    return _number(steps, shared[0], outcome)


def _runs(material: Material, outcome: Outcome, one: Noisy) -> list[Judged] | str:
    """Judgements without noise, then those of every draw; or what is missing."""
    found = []
    for name in (one.plain, *one.draws):
        judged = judged_of(material, outcome, name, outcome.works[0])
        if judged is None:
            return f"{name} has no {outcome.title}"
        found.append(judged)
    return found


def _rises(runs: Sequence[Judged]) -> list[list[float]]:
    """Of every run but the first, text by text: it minus the first."""
    plain, *noisy = (_values(run) for run in runs)
    return [[v - before for before, v in zip(plain, draw, strict=True)] for draw in noisy]


def _values(run: Judged) -> list[float]:
    return [v for v in run.values if v is not None]


def _number(draws: Sequence[Sequence[float]], like: Judged, outcome: Outcome) -> Number:
    """Mean over draws, pooled over texts; with the p of a difference."""
    if not draws[0]:
        return nothing(outcome.unit, "no text was scored in all runs")
    texts = _pooled([mean_of(values) for values in zip(*draws, strict=True)], like)
    alone = [e.value for e in (_pooled(draw, like) for draw in draws) if e.value is not None]
    estimate, freedom = _crossed(texts, len(set(like.clusters)), mean_estimate(alone))
    p = None
    if estimate.value is not None and estimate.se is not None:
        p = t_test_p(estimate.value, estimate.se, freedom)
    each = f"draws: {', '.join(f'{v:.4g}' for v in alone)}"
    number = replace(number_of(estimate, outcome.unit), signed=True, p=p, said=(each,))
    return replace(number, verdict=judge(number, p, outcome.direction))


def _pooled(values: Sequence[float], like: Judged) -> Estimate:
    """Over texts, weighted by their bytes."""
    weights = [w for w in like.weights if w is not None]
    if weights:
        return pooled_estimate(values, weights, like.clusters)
    return mean_estimate(values, like.clusters)


def _crossed(texts: Estimate, clusters: int, draws: Estimate) -> tuple[Estimate, int]:
    """The interval over texts widened by what draws differ in, and its degrees of freedom."""
    if texts.value is None or texts.se is None or draws.se is None:
        return replace(texts, method=f"{texts.method}; one draw"), clusters - 1
    parts = ((texts.se**2, clusters - 1), (draws.se**2, draws.n - 1))
    variance = math.fsum(v for v, _ in parts)
    if not variance:
        return texts, clusters - 1
    freedom = max(1, int(variance**2 / math.fsum(v * v / f for v, f in parts)))
    se = math.sqrt(variance)
    half = t_quantile(1 - ALPHA / 2, freedom) * se
    how = f"t over texts and {draws.n} draws"
    wide = replace(
        texts, low=texts.value - half, high=texts.value + half, se=se, method=how
    )  # fmt: skip
    return wide, freedom


def _adjusted(found: Sequence[Level]) -> Iterator[Level]:
    """Verdicts of ``above`` after Holm's adjustment over all of them."""
    p_values = [n.p for level in found for n in level.above if n is not None and n.p is not None]
    adjusted = iter(holm(p_values))
    for level in found:
        above: list[Number | None] = []
        for number in level.above:
            if number is not None and number.p is not None and next(adjusted) >= ALPHA:
                number = replace(number, verdict="not resolved")
            above.append(number)
        yield replace(level, above=tuple(above))


def _grid(material: Material, level: Level, place: int) -> Grid:
    what = level.outcome.title
    columns = (
        Column("Pruned", "share taken away"),
        Column(what, "without noise", level.outcome.metric),
        Column("Rise", "with noise minus without, on the same texts"),
        Column("Rise, against the least pruned", _AGAINST),
    )
    lines = []
    for one, rise, above in zip(level.noisy, level.rises, level.above, strict=True):
        share = None if one.arm.at is None else Number(one.arm.at, "fraction")
        plain = value_of(material, level.outcome, one.plain)
        lines.append(Line(one.arm.name, one.draws, (share, plain, rise, above)))
    title = f"Noise of {level.norm:g} of each matrix's norm: {what}"
    return Grid(f"sensitivity-{place}", title, "Variant", columns, tuple(lines))


def _plot(found: Sequence[Level]) -> Plot | None:
    traces = []
    for level in found:
        marks = tuple(
            Mark(one.arm.at, rise, one.arm.name)
            for one, rise in zip(level.noisy, level.rises, strict=True)
            if one.arm.at is not None and rise.value is not None
        )
        if len(marks) > 1:
            traces.append(Trace(f"noise of {level.norm:g}", marks))
    if not traces:
        return None
    return Plot(
        "sensitivity", "Sensitivity × share pruned",
        "Rise of the loss under noise of a fixed share of each matrix's norm, with 95 % intervals "
        "over texts.",
        "share pruned", f"rise [{found[0].outcome.unit}]", tuple(traces), from_zero=True,
    )  # fmt: skip


def _order(level: Level) -> Conclusion | None:
    """Grows only where every step's interval lies above 0."""
    placed = all(one.arm.at is not None for one in level.noisy)
    if len(level.noisy) < 2 or not placed or any(s.low is None for s in level.steps):
        return None
    first, last = level.rises[0], level.rises[-1]
    size = Number(level.norm, "fraction")
    if all(s.low is not None and s.low > 0 for s in level.steps):
        return Conclusion(
            "grows",
            "Sensitivity grows with every further share that is pruned: noise of {0} of each "
            "matrix's norm costs {1} in "
            f"{named(level.noisy[0].arm.name)} and {{2}} in {named(level.noisy[-1].arm.name)}.",
            (size, first, last),
        )
    fallen = [i for i, s in enumerate(level.steps) if s.high is not None and s.high < 0]
    if fallen:
        i = fallen[0]
        return Conclusion(
            "does not grow",
            f"Sensitivity does not grow with every further share that is pruned: {_UNDER} the rise "
            f"of {named(level.noisy[i + 1].arm.name)} minus that of "
            f"{named(level.noisy[i].arm.name)} is {{1}}.",
            (size, level.steps[i]),
        )
    open_ = next(i for i, s in enumerate(level.steps) if s.holds_zero)
    return Conclusion(
        "not resolved",
        "Whether sensitivity grows with every further share that is pruned is not resolved: "
        f"{_UNDER} the rise of {named(level.noisy[open_ + 1].arm.name)} minus that of "
        f"{named(level.noisy[open_].arm.name)} is {{1}}.",
        (size, level.steps[open_]),
    )


def _against_first(level: Level) -> Iterator[Conclusion]:
    for one, above in zip(level.noisy[1:], level.above[1:], strict=True):
        assert above is not None
        name, first = named(one.arm.name), named(level.noisy[0].arm.name)
        size = Number(level.norm, "fraction")
        if above.value is None:
            yield Conclusion(
                "cannot be said",
                f"{name}: its sensitivity cannot be compared with that of {first}: "
                f"{quoted(above.reason)}.",
            )
        elif above.verdict in ("better", "worse"):
            word = "more" if above.verdict == "worse" else "less"
            yield Conclusion(
                "worse" if word == "more" else "better",
                f"{name} is {word} sensitive than {first}: {_UNDER} its loss rises by {{1}} "
                f"{word}.",
                (size, size_of(above)),
            )
        else:
            yield Conclusion(
                "not resolved",
                f"Whether {name} is more sensitive than {first} is not resolved: {_UNDER} their "
                "rises differ by {1}.",
                (size, above),
            )
