"""Typing errors and letter case, drawn from digests: the same text and seed, the same errors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from slmbench.tasks.synonyms import QUOTED

SHARE = 0.10
"""Of the words that may have an error; at least one."""
_WORD = re.compile(r"(?<![\w'’-])[^\W\d_]{4,}(?![\w'’-])")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Letters of an English keyboard; each row is shifted a little to the right of the one above."""


class Draws:
    """Whole numbers that follow from a key alone, whatever else was drawn before."""

    def __init__(self, *key: object) -> None:
        self._key = "\0".join(map(str, key))
        self._count = 0

    def below(self, n: int) -> int:
        """The next number, from 0 to n - 1."""
        self._count += 1
        digest = hashlib.sha256(f"{self._key}\0{self._count}".encode()).hexdigest()
        return int(digest[:13], 16) % n

    def order(self, n: int) -> list[int]:
        """0 to n - 1 in a drawn order (Fisher and Yates)."""
        places = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            places[last], places[other] = places[other], places[last]
        return places


def with_typos(text: str, draws: Draws) -> str:
    """The text with one typing error in a tenth of its longer words, at least in one.

    May be hit: words of four letters or more without digits, hyphen or apostrophe that are not
    in quotation marks and not all capitals. The first letter is never touched, so that capitals
    and a/an stay right. Errors: two letters swapped, one left out, one doubled, or one replaced
    by a neighbour on the keyboard.
    """
    words = list(_open_words(text))
    if not words:
        return text
    count = max(1, round(SHARE * len(words)))
    chosen = {words[i].start(): words[i] for i in draws.order(len(words))[:count]}
    for start in sorted(chosen, reverse=True):
        word = chosen[start]
        text = text[:start] + misspelt(word[0], draws) + text[word.end() :]
    return text


def misspelt(word: str, draws: Draws) -> str:
    """The word with one error after its first letter; of at least two letters."""
    for index in draws.order(len(_ERRORS)):
        wrong = _ERRORS[index](word, draws)
        if wrong is not None:
            return wrong
    raise AssertionError("a letter can always be doubled")  # pragma: no cover


def in_case(text: str, *, upper: bool) -> str:
    """All letters large, or all small."""
    return text.upper() if upper else text.lower()


def _open_words(text: str) -> Iterator[re.Match[str]]:
    quoted = [m.span() for m in QUOTED.finditer(text)]
    for word in _WORD.finditer(text):
        inside = any(low <= word.start() < high for low, high in quoted)
        if not inside and not word[0].isupper():
            yield word


def _swapped(word: str, draws: Draws) -> str | None:
    places = [i for i in range(1, len(word) - 1) if word[i] != word[i + 1]]
    if not places:
        return None
    i = places[draws.below(len(places))]
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _left_out(word: str, draws: Draws) -> str:
    i = 1 + draws.below(len(word) - 1)
    return word[:i] + word[i + 1 :]


def _doubled(word: str, draws: Draws) -> str:
    i = 1 + draws.below(len(word) - 1)
    return word[: i + 1] + word[i:]


def _slipped(word: str, draws: Draws) -> str | None:
    places = [i for i in range(1, len(word)) if word[i].lower() in NEIGHBOURS]
    if not places:
        return None
    i = places[draws.below(len(places))]
    near = NEIGHBOURS[word[i].lower()]
    letter = near[draws.below(len(near))]
    return word[:i] + (letter.upper() if word[i].isupper() else letter) + word[i + 1 :]


_ERRORS: tuple[Callable[[str, Draws], str | None], ...] = (_swapped, _left_out, _doubled, _slipped)


def _neighbours() -> Iterator[tuple[str, str]]:
    for row, letters in enumerate(_ROWS):
        for column, letter in enumerate(letters):
            around = ((row, column - 1), (row, column + 1), (row - 1, column),
                      (row - 1, column + 1), (row + 1, column - 1), (row + 1, column))  # fmt: skip
            near = [_ROWS[r][c] for r, c in around if 0 <= r < 3 and 0 <= c < len(_ROWS[r])]
            yield letter, "".join(near)


NEIGHBOURS = dict(_neighbours())
"""Letter -> the letters whose keys touch its own."""
