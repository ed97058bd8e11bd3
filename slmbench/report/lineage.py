"""The lineage graph as coordinates for an SVG: one column per step away from a root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.report.leaderboard import LeaderboardRow

BOX_WIDTH, BOX_HEIGHT = 236, 50
_GAP_X, _GAP_Y = 176, 20
_MARGIN = 10


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


@dataclass(frozen=True, slots=True)
class Edge:
    """From parent to child, labelled with the technique."""

    technique: str
    path: str
    """SVG path data."""
    label_x: int
    label_y: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """The whole graph with its size in SVG units."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    sentence: str
    """The graph in words, for those who do not see it."""


def lineage(rows: Sequence[LeaderboardRow]) -> Lineage:
    """Lay the variants of the leaderboard out by their declared parents."""
    newest = {row.ref.name: row for row in rows}
    parents = {name: row.ref.parent for name, row in newest.items()}
    for parent in [p for p in parents.values() if p is not None]:
        parents.setdefault(parent, None)
    depth = {name: _depth(name, parents) for name in parents}
    slots = _slots(parents, depth)
    nodes = {name: _node(name, rows, depth[name], slots[name]) for name in parents}
    edges = tuple(
        _edge(nodes[parent], nodes[name], newest[name].ref.technique)
        for name, parent in parents.items()
        if parent is not None and depth[name] == depth[parent] + 1
    )
    width = max((n.x for n in nodes.values()), default=0) + BOX_WIDTH + _MARGIN
    height = max((n.y for n in nodes.values()), default=0) + BOX_HEIGHT + _MARGIN
    told = [f"{n} from {p}" for n, p in parents.items() if p is not None]
    return Lineage(tuple(nodes.values()), edges, width, height, "; ".join(told))


def _depth(name: str, parents: dict[str, str | None]) -> int:
    """Steps to the root; a cycle (which the models file forbids) ends where it closes."""
    seen: set[str] = set()
    current = parents[name]
    while current is not None and current not in seen:
        seen.add(current)
        current = parents.get(current)
    return len(seen)


def _slots(parents: dict[str, str | None], depth: dict[str, int]) -> dict[str, float]:
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


def _node(name: str, rows: Sequence[LeaderboardRow], depth: int, slot: float) -> Node:
    mine = [row for row in rows if row.ref.name == name]
    mine = [row for row in mine if any(c.value is not None for c in row.cells)] or mine
    backends = sorted({row.backend for row in mine})
    stages = [row.ref.stage for row in mine[:1]]
    bits = next((c.shown for row in mine if (c := row.cell("bits_per_weight")) and c.value), "")
    return Node(
        name,
        mine[0].ref.stage if mine else "",
        " · ".join(t for t in (*stages, ", ".join(backends), bits) if t) or "no results here",
        mine[0].ref.note if mine else "",
        _MARGIN + depth * (BOX_WIDTH + _GAP_X),
        _MARGIN + round(slot * (BOX_HEIGHT + _GAP_Y)),
    )


def _edge(parent: Node, child: Node, technique: str) -> Edge:
    x1, y1 = parent.x + BOX_WIDTH, parent.y + BOX_HEIGHT // 2
    x2, y2 = child.x, child.y + BOX_HEIGHT // 2
    bend = x1 + _GAP_X // 5
    path = f"M{x1},{y1} C{bend},{y1} {bend - 8},{y2} {bend + 14},{y2} L{x2},{y2}"
    return Edge(technique, path, (bend + 14 + x2) // 2, y2 - 5)
