"""Numbers as people read them. The only place where units are converted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NOTHING = "–"
"""Stands where there is no number."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A display unit: ``value / divisor`` followed by ``label``."""

    divisor: float
    label: str
    decimals: int | None = None
    """Fixed number of decimals; None: three significant digits."""

    def number(self, value: float) -> str:
        """The scaled number without its unit."""
        scaled = value / self.divisor
        if self.decimals is not None:
            text = f"{scaled:.{self.decimals}f}"
            return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")
        return _three_digits(scaled)


_LADDERS: dict[str, tuple[Scale, ...]] = {
    "s": (Scale(1, "s"), Scale(1e-3, "ms"), Scale(1e-6, "µs")),
    "bytes": (Scale(1e9, "GB"), Scale(1e6, "MB"), Scale(1e3, "kB"), Scale(1, "B")),
    "J": (Scale(1e3, "kJ"), Scale(1, "J"), Scale(1e-3, "mJ")),
    "J/token": (Scale(1, "J/token"), Scale(1e-3, "mJ/token"), Scale(1e-6, "µJ/token")),
    "s/token": (
        Scale(1, "s/token"),
        Scale(1e-3, "ms/token"),
        Scale(1e-6, "µs/token"),
        Scale(1e-9, "ns/token"),
    ),
    "s/token²": (Scale(1e-6, "µs/token²"), Scale(1e-9, "ns/token²"), Scale(1e-12, "ps/token²")),
    "bytes/token": (Scale(1, "B/token", 0),),
    "tokens": (Scale(1, "tokens", 0),),
    "count": (Scale(1e9, "G"), Scale(1e6, "M"), Scale(1, "", 0)),
    "gCO2e": (Scale(1, "g CO₂e"), Scale(1e-3, "mg CO₂e")),
    "fraction": (Scale(1e-2, "%", 1),),
    "of peak": (Scale(1e-2, "%", 1),),
    "pp": (Scale(1, "pp", 1),),
    "bits": (Scale(1, "bits", 2),),
    "score": (Scale(1, ""),),
    "perplexity": (Scale(1, ""),),
}


def scale_for(unit: str, values: Iterable[float]) -> Scale:
    """One display unit for all these values: the largest whose numbers reach 1.

    >>> scale_for("s", [0.012, 0.5]).label, scale_for("bytes", [98362432]).label
    ('ms', 'MB')
    """
    ladder = _LADDERS.get(unit, (Scale(1, unit),))
    largest = max((abs(v) for v in values), default=0.0)
    return next((s for s in ladder if largest >= s.divisor), ladder[-1] if largest else ladder[0])


def show(value: float | None, unit: str) -> str:
    """A value with its unit.

    >>> show(0.4167, "fraction"), show(0.0123, "s"), show(98362432, "bytes"), show(None, "s")
    ('41.7 %', '12.3 ms', '98.4 MB', '–')
    """
    if value is None:
        return NOTHING
    scale = scale_for(unit, [value])
    return f"{scale.number(value)} {scale.label}".strip()


def show_range(value: float, low: float | None, high: float | None, unit: str) -> str:
    """An interval in the unit that its value is shown in; empty without one.

    >>> show_range(0.0123, 0.0119, 0.0131, "s")
    '11.9–13.1'
    """
    if low is None or high is None:
        return ""
    scale = scale_for(unit, [value])
    left, right = scale.number(low), scale.number(high)
    return f"{left} to {right}" if "−" in left + right else f"{left}–{right}"


def show_difference(value: float, unit: str) -> str:
    """A signed difference; fractions in percentage points.

    >>> show_difference(-0.05, "fraction"), show_difference(0.002, "s")
    ('−5.0 pp', '+2.00 ms')
    """
    scale = scale_for(unit, [value])
    label = "pp" if unit == "fraction" else scale.label
    number = scale.number(value)
    sign = "+" if value > 0 else ""
    return f"{sign}{number} {label}".strip()


def show_p(p: float | None) -> str:
    """A p-value: three decimals, never "0.000"."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _three_digits(x: float) -> str:
    if x == 0:
        return "0"
    text = f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"
    if "e" in text:
        return text.replace("-", "−")
    digits = len(text.replace("-", "").replace(".", "").lstrip("0"))
    if abs(x) < 100 and digits < 3:
        text += ("" if "." in text else ".") + "0" * (3 - digits)
    return text.replace("-", "−")
