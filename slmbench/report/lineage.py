"""The lineage graph as coordinates for an SVG: one column per step away from a root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.analysis import Results
from slmbench.analysis.lineage import LineageStep, QualityChange, lineage_steps
from slmbench.analysis.signature_rules.findings import Finding
from slmbench.analysis.signatures import badge
from slmbench.records import Provenance
from slmbench.report.format import show, show_difference
from slmbench.report.leaderboard import LeaderboardRow

BOX_WIDTH, BOX_HEIGHT = 228, 50
_MARK_HEIGHT = 18
"""What a line of marks adds to the boxes."""
_GAP_X, _GAP_Y = 236, 24
_BEND = 32
_MARGIN = 10

Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A word in a box: a signature, or that the compression is simulated."""

    text: str
    tone: Tone
    why: str


@dataclass(frozen=True, slots=True)
class Node:
    """A variant; x and y are the upper left corner of its box."""

    name: str
    stage: str
    """Empty for a parent that was never run."""
    detail: str
    """Stage, backends and bits per weight."""
    note: str
    x: int
    y: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """From parent to child: the technique, what it changed and what it cost."""

    technique: str
    path: str
    """SVG path data."""
    label_x: int
    label_y: int
    quality: str = ""
    """Change of mean accuracy with its interval; empty where it is not known."""
    tone: Tone = ""
    """``good`` or ``bad`` where the interval lies on one side of 0."""
    cost: str = ""
    """Size against the parent's, time and energy of making it."""
    told: str = ""
    """All of it in sentences."""


@dataclass(frozen=True, slots=True)
class Step:
    """The same as a row of a table."""

    variant: str
    parent: str
    technique: str
    quality: str
    tone: Tone
    basis: str
    """Tasks and targets of the change, or why there is none."""
    size: str
    seconds: str
    energy: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The whole graph with its size in SVG units."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    sentence: str
    """The graph in words, for those who do not see it."""
    box_height: int = BOX_HEIGHT
    steps: tuple[Step, ...] = ()


