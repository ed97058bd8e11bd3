"""Where the name of each mark goes in a plot, so that names do not lie on one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480.0, 320.0
"""Drawing area that placement assumes [px]; wider screens only give more room."""
_CHARACTER, _LINE, _MARK = 6.4, 13.0, 13.0
_PLACES: tuple[tuple[str, float, float], ...] = (
    # plotly's name, and where the box lies: -1 left or below, 0 centred, 1 right or above
    ("top right", 1, 1),
    ("bottom right", 1, -1),
    ("top left", -1, 1),
    ("bottom left", -1, -1),
    ("middle right", 1, 0),
    ("middle left", -1, 0),
    ("top center", 0, 1),
    ("bottom center", 0, -1),
)


@dataclass(frozen=True, slots=True)
class Spot:
    """A mark: position as shares of the drawing area (0 to 1, from the lower left) and name."""

    x: float
    y: float
    name: str


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, wide) * max(0.0, high)

    def outside(self) -> float:
        inside = self.overlap(_Box(0, 0, WIDTH, HEIGHT))
        return (self.right - self.left) * (self.top - self.bottom) - inside


def place(spots: Sequence[Spot]) -> tuple[str, ...]:
    """plotly's ``textposition`` for each spot: greedily the place that covers least."""
    taken = [
        _Box(s.x * WIDTH - _MARK / 2, s.y * HEIGHT - _MARK / 2,
             s.x * WIDTH + _MARK / 2, s.y * HEIGHT + _MARK / 2)
        for s in spots
    ]  # fmt: skip
    chosen = []
    for index, spot in enumerate(spots):
        others = taken[:index] + taken[index + 1 :]
        boxes = [(name, _text_box(spot, dx, dy)) for name, dx, dy in _PLACES]
        name, box = min(
            boxes, key=lambda b: 3 * b[1].outside() + sum(b[1].overlap(o) for o in others)
        )
        chosen.append(name)
        taken.append(box)
    return tuple(chosen)


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names without the prefix that all share, cut at a separator.

    >>> short_names(["smollm2-q4_1", "smollm2-q8_0"])
    ('q4_1', 'q8_0')
    """
    first, last = min(names, default=""), max(names, default="")
    if first == last:
        return tuple(names)
    shared = next(i for i in range(len(last)) if first[i : i + 1] != last[i])
    cut = first[:shared].rfind("-") + 1
    return tuple(name[cut:] for name in names)


def _text_box(spot: Spot, dx: float, dy: float) -> _Box:
    wide = _CHARACTER * len(spot.name)
    x, y = spot.x * WIDTH, spot.y * HEIGHT
    left = {1: x + _MARK / 2, 0: x - wide / 2, -1: x - _MARK / 2 - wide}[int(dx)]
    bottom = {1: y + _MARK / 3, 0: y - _LINE / 2, -1: y - _MARK / 3 - _LINE}[int(dy)]
    return _Box(left, bottom, left + wide, bottom + _LINE)
