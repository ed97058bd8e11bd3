"""One total out of several sources, without counting a joule twice.

A wall meter holds everything, so it stands alone. Else psys stands for the processor packages and
their memory; whether it holds the board of a GPU is not known, so beside a board the packages and
their dram are added instead. What could not be read is named in the total's scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.meters.grades import WALL, Grade, grade, weakest
from slmbench.records import Measurement, Method, Provenance

PLATFORM = "platform (psys"
"""Beginning of the scope of psys."""
BOARD = "board"
"""End of the scope of a GPU."""
REPEATED = "the same counter"
"""In the reason of a source that shows another one's energy a second time."""
_INSIDE_PLATFORM = ("cpu ", "dram")


@dataclass(frozen=True, slots=True)
class Total:
    """Energy of a window over disjoint sources."""

    joules: float
    scope: str
    """Its parts, and what could not be read."""
    parts: tuple[str, ...]
    """Scopes that were added."""
    method: Method
    grade: Grade
    """The weakest of its parts."""
    reason: str = ""
    """What the parts said about themselves."""


def total_energy(measurements: Sequence[Measurement], metric: str = "energy_gross") -> Total | None:
    """The total of a phase's readings; None when nothing was measured.

    Modelled readings (another metric) and unavailable ones never enter; a source that is there
    and could not be read is named as missing, so that its total has another scope.
    """
    read = [m for m in measurements if m.metric == metric]
    known = [m for m in read if m.samples and m.provenance is Provenance.MEASURED]
    if not known:
        return None
    chosen = _disjoint(known)
    absent = [] if chosen[0].scope.startswith(WALL) else _absent(read, chosen)
    grades = [g for m in chosen if (g := grade(m.method, m.scope, m.reason)) is not None]
    label = weakest(grades)
    if label is None:
        return None
    scope = " + ".join(m.scope for m in chosen)
    if all(m.scope.endswith(BOARD) for m in chosen):
        scope += " only"
    if absent:
        scope += f" (without {', '.join(absent)})"
    return Total(
        joules=sum(sum(m.samples) for m in chosen),
        scope=scope,
        parts=tuple(m.scope for m in chosen),
        method="sampled" if any(m.method == "sampled" for m in chosen) else "counter",
        grade=label,
        reason="; ".join(dict.fromkeys(m.reason for m in chosen if m.reason)),
    )


def same_parts(total: Total, measurements: Sequence[Measurement]) -> Total | None:
    """The total of exactly the same parts in another phase; None when one is missing there."""
    mine = [m for m in measurements if m.scope in total.parts]
    found = total_energy(mine)
    return found if found is not None and found.parts == total.parts else None


def _disjoint(known: Sequence[Measurement]) -> list[Measurement]:
    wall = [m for m in known if m.scope.startswith(WALL)]
    if wall:
        return wall[:1]
    platform = [m for m in known if m.scope.startswith(PLATFORM)]
    rest = [m for m in known if m not in platform]
    packages = any(m.scope.startswith("cpu ") for m in rest)
    if not platform or (packages and any(m.scope.endswith(BOARD) for m in rest)):
        return rest
    return platform[:1]


def _absent(read: Sequence[Measurement], chosen: Sequence[Measurement]) -> list[str]:
    """Scopes that hold energy of their own and gave no number."""
    covered: tuple[str, ...] = (PLATFORM, WALL)
    if any(m.scope.startswith(PLATFORM) for m in chosen):
        covered = (*covered, *_INSIDE_PLATFORM)
    names = [
        m.scope
        for m in read
        if m.provenance is Provenance.UNAVAILABLE
        and m.scope
        and REPEATED not in m.reason
        and not m.scope.startswith(covered)
    ]
    return list(dict.fromkeys(names))
