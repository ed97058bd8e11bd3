"""What a gate says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.store.gates import GateNumber, Verdict

TITLES = {
    "G1": "tokenizer parity",
    "G2": "log-probability parity",
    "G3": "A/A noise floor",
    "G4": "sentinel models",
}
"""Gates by name. G5, shortcut baselines, stand beside each task (analysis), not here."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict of one gate with its numbers."""

    gate: str
    verdict: Verdict
    reason: str = ""
    """Why it failed or does not apply; when passed, what was compared with what."""
    numbers: tuple[GateNumber, ...] = ()
    details: tuple[str, ...] = ()
    """The first differences."""


def judged(
    gate: str, numbers: Sequence[GateNumber], about: str, details: Sequence[str] = ()
) -> GateResult:
    """Passed if every number lies within its tolerance; else failed, naming those that do not."""
    broken = [n for n in numbers if not n.holds]
    if not broken:
        return GateResult(gate, "passed", about, tuple(numbers), tuple(details))
    why = "; ".join(_broken(n) for n in broken)
    return GateResult(gate, "failed", f"{why} ({about})", tuple(numbers), tuple(details))


def failed(gate: str, reason: str) -> GateResult:
    """A gate that could not be measured has not been passed."""
    return GateResult(gate, "failed", reason)


def not_applicable(gate: str, reason: str) -> GateResult:
    """A gate that has nothing to compare here."""
    return GateResult(gate, "not applicable", reason)


def _broken(number: GateNumber) -> str:
    if number.value is None:
        return f"{number.name} could not be had"
    unit = f" {number.unit}" if number.unit else ""
    if number.at_most is not None and number.value > number.at_most:
        return f"{number.name} is {number.value:.4g}{unit}, at most {number.at_most:.4g}"
    return f"{number.name} is {number.value:.4g}{unit}, at least {number.at_least:.4g}"
