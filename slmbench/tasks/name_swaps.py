"""The same text with the persons in it of the other gender: names, pronouns, words like "aunt".

All first names of a usual gender become names of the other one, several names distinct ones, and
with them every gendered pronoun and word; names of either gender stay. So who did what to whom
stays as it was, and an answer that changes hung on the names. A text is changed as a whole or not
at all: where a word cannot be told (a "her" that may be "his" or "him", a part of a longer name,
"guy") it stays as it is, and the reason is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from slmbench.tasks.first_names import COMMON, EITHER, NAMES, WORDS_TOO, Gender
from slmbench.tasks.gendered_words import (
    NO_PARTNER,
    OF_THE_BODY,
    WORDS,
    her_or_hers,
    his_or_him,
    set_of,
)
from slmbench.tasks.typing_errors import Draws

VERSION = 1
"""Part of the digest of cells with swapped names: raise it when a swap comes out differently."""
NO_NAME = "without a first name of a usual gender"
LONGER = "kept as a name may be part of a longer one"
UNKNOWN = "kept as a capitalised word may be another name"
PARTNER = "kept as they hold a gendered word without a partner"
BODY = "kept as they speak of the body"
HER = "kept as a 'her' may be 'his' or 'him'"

_WORD = re.compile(r"(?<![\w’'-])[^\W\d_]++(?:['’][^\W\d_]++)*+(?!-)")
_START = re.compile(r"(?:^|[.!?:;\"“”(\[\]\n*_]\s*['\"“‘(]?)$")
_LAST_WORD = re.compile(r"([^\W\d_]+)(\.?) $")
_NEXT_NAME = re.compile(r" [A-Z][a-z]+")
_ENDINGS = frozenset({"", "s", "d", "ll", "re", "ve"})
_ANYONE = re.compile(
    r"\bhis(?:/| or | and )hers?\b|\bhers?(?:/| or | and )his\b|\bhim(?:/| or )her\b|\(s\)he\b"
    r"|\bher(?:/| or )him\b|\bs/he\b",
    re.IGNORECASE,
)
_PLACES = set_of("san santa saint st lake fort port mount pope president general")
_TITLES = set_of("mr ms mrs dr aunt uncle grandma grandpa")
_HARMLESS = set_of(
    """
    I God Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March
    April May June July August September October November December Christmas Thanksgiving
    Halloween Easter Valentine English Spanish French German Italian Chinese Japanese Mexican
    American Americans British European African Asian Indian Canadian Internet Facebook Google
    Amazon Mom Dad Grandma Grandpa Mommy Daddy Aunt Uncle Mr Ms Mrs Dr
    """
)
"""Capitalised words within a sentence that name no person."""


@dataclass(frozen=True, slots=True)
class Swap:
    """How the persons of one item are swapped."""

    names: Mapping[str, str]
    """Name -> the one that stands for it; empty where nothing is changed."""
    why_not: str = ""
    """Why nothing is changed; empty where something is."""

    def split(self, left: str, right: str) -> tuple[str, str]:
        """Both parts of a text that is read as one."""
        if not self.names:
            return left, right
        edits = list(_edits(left + right, self.names))
        size = len(left)
        after = [e for e in edits if e.start >= size]
        return (
            _edited(left, [e for e in edits if e.end <= size]),
            _edited(right, [_Edit(e.start - size, e.end - size, e.word) for e in after]),
        )

    def text(self, text: str) -> str:
        """A text of the item that stands alone."""
        return self.split(text, "")[0]


def swap_of(texts: Sequence[str], draws: Draws) -> Swap:
    """How to swap an item's persons; ``texts`` are all that it shows, each with what precedes it.

    >>> swap = swap_of(["Tom's aunt thanked her for his hat."], Draws(1))
    >>> swap.why_not, swap.text("Tom thanked his aunt: she gave him hers.").split()[-1]
    ('', 'his.')
    """
    found = _names(texts)
    if not found:
        return Swap({}, NO_NAME)
    why = next((why for text in texts if (why := _doubt(text, found))), "")
    if why:
        return Swap({}, why)
    seen = {word.base.lower() for text in texts for word in _words(text)}
    pools = {g: [n for n in names if n.lower() not in seen] for g, names in COMMON.items()}
    names: dict[str, str] = {}
    for name, gender in found.items():
        pool = pools["f" if gender == "m" else "m"]
        names[name] = pool.pop(draws.below(len(pool)))
    swap = Swap(names)
    left = re.compile(rf"\b(?:{'|'.join(names)})s?\b", re.IGNORECASE)
    return Swap({}, UNKNOWN) if any(left.search(swap.text(t)) for t in texts) else swap


def swap_rules() -> str:
    """All that decides how names are swapped, as one text."""
    lists = (*NAMES.items(), *WORDS_TOO.items(), *WORDS.items(), *COMMON.items(), *sorted(EITHER))
    return f"{VERSION}\n{lists}"


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a text: ``Tom's`` has the base ``Tom`` and the ending ``s``."""

    base: str
    ending: str
    start: int
    end: int
    """Of the base."""
    before: str
    after: str
    """What follows the base."""

    @property
    def inside(self) -> bool:
        """Whether it stands within a sentence, where a capital means something."""
        return not _START.search(self.before)

    @property
    def capital(self) -> bool:
        """One large letter and small ones."""
        return len(self.base) > 1 and self.base[0].isupper() and self.base[1:].islower()


