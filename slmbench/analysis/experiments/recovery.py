"""Training that repairs: before, after, and after it was quantized again; the parent beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.analysis.experiments.closure import Four, closure, closure_of_curves, over_seeds_of
from slmbench.analysis.experiments.contrasts import (
    arm_value,
    contrast_of,
    sentence,
    size_of,
)
from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Conclusion,
    Findings,
    Grid,
    Line,
    Number,
    named,
    nothing,
    quoted,
)
from slmbench.analysis.experiments.making import curve_plot, making_chapter
from slmbench.analysis.experiments.material import Material
from slmbench.analysis.experiments.outcomes import (
    Outcome,
    difference_of,
    headlines,
    quality_outcomes,
)
from slmbench.analysis.experiments.overview import overview
from slmbench.spec.experiment import Arm

STAGES = ("parent", "parent_tuned", "before", "after", "shipped")
_LEAD = (
    "“Before” is the damaged model, “after” the same model trained, “shipped” what is deployed: "
    "merged and quantized once more. The parent was trained on the same text for as many tokens, "
    "so that what any training brings is not counted as recovery.",
)


@dataclass(frozen=True, slots=True)
class Recovery:
    """The arms of the experiment."""

    parent: Arm
    parent_tuned: Arm
    before: Arm
    after: Arm
    shipped: Arm | None

    @property
    def stages(self) -> tuple[Arm, ...]:
        """In their order."""
        last = () if self.shipped is None else (self.shipped,)
        return (self.parent, self.parent_tuned, self.before, self.after, *last)


def find(material: Material) -> Findings:
    """Stages, gap closure by loss, curves and costs; of every damaged model that was trained."""
    groups = _groups(material)
    if not groups:
        lacking = [r for r in STAGES[:4] if not material.arms(r)]
        why = f"The experiment names no arm of role {', '.join(lacking) or 'after'}."
        return Findings((Conclusion("cannot be said", why),), (making_chapter(material),))
    gaps = [(arms, _closures(material, arms)) for arms in groups]
    trained = [n for arms in groups for a in (arms.parent_tuned, arms.after) for n in a.variants]
    plot = curve_plot(material, list(dict.fromkeys(trained)))
    said = [c for arms, found in gaps for c in _told(material, arms, found)]
    every = [gap for _, found in gaps for gap in found]
    return Findings(
        tuple(said),
        (
            Chapter("stages", "Before, after, shipped", _LEAD,
                    tuple(_stages(material, i, arms) for i, arms in enumerate(groups, 1))),
            Chapter("closure", "Gap closure", _ABOUT, (_closure_grid(every),)),
            Chapter("curves", "How training went", (), (), () if plot is None else (plot,)),
            Chapter("outcomes", "What was measured", (), (overview(material),)),
            making_chapter(material),
        ),
    )  # fmt: skip


def _told(material: Material, arms: Recovery, gaps: Sequence[Gap]) -> list[Conclusion]:
    return [*_said(arms, gaps), *_steps(material, arms), *_scores(material, arms)]


_ABOUT = (
    "G = 1 − (L_v(B) − L_base(B)) / (L_v(0) − L_base(0)): 1 closes the whole gap between the "
    "damaged model and its parent, both trained on the budget B; 0 leaves all of it.",
)


@dataclass(frozen=True, slots=True)
class Gap:
    """One closure of one stage."""

    stage: str
    loss: str
    value: Number


def _groups(material: Material) -> list[Recovery]:
    """One for every ``before`` arm: ``after`` and ``shipped`` say which arm they are against."""
    e = material.experiment
    parent, tuned = e.arm("parent"), e.arm("parent_tuned")
    if parent is None or tuned is None:
        return []
    found = []
    for before in material.arms("before"):
        after = _following(material, "after", before)
        if after is not None:
            shipped = _following(material, "shipped", after)
            found.append(Recovery(parent, tuned, before, after, shipped))
    return found


def _following(material: Material, role: str, arm: Arm) -> Arm | None:
    """The arm of that role that names this one, or the only one where it names none."""
    arms = material.arms(role)
    named = [a for a in arms if a.against == arm.name]
    if not named and len(arms) == 1 and arms[0].against is None:
        return arms[0]
    return named[0] if named else None


def _losses(material: Material) -> list[Outcome]:
    """Outcomes that a gap can be closed in: bits per byte of running text."""
    return [o for o in quality_outcomes(material) if o.unit in ("bits/byte", "nats/token")]


def _closures(material: Material, arms: Recovery) -> list[Gap]:
    found, parent = [], arms.parent.variants[0]
    for stage in (arms.after, arms.shipped):
        if stage is None:
            continue
        for outcome in _losses(material):
            each = [
                closure(
                    material, outcome,
                    Four(parent, _nth(arms.parent_tuned, i), _nth(arms.before, i), name),
                )
                for i, name in enumerate(stage.variants)
            ]  # fmt: skip
            found.append(Gap(stage.name, outcome.title, over_seeds_of(each)))
    each = [
        closure_of_curves(material.training(_nth(arms.parent_tuned, i)), material.training(name))
        for i, name in enumerate(arms.after.variants)
    ]
    found.append(Gap(arms.after.name, "validation loss while training", over_seeds_of(each)))
    return found


def _nth(arm: Arm, place: int) -> str:
    """The n-th variant, or the only one."""
    return arm.variants[min(place, len(arm.variants) - 1)]


def _closure_grid(gaps: Sequence[Gap]) -> Grid:
    columns = (
        Column("Loss", "what the gap is measured in"),
        Column("Gap closure G", "share of the gap that is gone; the parent was trained as long"),
    )
    lines = tuple(Line(gap.stage, (), (gap.loss, gap.value)) for gap in gaps)
    return Grid("closure", "Gap closure", "Stage", columns, lines)


def _stages(material: Material, number: int, arms: Recovery) -> Grid:
    outcomes = quality_outcomes(material)
    columns: list[Column] = []
    for o in outcomes:
        columns += [
            Column(o.title, f"suite {o.suite}", o.metric),
            Column("− before", "minus the damaged model, paired", o.metric),
        ]
    before = arms.before.variants[0]
    lines = []
    for arm in arms.stages:
        cells: list[Number | str | None] = []
        for o in outcomes:
            cells.append(arm_value(material, o, arm))
            same = arm.variants[0] == before
            alone = len(arm.variants) == 1
            cells.append(
                None if same
                else difference_of(material, o, arm.variants[0], before) if alone
                else nothing(o.difference_unit, "several seeds: see the contrasts")
            )  # fmt: skip
        lines.append(Line(arm.name, arm.variants, tuple(cells)))
    title = f"{arms.before.name}: before, after, shipped"
    return Grid(f"stages-{number}", title, "Stage", tuple(columns), tuple(lines))


def _said(arms: Recovery, gaps: Sequence[Gap]) -> list[Conclusion]:
    """A sentence a closure."""
    said = []
    budget = named(arms.parent_tuned.name)
    for gap in gaps:
        what = f"{named(gap.stage)}, {quoted(gap.loss)}"
        n = gap.value
        if n.value is None:
            said.append(
                Conclusion("cannot be said", f"{what}: no gap closure: {quoted(n.reason)}.")
            )
        elif n.low is None or n.high is None:
            said.append(
                Conclusion(
                    "cannot be said",
                    f"{what}: training closed {{0}} of the gap to {budget}; one run each, so how "
                    "much of that is chance is not known.",
                    (n,),
                )
            )
        elif n.low > 0:
            said.append(
                Conclusion(
                    "gap smaller",
                    f"{what}: training closed {{0}} of the gap to {budget}.",
                    (n,),
                )
            )
        elif n.high < 0:
            said.append(
                Conclusion(
                    "gap wider", f"{what}: the gap to {budget} grew: closure is {{0}}.", (n,)
                )
            )
        else:
            said.append(
                Conclusion(
                    "not resolved",
                    f"{what}: whether training closed any of the gap to {budget} is not resolved: "
                    "{0}, the interval holds 0.",
                    (n,),
                )
            )
    return said


def _steps(material: Material, arms: Recovery) -> list[Conclusion]:
    """What quantizing again took away from what was won."""
    if arms.shipped is None or len(arms.shipped.variants) != len(arms.after.variants):
        return []
    said = []
    for o in _losses(material):
        d = difference_of(material, o, arms.shipped.variants[0], arms.after.variants[0])
        if d.value is None:
            continue
        change = {"worse": "costs", "better": "brings"}.get(d.verdict)
        said.append(
            Conclusion(
                "worse" if d.verdict == "worse" else
                "better" if d.verdict == "better" else "not resolved",
                f"{quoted(o.title)}: merging and quantizing again {change} {{0}}."
                if change else
                f"{quoted(o.title)}: what quantizing again changes is not resolved: {{0}}.",
                (size_of(d) if change else d,),
            )
        )  # fmt: skip
    return said


def _scores(material: Material, arms: Recovery) -> list[Conclusion]:
    """What training did to scores that are no losses."""
    losses = _losses(material)
    margin = material.experiment.limits.margin
    return [
        sentence(contrast_of(material, o, arms.after, arms.before), margin)
        for o in headlines(quality_outcomes(material))
        if o not in losses and len(arms.after.variants) == len(arms.before.variants)
    ]
