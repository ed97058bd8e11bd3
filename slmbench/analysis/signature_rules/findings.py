"""What a failure signature is, what a rule answers, and the numbers that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from slmbench.analysis.systems import System

Signature = Literal[
    "accuracy collapse",
    "stiffness",
    "edge out of memory",
    "fails on long texts",
    "format loss",
    "repetition loops",
    "dead outputs",
]
SIGNATURES: tuple[Signature, ...] = get_args(Signature)
Verdict = Literal["yes", "no", "not decidable", "does not apply"]
"""``no``: ruled out by the numbers. ``not decidable``: no results, or too few to tell."""
Severity = Literal["severe", "moderate"]
"""``severe``: of no use as it is. ``moderate``: of use to those who know and accept it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every number that a rule decides by. Change them here or pass others."""

    collapse_kept: float = 0.25
    """Accuracy collapse: at most this share of what the parent has above guessing is left."""
    collapse_drop: float = 0.10
    """Accuracy collapse: a loss of this much accuracy from one step to the next."""
    gap_closure: float = 0.5
    """Stiffness: share of the loss against the base that the budget should have won back."""
    gap_nats: float = 0.01
    """Stiffness: smallest gap that can be closed by shares of it [nats/byte]."""
    format_rise: float = 0.05
    """Format loss: rise of the share of answers in which no answer was found."""
    loop_share: float = 0.5
    """Repetition loops: share of answers that loop, whatever the parent does."""
    loop_rise: float = 0.10
    """Repetition loops: rise of that share against the parent."""
    loop_repeats: float = 0.5
    """An answer loops when this share of its 4-grams of tokens was there before."""
    loop_tokens: int = 16
    """Shorter answers are not looked at: a few words repeat by nature."""
    dead_share: float = 0.5
    """Dead outputs: share of a task's answers that are one token again and again, or no finite
    numbers; and share of the tasks with dead outputs from which on they are severe."""
    fewest: int = 20
    """Answers below which a share of them says nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that speaks for or against a signature."""

    what: str
    """``mean of 3 accuracy tasks``, ``hellaswag`` …"""
    value: float | None
    low: float | None = None
    high: float | None = None
    """95 % interval of ``value``."""
    unit: str = "fraction"
    threshold: float | None = None
    """What the value was held against, in its unit."""
    n: int = 0
    reference: str = ""
    """The variant that it was compared with; empty: none."""
    text: str = ""
    """The same in a sentence, with everything that decided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says about one system."""

    system: System
    signature: Signature
    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()
    """What decided, the strongest first; empty when nothing is known."""
    reason: str = ""
    """Why it is not decidable or does not apply."""
    severity: Severity | None = None
    """Of a signature that was found."""
    inherited: str = ""
    """Ancestor that shows the same signature, if one does: this step did not bring it."""

    @property
    def found(self) -> bool:
        """Whether the system has the signature."""
        return self.verdict == "yes"

    @property
    def text(self) -> str:
        """In one or a few sentences, for people."""
        told = [e.text for e in self.evidence if e.text]
        if self.reason:
            told.append(self.reason)
        if self.inherited:
            told.append(f"{self.inherited}, which it was made from, shows the same")
        return "; ".join(told)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says before it is known of whom."""

    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A rule in words, for pages and for the documentation."""

    signature: Signature
    badge: str
    """Short form beside a variant's name, of a severe finding."""
    mild: str
    """The same of a moderate one."""
    definition: str
    source: str
    needs: str
    """Which results decide it, as a reader can make them."""


def yes(evidence: Sequence[Evidence], severity: Severity) -> Answer:
    """The signature is there."""
    return Answer("yes", tuple(evidence), severity=severity)


def no(evidence: Sequence[Evidence], reason: str = "") -> Answer:
    """The numbers rule it out."""
    return Answer("no", tuple(evidence), reason)


def unknown(reason: str, evidence: Sequence[Evidence] = ()) -> Answer:
    """There are no results, or they do not tell."""
    return Answer("not decidable", tuple(evidence), reason)


def points(value: float | None) -> str:
    """A share or a difference of shares for sentences.

    >>> points(0.256), points(None)
    ('25.6 %', 'unknown')
    """
    return "unknown" if value is None else f"{100 * value:.1f} %"


def shown(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval.

    >>> shown(0.25, 0.2, 0.3), shown(0.25, None, None)
    ('25.0 % (20.0 to 30.0)', '25.0 % (no interval)')
    """
    if low is None or high is None:
        return f"{points(value)} (no interval)"
    return f"{points(value)} ({100 * low:.1f} to {100 * high:.1f})"


def change(value: float, low: float | None, high: float | None) -> str:
    """A difference of shares in points.

    >>> change(-0.25, -0.3, -0.2)
    '-25.0 points (-30.0 to -20.0)'
    """
    if low is None or high is None:
        return f"{100 * value:+.1f} points (no interval)"
    return f"{100 * value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
