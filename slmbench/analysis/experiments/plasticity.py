"""How well compressed models still learn: shares pruned × learning rates × seeds, one budget."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from slmbench.analysis.experiments.closure import UNIT
from slmbench.analysis.experiments.contrasts import seed_difference
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
from slmbench.analysis.experiments.outcomes import Outcome, difference_of, losses_on_text
from slmbench.analysis.experiments.overview import overview
from slmbench.analysis.experiments.sensitivity import (
    levels,
    sensitivity_chapter,
    sensitivity_conclusions,
)
from slmbench.analysis.experiments.sweeps import (
    LOSS,
    Sweep,
    area,
    area_above,
    closures,
    end_above,
    gap_closure,
    half_way,
    loss_at_budget,
    sweep_of,
)

STIFF = 0.5
"""Gap closure at the budget below which a variant is called stiff."""
FEWEST_RATES = 3
FEWEST_SEEDS = 3
_ABOUT = (
    "Every variant was trained with each learning rate; the same seed is the same rows in the same "
    "order. The rate of least mean validation loss at the budget stands for a variant (a rate that "
    "suits one model may be wrong for another, which would look like stiffness). Gap closure "
    "compares it with the unpruned base at its own best rate, seed by seed. Intervals are over "
    "seeds; they do not cover that the rate was chosen by the losses that are shown.",
)


def find(material: Material) -> Findings:
    """Sweeps, what the best of each reached, curves, sensitivity and costs."""
    sweeps = [sweep_of(material, arm) for arm in material.arms("treatment")]
    tuned = material.experiment.arm("parent_tuned")
    base = None if tuned is None else sweep_of(material, tuned)
    every = ([] if base is None else [base]) + sweeps
    curves = curve_plot(material, [s.best[0].variant for s in every if s.best])
    plots = tuple(p for p in (curves, _closure_plot(base, sweeps)) if p is not None)
    noise = levels(material)
    sensitive = (sensitivity_chapter(material, noise),) if noise else ()
    return Findings(
        (
            *_stiffness(base, sweeps),
            *_order(base, sweeps),
            *sensitivity_conclusions(noise),
            *_forgotten(material, every),
            *_doubts(every),
        ),
        (
            Chapter("plasticity", "What the budget won back", _ABOUT,
                    (_grid(material, base, every), *_against_base(base, sweeps)), plots),
            Chapter("sweep", "Learning rates", (), (_rates(every),)),
            *sensitive,
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )  # fmt: skip


def _grid(material: Material, base: Sweep | None, every: Sequence[Sweep]) -> Grid:
    columns = (
        Column("Pruned", "share taken away"),
        Column("Learning rate", "of least mean validation loss over seeds"),
        Column("Loss before", "validation, before training"),
        Column("Loss at budget", "validation, at the end; mean over seeds"),
        Column("Mean loss", "area under the learning curve over its length (AULC); over seeds"),
        Column("Gap closure", "1 − (L(B) − L_base(B)) / (L(0) − L_base(0)), base trained too"),
        Column("Tokens to half the gap", "until half of the gap was left above the trained base"),
        *(Column(f"Forgetting: Δ {o.title}", "trained minus untrained, on other text; of the "
                 "first seed that was asked", o.metric)
          for o in losses_on_text(material)),
    )  # fmt: skip
    lines = [_line(material, base, sweep) for sweep in every]
    return Grid("plasticity", "What the budget won back", "Variant", columns, tuple(lines))


def _line(material: Material, base: Sweep | None, sweep: Sweep) -> Line:
    best, at = sweep.best, sweep.arm.at
    pruned = None if at is None else Number(at, "fraction")
    if not best:
        why = nothing(LOSS, "no training of it ended")
        return Line(sweep.arm.name, (), (pruned, why))
    is_base = base is not None and sweep.arm is base.arm
    cells = (
        pruned,
        "not known" if sweep.rate is None else f"{sweep.rate:g}",
        Number(best[0].start, LOSS),
        loss_at_budget(best),
        area(best),
        None if is_base else gap_closure(base, sweep),
        None if is_base else half_way(base, sweep),
        *(_forgetting(material, o, sweep) for o in losses_on_text(material)),
    )
    return Line(sweep.arm.name, tuple(t.variant for t in best), cells)


def _against_base(base: Sweep | None, sweeps: Sequence[Sweep]) -> tuple[Grid, ...]:
    """Losses above those of the base, seeds paired."""
    if base is None or not sweeps:
        return ()
    columns = (
        Column("Loss at budget", "minus that of the base, seeds paired"),
        Column("Mean loss", "over the budget (AULC), minus that of the base, seeds paired"),
    )
    lines = tuple(
        Line(s.arm.name, (), (end_above(base, s), area_above(base, s))) for s in sweeps
    )  # fmt: skip
    return (Grid("above-base", f"Above {base.arm.name}, trained as long", "Variant", columns,
                 lines),)  # fmt: skip


def _forgetting(material: Material, outcome: Outcome, sweep: Sweep) -> Number:
    """Of the first seed at the chosen rate that was asked."""
    found = nothing(outcome.unit, "no training of it ended")
    for one in sweep.best:
        parent = material.parent(one.variant)
        if parent is None:
            return nothing(outcome.unit, "it has no parent")
        found = difference_of(material, outcome, one.variant, parent)
        if found.value is not None:
            break
    return found


def _rates(every: Sequence[Sweep]) -> Grid:
    rates = sorted({rate for s in every for rate in s.rates if rate is not None})
    columns = tuple(
        Column(f"{rate:g}", "validation loss at the budget; mean over seeds") for rate in rates
    )
    lines = []
    for sweep in every:
        cells = []
        for rate in rates:
            tries = sweep.at(rate)
            if not tries:
                cells.append(nothing(LOSS, "not tried, or it did not end"))
                continue
            shown = loss_at_budget(tries)
            said = (*shown.said, *(("best",) if rate == sweep.rate else ()))
            cells.append(replace(shown, said=said))
        lines.append(Line(sweep.arm.name, (), tuple(cells)))
    return Grid("rates", "Validation loss at the budget by learning rate", "Variant", columns,
                tuple(lines))  # fmt: skip


def _closure_plot(base: Sweep | None, sweeps: Sequence[Sweep]) -> Plot | None:
    marks = []
    for sweep in sweeps:
        g = gap_closure(base, sweep)
        if g.value is not None and sweep.arm.at is not None:
            marks.append(Mark(sweep.arm.at, g, sweep.arm.name))
    if len(marks) < 2:
        return None
    alone = all(m.y.low is None for m in marks)
    how = "one training run each, so no interval" if alone else "95 % intervals over seeds"
    return Plot(
        "closure", "Gap closure × share pruned", f"Each at its best learning rate; {how}.",
        "share pruned", "gap closure at the budget",
        (Trace("gap closure", tuple(sorted(marks, key=lambda m: m.x))),),
    )  # fmt: skip


def _stiffness(base: Sweep | None, sweeps: Sequence[Sweep]) -> list[Conclusion]:
    """Stiff only where the whole interval over seeds lies below the limit."""
    limit = Number(STIFF, UNIT)
    said = []
    for sweep in sweeps:
        g, name = gap_closure(base, sweep), named(sweep.arm.name)
        if g.value is None:
            why = f"{name}: no gap closure: {quoted(g.reason)}."
            said.append(Conclusion("cannot be said", why))
            continue
        tail = "of the gap to the base, trained as long, is closed"
        if g.low is not None and g.high is not None and g.low <= STIFF <= g.high:
            text = f"Whether {name} is stiff is not resolved: at the budget {{0}} {tail}, and the "
            said.append(
                Conclusion("not resolved", text + "interval over seeds holds {1}.", (g, limit))
            )
            continue
        stiff = g.value < STIFF
        how = "one run, no interval" if g.low is None else quoted(g.method)
        text = f"at the budget {{0}} {tail} (limit {{1}}; {how})."
        if stiff:
            said.append(Conclusion("stiff", f"{name} is stiff: {text}", (g, limit)))
        else:
            said.append(Conclusion("not stiff", f"{name} is not stiff: {text}", (g, limit)))
    return said


def _order(base: Sweep | None, sweeps: Sequence[Sweep]) -> list[Conclusion]:
    """Whether gap closure falls with the share pruned: every step, seeds paired."""
    placed = sorted(
        (s for s in sweeps if s.arm.at is not None and gap_closure(base, s).value is not None),
        key=lambda s: s.arm.at or 0.0,
    )
    if len(placed) < 2:
        return []
    ends = (gap_closure(base, placed[0]), gap_closure(base, placed[-1]))
    steps = [(b, _step(base, a, b)) for a, b in itertools.pairwise(placed)]
    if any(d.value is None for _, d in steps):
        return []
    if any(d.low is None for _, d in steps):
        return [_described(steps, ends)]
    if all(d.high is not None and d.high < 0 for _, d in steps):
        text = "Gap closure falls with every further share that is pruned, from {0} to {1}."
        return [Conclusion("falls", text, ends)]
    risen = [(s, d) for s, d in steps if d.low is not None and d.low > 0]
    if risen:
        sweep, step = risen[0]
        text = f"it is higher for {named(sweep.arm.name)} than with less pruned, by {{0}}."
        said = "Gap closure does not fall with every further share that is pruned: "
        return [Conclusion("does not fall", said + text, (step,))]
    sweep, step = next((s, d) for s, d in steps if d.holds_zero)
    return [
        Conclusion(
            "not resolved",
            "Whether gap closure falls with every further share that is pruned is not resolved: "
            f"it goes from {{0}} to {{1}}, and the step to {named(sweep.arm.name)} is {{2}}.",
            (*ends, step),
        )
    ]


def _described(steps: Sequence[tuple[Sweep, Number]], ends: tuple[Number, ...]) -> Conclusion:
    falls = all(d.value is not None and d.value < 0 for _, d in steps)
    text = "Gap closure falls" if falls else "Gap closure does not fall"
    return Conclusion(
        "falls" if falls else "does not fall",
        f"{text} with every further share that is pruned, from {{0}} to {{1}}; single runs, so "
        "this order is a description, not a test.",
        ends,
    )


def _step(base: Sweep | None, less: Sweep, more: Sweep) -> Number:
    """Gap closure with more pruned minus that with less, seeds paired."""
    before, after = closures(base, less), closures(base, more)
    shared = [seed for seed in before if seed in after]
    if not shared:
        return nothing(UNIT, "no seed that both were trained with")
    return seed_difference(
        [after[s] for s in shared], [before[s] for s in shared], UNIT, "higher"
    )  # fmt: skip


def _forgotten(material: Material, every: Sequence[Sweep]) -> list[Conclusion]:
    said = []
    for outcome in losses_on_text(material):
        for sweep in every:
            d = _forgetting(material, outcome, sweep)
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
    return [
        Conclusion("cannot be said", f"{named(sweep.arm.name)}{doubt}.")
        for sweep in every
        if sweep.tries
        for doubt in _doubts_of(sweep)
    ]


def _doubts_of(sweep: Sweep) -> list[str]:
    doubts = []
    if len(sweep.rates) < FEWEST_RATES:
        doubts.append(
            f": only {len(sweep.rates)} learning rates ended: what looks like stiffness may be a "
            "wrong rate"
        )
    elif sweep.at_edge:
        doubts.append(
            ": the best learning rate lies at the edge of those that were tried; a better one may "
            "lie beyond it"
        )
    if sweep.seeds < FEWEST_SEEDS:
        doubts.append(
            f" has {sweep.seeds} of at least {FEWEST_SEEDS} seeds: what another training run would "
            "change is not in its numbers, or only badly known"
        )
    lacking = [rate for rate in sweep.rates if rate not in sweep.complete]
    if lacking:
        names = ", ".join("not known" if rate is None else f"{rate:g}" for rate in lacking)
        doubts.append(
            f": not every seed ended with learning rate {names}, which could not be chosen then"
        )
    return doubts