class _Edit(NamedTuple):
    start: int
    end: int
    word: str


def _words(text: str) -> Iterator[_Word]:
    for found in _WORD.finditer(text):
        base, _, ending = found[0].replace("’", "'").partition("'")
        start, end = found.start(), found.start() + len(base)
        yield _Word(base, ending, start, end, text[:start], text[end:])


def _names(texts: Sequence[str]) -> Mapping[str, Gender]:
    """Names of a usual gender in their order; names that are words only beside sure ones."""
    found: dict[str, Gender] = {}
    for word in (w for text in texts for w in _words(text)):
        gender = NAMES.get(word.base)
        if gender is None and word.inside:
            gender = WORDS_TOO.get(word.base)
        if gender is not None and word.ending in _ENDINGS:
            found.setdefault(word.base, gender)
    return found if found.keys() & NAMES.keys() else {}


def _doubt(text: str, names: Mapping[str, Gender]) -> str:
    """Why the text cannot be changed; empty when it can be."""
    words = tuple(_words(text))
    lower = {word.base.lower() for word in words}
    if lower & OF_THE_BODY:
        return BODY
    if (lower - {"miss"}) & NO_PARTNER or any(w.base == "Miss" for w in words):
        return PARTNER
    if any(_is_part(word) for word in words if word.base in names):
        return LONGER
    if not lower & {"his", "her", *WORDS}:
        return ""
    if any(_may_name(word, names) for word in words):
        return UNKNOWN
    hers = [w for w in words if w.base.lower() == "her" and not w.ending]
    unsure = any(his_or_him(w.before, w.after) is None for w in hers)
    return HER if unsure or _ANYONE.search(text) else ""


def _is_part(word: _Word) -> bool:
    """Whether the name is one of several words that name somebody or something."""
    following = _NEXT_NAME.match(word.after)
    if following and following[0].strip() not in _HARMLESS:
        return True
    before = _LAST_WORD.search(word.before)
    if before is None or not before[1][0].isupper():
        return False
    if before[1].lower() in _PLACES:
        return True
    starts = _START.search(word.before[: before.start()])
    known = before[2] or before[1] in _HARMLESS or before[1].lower() in _TITLES
    return not known and (not starts or before[1] in NAMES or before[1] in EITHER)


def _may_name(word: _Word, names: Mapping[str, Gender]) -> bool:
    """Whether it may name a person who is not known to the lists."""
    if not word.capital or word.base in names or word.base in EITHER or word.base in _HARMLESS:
        return False
    stem = word.base.removesuffix("s")
    if stem in names or stem in EITHER or word.base.lower() in WORDS:
        return False
    return word.inside or (word.base in WORDS_TOO and word.ending in _ENDINGS)


def _edits(text: str, names: Mapping[str, str]) -> Iterator[_Edit]:
    """The words that change, in their order."""
    for word in _words(text):
        other = _other(word, names)
        if other is not None:
            yield _Edit(word.start, word.end, _in_case(other, word.base))


def _other(word: _Word, names: Mapping[str, str]) -> str | None:
    """What stands for a word; None where it stays."""
    title = word.base if word.capital else word.base.capitalize()
    if word.base[0].isupper() and word.ending in _ENDINGS:
        if title in names:
            return names[title]
        if title.endswith("s") and title[:-1] in names:  # "Toms" for "Tom's"
            return f"{names[title[:-1]]}s"
    base = word.base.lower()
    if base == "her" and not word.ending:
        return his_or_him(word.before, word.after)
    return her_or_hers(word.after) if base == "his" else WORDS.get(base)


def _in_case(other: str, word: str) -> str:
    """The other word with large letters where this one has them."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    for start, end, word in reversed(edits):
        text = text[:start] + word + text[end:]
    return text
