"""Words that change with the gender of a name, and the English "her", which is two words.

"her" becomes "his" before what is had and "him" elsewhere. Which one it is follows here from the
next word and the one before; where these do not tell, nothing is guessed (:func:`his_or_him`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal


def set_of(words: str) -> frozenset[str]:
    """Words that stand in one text with blanks between them."""
    return frozenset(words.split())


_PAIRS = """
he she
himself herself
man woman
men women
boy girl
boys girls
gentleman lady
gentlemen ladies
male female
males females
husband wife
husbands wives
father mother
fathers mothers
dad mom
dads moms
daddy mommy
son daughter
sons daughters
brother sister
brothers sisters
uncle aunt
uncles aunts
nephew niece
nephews nieces
grandfather grandmother
grandpa grandma
grandson granddaughter
grandsons granddaughters
stepfather stepmother
stepson stepdaughter
boyfriend girlfriend
boyfriends girlfriends
waiter waitress
actor actress
policeman policewoman
businessman businesswoman
salesman saleswoman
"""
WORDS: Mapping[str, str] = {
    word: other
    for line in _PAIRS.split("\n")
    if line
    for left, right in (line.split(),)
    for word, other in ((left, right), (right, left))
} | {"him": "her", "hers": "his", "mr": "ms", "ms": "mr", "mrs": "mr"}
"""Lower case -> what stands for it, whatever its place ("his" and "her" are not here)."""

NO_PARTNER = set_of(
    """
    guy guys dude bro lad lass gal chick king queen kings queens prince princess lord bride
    groom widow widower nun monk priest hostess heiress heir goddess sir madam miss mum mama
    papa fiance fiancee fiancé fiancée bachelor fraternity sorority cowboy housewife fireman
    mailman masculine feminine manly girly tomboy gay lesbian
    """
)
"""Gendered words that nothing here stands for."""
OF_THE_BODY = set_of(
    """
    pregnant pregnancy pregnancies miscarriage womb uterus ovary ovaries breastfeed
    breastfeeding breast breasts bra bras tampon tampons menstruation menstrual menopause
    gynecologist midwife beard beards mustache mustaches moustache prostate testicles penis
    vagina
    """
)
"""Words that would make another gender untrue or odd."""

_AFTER_HIM = set_of(
    """
    a an the this that these those my your our their his its some any every each another to
    for from with without at by as about after before during since until because although
    though while when where if so and or but than then now yesterday today tomorrow tonight
    again too instead anyway it there here up away along is was are were be would could should
    will can did does had has may might must not into onto through under who whom which what
    how why via per despite off on in of
    """
)
"""What hardly follows "her" where it is a possessive."""
_UNSURE_NEXT = set_of(
    """
    all alone back better both down either even home inside just later less like more most
    much never no nothing only out outside over past present quite really right sick soon
    still twice very well something everything anything enough
    """
)
_NOUNS_IN_ING = set_of(
    """
    morning evening wedding building clothing painting paintings ring king string thing things
    feeling feelings ceiling earring earrings savings meeting training stocking offspring
    sibling siblings being spring wing darling belongings surroundings drawing dressing
    hearing sewing
    """
)
_NOUNS_IN_LY = set_of("family lovely lonely daily belly jelly bully ugly early elderly")
_TAKES_HIM_AND_MORE = re.compile(
    r"\b(?:make[sd]?|made|making|let(?:s|ting)?|help(?:s|ed|ing)?|see[ns]?|saw|seeing|"
    r"watch(?:e[sd]|ing)?|hear[ds]?|hearing|ha[ds]|have|having|fe(?:el|els|lt)|g[ai]ve[ns]?|giving|"
    r"tell(?:s|ing)?|told|show(?:s|ed|n|ing)?|ask(?:s|ed|ing)?|b(?:uy|uys|ought|uying)|"
    r"sen[dt]s?|sending|teach(?:es|ing)?|taught|call(?:s|ed|ing)?|offer(?:s|ed|ing)?|"
    r"bring[s]?|brought|cost[s]?|owe[sd]?|pa(?:y|ys|id)|promise[sd]?|kept|keep[s]?|ke(?:pt|eping)|"
    r"cause[sd]?|caus(?:ing)|left|leave[s]?|wish(?:ed|es)?|lend[s]?|lent|hand(?:ed|s)?|"
    r"earn(?:ed|s)?|sav(?:e|ed|es|ing)|cook(?:ed|s)?|bak(?:e|ed|es)|read[s]?|thought|think[s]?|"
    r"kn(?:ew|ow|ows)|said|says|believe[sd]?|hope[sd]?|f(?:ind|inds|ound)|got|get[s]?|"
    r"w(?:in|ins|on)|den(?:y|ied|ies)|serve[sd]?|name[sd]?|consider(?:ed|s)?)\s+$",
    re.IGNORECASE,
)
"""Verbs after which "her" may be followed by another object, a verb or an adjective."""
_NEXT = re.compile(r"[^\S\n]+([^\W\d_]+(?:['’-][^\W\d_]+)*)")
_OPEN = re.compile(r"\s*[\d$“\"'‘]|[^\S\n]*\n")
"""A number or something quoted, which may be had; the end of a line, where a choice may follow."""

Case = Literal["his", "him"]


def his_or_him(before: str, after: str) -> Case | None:
    """Which of the two a "her" between these texts stands for; None where that cannot be told.

    >>> his_or_him("Kim lost ", " red hat."), his_or_him("Kim thanked ", " for it.")
    ('his', 'him')
    >>> his_or_him("Kim saw ", " duck.") is None
    True
    """
    found = _NEXT.match(after)
    if found is None:  # the end or a mark
        return None if _OPEN.match(after) else "him"
    word = found[1].lower()
    if word in _AFTER_HIM:
        return "him"
    if word in _UNSURE_NEXT or _TAKES_HIM_AND_MORE.search(before):
        return None
    if (word.endswith("ly") and word not in _NOUNS_IN_LY) or (
        word.endswith("ing") and word not in _NOUNS_IN_ING
    ):
        return None
    return "his"


def her_or_hers(after: str) -> Literal["her", "hers"]:
    """What "his" stands for before this text.

    >>> her_or_hers(" red hat."), her_or_hers(" was red."), her_or_hers(".")
    ('her', 'hers', 'hers')
    """
    found = _NEXT.match(after)
    if found is None:
        return "her" if _OPEN.match(after) else "hers"
    return "hers" if found[1].lower() in _AFTER_HIM else "her"