def lineage(results: Results, rows: Sequence[LeaderboardRow]) -> Lineage:
    """Lay out every variant that the results know, by its declared parent."""
    steps = {step.name: step for step in lineage_steps(results)}
    parents = {name: step.parent_name for name, step in steps.items()}
    for parent in [p for p in parents.values() if p is not None]:
        parents.setdefault(parent, None)
    depth = {name: _depth(name, parents) for name in parents}
    slots = _slots(parents, depth)
    marks = {name: _marks(steps.get(name), results.findings, name) for name in parents}
    height = BOX_HEIGHT + (_MARK_HEIGHT if any(marks.values()) else 0)
    nodes: dict[str, Node] = {}
    for name in parents:
        x = _MARGIN + depth[name] * (BOX_WIDTH + _GAP_X)
        y = _MARGIN + round(slots[name] * (height + _GAP_Y))
        nodes[name] = _node(steps.get(name), rows, Node(name, "", "", "", x, y, marks[name]))
    edges = tuple(
        _edge(nodes[parent], nodes[name], steps[name], height // 2)
        for name, parent in parents.items()
        if parent is not None and depth[name] == depth[parent] + 1
    )
    told = [f"{n} from {p}" for n, p in parents.items() if p is not None]
    return Lineage(
        tuple(nodes.values()),
        edges,
        max((n.x for n in nodes.values()), default=0) + BOX_WIDTH + _MARGIN,
        max((n.y for n in nodes.values()), default=0) + height + _MARGIN,
        "; ".join(told),
        height,
        tuple(
            _step(steps[name], marks[name])
            for name in sorted(steps, key=lambda n: _line(n, parents))
            if parents[name] is not None
        ),
    )


def _depth(name: str, parents: Mapping[str, str | None]) -> int:
    """Steps to the root; a cycle (which the models file forbids) ends where it closes."""
    seen: set[str] = set()
    current = parents[name]
    while current is not None and current not in seen:
        seen.add(current)
        current = parents.get(current)
    return len(seen)


def _line(name: str, parents: Mapping[str, str | None]) -> list[str]:
    """Names from the root down to this one: sorted by it, children follow their parent."""
    line = [name]
    above = parents[name]
    while above is not None and above not in line:
        line.insert(0, above)
        above = parents.get(above)
    return line


def _slots(parents: Mapping[str, str | None], depth: Mapping[str, int]) -> dict[str, float]:
    """Vertical places: leaves in depth-first order, a parent in the middle of its children."""
    children: dict[str | None, list[str]] = {}
    for name, parent in parents.items():
        children.setdefault(parent, []).append(name)
    slots: dict[str, float] = {}
    free = 0

    def place(name: str) -> float:
        nonlocal free
        below = [c for c in sorted(children.get(name, ())) if depth[c] == depth[name] + 1]
        places = [place(child) for child in below]
        if places:
            slots[name] = (places[0] + places[-1]) / 2
        else:
            slots[name] = free
            free += 1
        return slots[name]

    for root in sorted(n for n in parents if depth[n] == 0):
        place(root)
    for name in sorted(parents.keys() - slots.keys()):
        slots[name] = free
        free += 1
    return slots


def _node(step: LineageStep | None, rows: Sequence[LeaderboardRow], plain: Node) -> Node:
    """The box with what is known of the variant."""
    mine = [row for row in rows if row.ref.name == plain.name]
    mine = [row for row in mine if any(c.value is not None for c in row.cells)] or mine
    backends = sorted({row.backend for row in mine})
    ref = mine[0].ref if mine else step.variant.ref if step is not None else None
    bits = next((c.shown for row in mine if (c := row.cell("bits_per_weight")) and c.value), "")
    if not bits and step is not None and step.variant.bits is not None:
        bits = show(step.variant.bits, "bits")
    ran = ", ".join(backends) if mine else "" if ref is None else "not run"
    words = [t for t in ("" if ref is None else ref.stage, ran, bits) if t]
    return Node(
        plain.name,
        "" if ref is None else ref.stage,
        " · ".join(words) or "no results here",
        "" if ref is None else ref.note,
        plain.x,
        plain.y,
        plain.marks,
    )


def _marks(step: LineageStep | None, findings: Sequence[Finding], name: str) -> tuple[Mark, ...]:
    """Signatures, severe ones first, each once; then ``simulated``, ``not made``."""
    mine = [f for f in findings if f.found and f.system.variant == name]
    found: dict[str, Mark] = {}
    for f in sorted(mine, key=lambda f: f.severity != "severe"):
        tone: Tone = "bad" if f.severity == "severe" else "warn"
        found.setdefault(f.signature, Mark(badge(f), tone, f"{f.signature}: {f.text}"))
    if step is not None and step.variant.kernel == "simulated":
        why = step.variant.kernel_reason or "dense arithmetic stands for the compression"
        found["simulated"] = Mark("simulated", "warn", f"no speed or memory of its own: {why}")
    record = None if step is None else step.variant.record
    if record is not None and record.failure:
        found["not made"] = Mark("not made", "bad", record.failure)
    return tuple(found.values())


def _edge(parent: Node, child: Node, step: LineageStep, middle: int) -> Edge:
    x1, y1 = parent.x + BOX_WIDTH, parent.y + middle
    x2, y2 = child.x, child.y + middle
    bend = x1 + _BEND
    path = f"M{x1},{y1} C{bend},{y1} {bend - 10},{y2} {bend + 12},{y2} L{x2},{y2}"
    quality, cost = _quality(step.quality), _cost(step)
    basis = _basis(step)
    told = [f"{parent.name} to {child.name} by {step.technique}"]
    told += [f"mean accuracy {quality} ({basis})" if quality else f"change of accuracy: {basis}"]
    told += [cost] if cost else []
    return Edge(
        step.technique,
        path,
        (bend + 12 + x2) // 2,
        y2 - 5,
        quality,
        _tone(step.quality),
        cost,
        "; ".join(told),
    )


def _step(step: LineageStep, marks: tuple[Mark, ...]) -> Step:
    energy = step.energy
    joules = "" if energy is None or energy.joules is None else show(energy.joules, "J")
    if joules and energy is not None:
        joules += f", {energy.provenance.value}: {energy.scope}"
    elif energy is not None:
        joules = f"no value: {energy.scope}"
    change = step.bytes_change
    size = "" if step.variant.bytes is None else show(step.variant.bytes, "bytes")
    if size and change is not None:
        size += f" ({show_difference(change, 'bytes')})"
    return Step(
        step.name,
        step.parent_name or "",
        step.technique,
        _quality(step.quality),
        _tone(step.quality),
        _basis(step),
        size,
        "" if step.seconds is None else _time(step.seconds),
        joules,
        marks,
    )


def _quality(change: QualityChange | None) -> str:
    if change is None:
        return ""
    d = change.difference
    text = show_difference(d.delta, "fraction")
    if d.low is not None and d.high is not None:
        text += f" ({100 * d.low:+.1f} to {100 * d.high:+.1f})".replace("-", "−")
    return text if change.same_target else f"{text} †"


def _tone(change: QualityChange | None) -> Tone:
    if change is None or change.difference.low is None or change.difference.high is None:
        return ""
    if change.difference.high < 0:
        return "bad"
    return "good" if change.difference.low > 0 else ""


def _basis(step: LineageStep) -> str:
    change = step.quality
    if change is None:
        return step.no_quality
    tasks = f"{change.tasks} task{'' if change.tasks == 1 else 's'}, n {change.difference.n}"
    if change.same_target:
        return f"{tasks}, on {change.target}"
    return f"{tasks}; on {change.target} against {change.parent_target}: engine and variant mixed"


def _cost(step: LineageStep) -> str:
    """``size ×0.27 · 42 s · 310 J``: what is known of it."""
    words = []
    if step.size_ratio is not None:
        words.append(f"size ×{step.size_ratio:.2f}")
    if step.seconds is not None:
        words.append(_time(step.seconds))
    energy = step.energy
    if energy is not None and energy.joules is not None:
        estimated = " est." if energy.provenance is Provenance.ESTIMATED else ""
        words.append(show(energy.joules, "J") + estimated)
    return " · ".join(words)


def _time(seconds: float) -> str:
    """Rounded as people say it.

    >>> _time(42.3), _time(750), _time(9000)
    ('42 s', '12 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
