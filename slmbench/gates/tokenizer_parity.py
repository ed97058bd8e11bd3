"""G1: two tokenizers that should be one give the same ids.

Compared with and without what the tokenizer adds by itself (BOS), on at least 1,000 strings. One
string that differs fails the gate: a tokenizer that is almost right scores other tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slmbench.gates.result import GateResult, judged
from slmbench.store.gates import GateNumber

GATE = "G1"
ENOUGH = 1000
"""Strings that must have been compared."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Encoded:
    """What one backend made of the strings."""

    name: str
    """Variant and backend, for people."""
    special: tuple[tuple[int, ...], ...]
    """Ids of each string with what the tokenizer adds by default."""
    plain: tuple[tuple[int, ...], ...]
    """Ids without."""
    adds_bos: bool


def judge_tokenizers(texts: Sequence[str], ours: Encoded, theirs: Encoded) -> GateResult:
    """Compare ids, string by string; the first mismatches are kept as details."""
    details: list[str] = []
    different = {"with BOS handling": 0, "without": 0}
    for how, left, right in (
        ("with BOS handling", ours.special, theirs.special),
        ("without", ours.plain, theirs.plain),
    ):
        for text, a, b in zip(texts, left, right, strict=True):
            if a != b:
                different[how] += 1
                if len(details) < _SHOWN:
                    details.append(_mismatch(text, how, (ours.name, a), (theirs.name, b)))
    numbers = (
        GateNumber(name="strings", value=len(texts), at_least=ENOUGH),
        GateNumber(name="mismatches", value=different["with BOS handling"], at_most=0),
        GateNumber(name="mismatches without BOS", value=different["without"], at_most=0),
        GateNumber(
            name="BOS handling differs", value=float(ours.adds_bos != theirs.adds_bos), at_most=0
        ),
    )
    return judged(GATE, numbers, f"{ours.name} against {theirs.name}", details)


def _mismatch(
    text: str, how: str, ours: tuple[str, tuple[int, ...]], theirs: tuple[str, tuple[int, ...]]
) -> str:
    """The string (cut) and both ids from shortly before they part."""
    pairs = enumerate(zip(ours[1], theirs[1], strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(ours[1]), len(theirs[1])))
    start = max(0, at - 2)
    shown = [f"{name}: {list(ids[start : at + 5])}" for name, ids in (ours, theirs)]
    return f"{text[:60]!r} ({how}, from id {start}) {'; '.join(shown)}"
