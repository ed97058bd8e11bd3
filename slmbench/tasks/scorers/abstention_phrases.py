"""Phrases that say "I do not know" or "that does not exist": a judge without a judge model.

The list is ours. It was written before any model was scored and knows English only; it misses
unusual wordings and can mistake a quotation for a refusal. What it misses counts as an answer.
"""

from __future__ import annotations

import re

PHRASES: tuple[str, ...] = (
    # not knowing
    r"\b(?:i|we) (?:do not|don't|did not|didn't) (?:actually |really )?"
    r"(?:know|recognise|recognize)",
    r"\b(?:i am|i'm|we are|we're) not (?:sure|aware|familiar|certain|able to)",
    r"\b(?:i am|i'm) unaware\b",
    r"\b(?:i|we) (?:have|'ve) (?:never|not) heard of",
    r"\b(?:i|we) (?:have|had) no (?:information|knowledge|record|idea|data)",
    r"\b(?:i|we) (?:do not|don't) have (?:any |enough |specific |personal |access to )*"
    r"(?:information|knowledge|record|data|details|access)",
    r"\b(?:is|are|remains?) (?:unknown|not known|unclear)\b(?! for\b)",
    r"\b(?:i|we) (?:cannot|can't|can not|could not|couldn't|am unable to|was unable to) "
    r"(?:find|verify|confirm|answer|provide|determine|identify|locate|say|tell)",
    r"\bunable to (?:find|verify|confirm|answer|provide|determine|identify|locate)",
    # not existing
    r"\b(?:does not|doesn't|do not|don't|did not|didn't) (?:actually |really |seem to |appear to )*"
    r"exist\b",
    r"\b(?:no such|not a real|not an actual|not a known|not a recognised|not a recognized|"
    r"not a widely known|not a well-known)\b",
    r"\bthere (?:is|are|was|were|seems to be|appears to be) no "
    r"(?:such|known|record|evidence|information|widely|publicly|verifiable|specific|real|person|"
    r"place|city|book|novel|species|animal|law|act|product|company)",
    r"\bnot real\b",
    r"\b(?:fictitious|imaginary|hypothetical)\b",
    r"\bfictional\b(?! (?:character|detective|hero|captain|sailor|narrator|protagonist|story|"
    r"account|whale|world|universe))",
    r"\b(?:is|was|are|be) (?:entirely |completely |probably )?made[- ]up\b"
    r"(?! (?:of|by|mostly|from))",
    r"\bno (?:information|record|records|data|details) (?:is|are|was|were|about|on|of|available)\b",
    r"\bcould you (?:please )?(?:clarify|provide more|give more)",
    r"\bnot (?:enough|sufficient) information\b",
)
"""Regular expressions, matched anywhere in the answer, case ignored."""

_ABSTAINS = re.compile("|".join(PHRASES), re.IGNORECASE)
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})


def abstains(text: str) -> bool:
    """Whether an answer is an abstention.

    >>> abstains("I'm not familiar with that city."), abstains("It is the capital of Norway.")
    (True, False)
    """
    return _ABSTAINS.search(plain(text)) is not None


def plain(text: str) -> str:
    """The text with plain apostrophes and single blanks: what the phrases are matched in."""
    return " ".join(text.translate(_APOSTROPHES).split())
