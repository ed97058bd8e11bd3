"""Which rate to try next, and the highest one that a server bears."""

from __future__ import annotations

from dataclasses import dataclass, field

ENOUGH = 0.9
"""SLO attainment at which a rate is still borne (DistServe's goodput)."""
MAX_DOUBLINGS = 8
BISECTIONS = 3
"""After the first rate that is too much: 2^(1/8), so 9 %, is the resolution."""
MAX_RATES = 1 + MAX_DOUBLINGS + BISECTIONS
"""Rates that a sweep tries at most."""


@dataclass(slots=True)
class Sweep:
    """Doubles the rate until one is not borne, then bisects (geometrically).

    >>> sweep = Sweep(1.0)
    >>> while (rate := sweep.next()) is not None:
    ...     sweep.tell(rate, 1.0 if rate <= 5 else 0.5)
    >>> round(sweep.saturation, 2)
    4.76
    """

    start: float
    """First rate [requests/s]."""
    borne: float | None = None
    """Highest rate with enough attainment so far."""
    too_much: float | None = None
    """Lowest rate without."""
    tried: list[float] = field(default_factory=list)
    _bisected: int = 0

    def next(self) -> float | None:
        """The next rate, None when the sweep is over."""
        if not self.tried:
            return self.start
        if self.borne is None:
            return None  # the first rate is too much already
        if self.too_much is None:
            return None if len(self.tried) > MAX_DOUBLINGS else 2 * self.borne
        if self._bisected >= BISECTIONS:
            return None
        self._bisected += 1
        return float((self.borne * self.too_much) ** 0.5)

    def tell(self, rate: float, attained: float) -> None:
        """What came of a rate."""
        self.tried.append(rate)
        if attained >= ENOUGH:
            self.borne = rate
        else:
            self.too_much = rate

    @property
    def saturation(self) -> float | None:
        """The highest rate that was borne; None when it is below the first or above the last."""
        return self.borne if self.too_much is not None else None

    @property
    def why_none(self) -> str:
        """Why there is no saturation rate."""
        if self.borne is None:
            return f"the first rate, {self.start:g}/s, is too much already: begin lower"
        return f"{self.borne:g}/s is borne still: begin higher"
