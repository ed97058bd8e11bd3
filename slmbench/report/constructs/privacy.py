"""The page about memorisation: exposure, attacks beside their baseline, and utility."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slmbench.analysis.statistics import Estimate
from slmbench.metrics import METRICS
from slmbench.metrics.privacy import ATTACKS, BLIND
from slmbench.report.constructs.assignment import OTHER, construct_of
from slmbench.report.constructs.drawing import (
    Axes,
    Dot,
    Mark,
    Plane,
    Series,
    categories,
    draw,
    scatter,
)
from slmbench.report.constructs.gathering import Material, TaskRuns
from slmbench.report.constructs.groups import natural
from slmbench.report.constructs.levels import BITS
from slmbench.report.constructs.special import Special
from slmbench.report.constructs.systems import Line
from slmbench.report.figures import Figure

EXPOSURE, NULL, UTILITY = "canary_exposure", "canary_exposure_null", "nonmember_nll"
_CHANCE = 0.5

_Found = Callable[[Line], Estimate | None]


def build(material: Material, tasks: Sequence[TaskRuns]) -> Special:
    """Exposure by repetitions, membership by attack, and exposure against utility."""
    figures: list[Figure | None] = []
    canaries = [task for task in tasks if task.scorer == EXPOSURE]
    figures += [_exposure(material, task) for task in canaries]
    members = [task for task in tasks if task.scorer == "membership"]
    figures += [_attacks(material, task) for task in members]
    quality = [t for t in tasks if construct_of(t.task, t.scorer, t.primary) == OTHER]
    for task in canaries:
        figures += [_against_task(material, task, one, UTILITY) for one in members]
        figures += [_against_task(material, task, one, one.primary) for one in quality]
        if not quality:
            figures.append(_against_accuracy(material, task))
    return Special(tuple(f for f in figures if f is not None))


def _exposure(material: Material, task: TaskRuns) -> Figure | None:
    places = categories(material.lines)
    series = [
        Series(_planted(group), _marks(material, task, _of_group(material, task, group)))
        for group in _groups(material, task)
    ]
    null = [e.value for line in material.lines if (e := _whole(material, task, line, NULL))]
    known = next((value for value in null if value is not None), None)
    return draw(
        f"{task.suite}-{task.task}-exposure",
        f"{task.task}: exposure by number of times planted",
        "How far the planted secret stands out among secrets of the same form, with 95 % intervals "
        "over canaries. Canaries that were never planted must lie at the dashed null; where they "
        "do not, the form of secrets was learned and not the secrets.",
        series,
        Axes(BITS, "exposure [bits]", "bits", known, "random rank", tuple(places.values())),
    )


def _attacks(material: Material, task: TaskRuns) -> Figure | None:
    places = categories(material.lines)
    series = []
    for attack in (*ATTACKS, BLIND):
        name = f"mia_{attack}_auroc"
        label = METRICS[name].label.removeprefix("Membership AUROC, ")

        def found(line: Line, metric: str = name) -> Estimate | None:
            return _whole(material, task, line, metric)

        series.append(Series(label, _marks(material, task, found)))
    return draw(
        f"{task.suite}-{task.task}-attacks",
        f"{task.task}: membership inference by attack",
        "AUROC of telling records that were trained on from records that were not, with 95 % "
        "intervals. The blind baseline sees the texts alone: an attack that is not above it has "
        "shown nothing about the model.",
        series,
        Axes(BITS, "AUROC", "score", _CHANCE, "chance", tuple(places.values()), from_zero=False),
    )


def _against_task(
    material: Material, task: TaskRuns, other: TaskRuns, metric: str
) -> Figure | None:
    declared = METRICS.get(metric)
    if declared is None:
        return None
    better = {"higher": " → better", "lower": " ← better", "none": ""}[declared.direction]
    unit = "" if declared.unit == "fraction" else f" [{declared.unit}]"
    axis = (f"{declared.label}{unit}{better}", declared.unit)
    return _against(
        material, task, lambda line: _whole(material, other, line, metric), other.task, axis
    )


def _against_accuracy(material: Material, task: TaskRuns) -> Figure | None:
    return _against(
        material, task, lambda line: line.accuracy, "accuracy",
        ("accuracy, mean of tasks → better", "fraction"),
    )  # fmt: skip


def _against(
    material: Material, task: TaskRuns, utility: _Found, name: str, axis: tuple[str, str]
) -> Figure | None:
    """Exposure of the canaries that were planted most often against a utility."""
    groups = _groups(material, task)
    if not groups:
        return None
    exposed = _of_group(material, task, groups[-1])
    dots = [
        Dot(line.short, f"{line.label} · {line.system.target}", x, y)
        for line in material.lines_with(task)
        if (x := utility(line)) is not None and (y := exposed(line)) is not None
    ]
    return scatter(
        f"{task.suite}-{task.task}-{name}",
        f"{task.task}: privacy and utility ({name})",
        f"Exposure of the canaries {_planted(groups[-1])} against a utility that is measured on "
        "other text. Low exposure from a variant that lost its utility is no privacy.",
        dots,
        Plane(axis[0], "exposure [bits] ← lower leaks less", axis[1], "bits"),
    )


def _planted(group: str) -> str:
    """``r4`` in words."""
    times = group.removeprefix("r")
    if not times.isdecimal():
        return group
    return "never planted" if times == "0" else f"planted {times}×"


def _groups(material: Material, task: TaskRuns) -> list[str]:
    found = {
        row.scope
        for run in task.runs.values()
        for row in material.groups.get(run.folder, ())
        if row.metric == EXPOSURE and row.estimate.value is not None
    }
    return sorted(found, key=natural)


def _of_group(material: Material, task: TaskRuns, group: str) -> _Found:
    def found(line: Line) -> Estimate | None:
        run = task.runs.get(line.system)
        rows = () if run is None else material.groups.get(run.folder, ())
        mine = (r for r in rows if r.metric == EXPOSURE and r.scope == group and not r.suspect)
        return next((r.estimate for r in mine), None)

    return found


def _whole(material: Material, task: TaskRuns, line: Line, metric: str) -> Estimate | None:
    run = task.runs.get(line.system)
    row = None if run is None else material.rows.get(run.folder, {}).get(metric)
    return None if row is None or row.suspect else row.estimate


def _marks(material: Material, task: TaskRuns, found: _Found) -> tuple[Mark, ...]:
    places = categories(material.lines)
    return tuple(
        Mark(places[line.system], estimate, f"{line.label} · {line.system.target}")
        for line in material.lines_with(task)
        if line.system in places and (estimate := found(line)) is not None
    )
