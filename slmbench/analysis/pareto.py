"""The Pareto front of two objectives, with directions from the metrics table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.errors import UsageError
from slmbench.meters.grades import RANKED, Grade
from slmbench.metrics import metric

Ranked = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Point:
    """One candidate; a null objective keeps it off the front."""

    key: str
    x: float | None
    y: float | None
    grade: Grade | None = None
    """Of an energy objective: D and E are never on a front, and grades are never mixed on one."""


def ranked_direction(metric_name: str) -> Ranked:
    """Direction of a metric as the table declares it.

    Raises UsageError for a metric that must not be ranked (direction ``none``), e.g. an energy
    estimate.
    """
    declared = metric(metric_name)
    if declared.direction == "none":
        raise UsageError(
            f"{metric_name} is not a Pareto objective: {declared.label} is never ranked",
            hint=f"definition: {declared.definition}",
        )
    return declared.direction


def dominates(left: Point, right: Point, x: Ranked, y: Ranked) -> bool:
    """Whether ``left`` is at least as good in both objectives and better in one."""
    if left.x is None or left.y is None or right.x is None or right.y is None:
        return False
    dx, dy = _gain(left.x, right.x, x), _gain(left.y, right.y, y)
    return dx >= 0 and dy >= 0 and dx + dy > 0


def front(points: Iterable[Point], x: Ranked, y: Ranked) -> tuple[Point, ...]:
    """The points that no other dominates, ordered by x; equal points are all kept.

    One sweep from the best x to the worst: a point stays when its y beats all before it, or
    equals the last one kept in both objectives. Raises UsageError for energies of several
    grades: :func:`one_grade` picks those of one.
    """
    usable = [p for p in points if p.x is not None and p.y is not None and _may_stand(p)]
    grades = sorted({p.grade or "" for p in usable})
    if len(grades) > 1:
        told = ", ".join(name or "none" for name in grades)
        raise UsageError(
            f"energies of several grades ({told}) are not ranked against each other",
            hint="draw one front per grade",
        )
    usable.sort(key=lambda p: (-_signed(p.x, x), -_signed(p.y, y)))
    kept: list[Point] = []
    for point in usable:
        best = kept[-1] if kept else None
        beats = best is None or _signed(point.y, y) > _signed(best.y, y)
        twin = best is not None and (point.x, point.y) == (best.x, best.y)
        if beats or twin:
            kept.append(point)
    return tuple(sorted(kept, key=lambda p: (_signed(p.x, "higher"), p.key)))


def one_grade(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points of the grade that most of them have (of several, the strongest), D and E left out.

    Points without an energy objective have no grade and all stay.
    """
    usable = [p for p in points if _may_stand(p)]
    counts = Counter(p.grade or "" for p in usable)
    most = min(counts, key=lambda g: (-counts[g], g), default="")
    return tuple(p for p in usable if (p.grade or "") == most)


def _may_stand(point: Point) -> bool:
    return point.grade is None or point.grade in RANKED


def metric_front(points: Iterable[Point], x_metric: str, y_metric: str) -> tuple[Point, ...]:
    """:func:`front` with both directions from the metrics table."""
    return front(points, ranked_direction(x_metric), ranked_direction(y_metric))


def staircase(points: Sequence[Point], x: Ranked, y: Ranked) -> tuple[tuple[float, float], ...]:
    """Corners of the line that bounds the region dominated by these front points, by x.

    Between two neighbours the corner is the worse of both in each objective: that spot is
    dominated by both, while anything better than it there is not.
    """
    known = [(p.x, p.y) for p in sorted(points, key=lambda p: _signed(p.x, "higher"))]
    path: list[tuple[float, float]] = []
    for px, py in known:
        if px is None or py is None:
            continue
        if path:
            qx, qy = path[-1]
            corner_x = max(px, qx) if x == "lower" else min(px, qx)
            corner_y = min(py, qy) if y == "higher" else max(py, qy)
            path.append((corner_x, corner_y))
        path.append((px, py))
    return tuple(path)


def _gain(left: float, right: float, direction: Ranked) -> int:
    if left == right:
        return 0
    return 1 if (left > right) == (direction == "higher") else -1


def _signed(value: float | None, direction: Ranked) -> float:
    number = 0.0 if value is None else value
    return number if direction == "higher" else -number
