"""Does an answer reject what the question takes for granted?

An answer rejects a premise when it abstains, when it names what is true instead (the person who
did write the book), or when one of :data:`PHRASES` occurs in it. The list is ours, in English,
written for the templates of ``slm_nonexistent``: a denial must be of one of their verbs ("did not
invent", "cannot fly"), so that "she never married" is none. Unusual denials are missed; a true
name in an answer that accepts the premise counts as a rejection. Neither is a judgement about
whether the rest of the answer is right.
"""

from __future__ import annotations

import re

from slmbench.tasks.scorers.abstention_phrases import abstains, plain

_NOT = (
    r"(?:(?:did|do|does|has|have|had|was|were|is|are|can|could|would) (?:not|never)|"
    r"(?:did|do|does|has|have|had|was|were|is|are|could|would)n't|can't|cannot|never)"
)
_DONE = (
    r"(?:win|won|receive|received|awarded|get|write|written|wrote|author|invent|invented|"
    r"create|created|develop|developed|compose|composed|paint|painted|walk|walked|land|landed|"
    r"set foot|fly|flown|flew|lay|laid|serve|served|hold|held|flow|flows|run through|pass through|"
    r"located|choose|chosen|reproduce)"
)
_BEEN = r"(?:the capital|capital of|president|a president|the author|the inventor|able to fly)"

PHRASES: tuple[str, ...] = (
    rf"\b{_NOT} (?:\w+ ){{0,2}}{_DONE}\b",
    rf"\b{_NOT} (?:\w+ ){{0,2}}{_BEEN}\b",
    r"\bneither (?:\w+ ){1,4}nor\b",
    r"\b(?:is|was|it's|a) (?:actually |in fact )?(?:a )?(?:common )?"
    r"(?:misconception|myth|mistake)\b",
    r"\b(?:premise|question|statement|claim|assumption) (?:\w+ ){0,3}"
    r"(?:incorrect|false|wrong|mistaken|inaccurate|misleading|error|mistake)\b",
    r"\bcontrary to\b",
    r"\b(?:is|are) (?:\w+ )?(?:flightless|mammals?)\b(?! that lays?)",
    r"\bflightless bird",
    r"\b(?:gives?|bears?|giving) birth\b",
    r"\blive (?:young|birth)",
    r"\bno one from\b|\bnone of (?:them|these)\b",
)
"""Regular expressions, matched anywhere in the answer, case ignored."""

_REJECTS = re.compile("|".join(PHRASES), re.IGNORECASE)


def rejects(text: str, truth: str = "") -> bool:
    """Whether an answer rejects the premise of its question.

    Args:
        text: the answer.
        truth: what a correction would name; empty where there is no such name. Case counts.

    >>> rejects("Ostriches cannot fly."), rejects("It flies at 40 km/h.")
    (True, False)
    >>> rejects("It was composed by Handel.", "Handel")
    True
    """
    flat = plain(text)
    named = bool(truth) and re.search(rf"\b{re.escape(truth)}\b", flat) is not None
    return named or abstains(flat) or _REJECTS.search(flat) is not None
