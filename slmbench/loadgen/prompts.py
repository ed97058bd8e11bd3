"""Prompts that no cache has seen: random common words, and no two with the same beginning."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass

_TEXT = (
    "able air also area arm art away back ball bank base bed big bird blue boat body book box boy "
    "bread bus call camp car care case cell city class club coat code cold cook cost cup dark data "
    "date day deep desk dish dog door down draw dry dust ear earth east easy egg end eye face fact "
    "farm fast fear field film fire fish flat floor fly food foot form four free friend fruit full "
    "game gate gift girl glass goal gold good grass gray green group hair half hall hand hard hat "
    "head heart heat help high hill home hope horse hot hour house ice idea inch iron job joy jump "
    "keep key kind king lake lamp land large law leaf left leg letter life lift light line lion "
    "list long look low luck lunch map mark meal meat milk mind mix moon more mouth music nail "
    "name neck new night nine north nose note oak oil old one open page pain paper park part path "
    "peace pen pink place plan plant play poem point pool post queen quick rain red rest rice ring "
    "rise river road rock roof room root rose safe salt sand school sea seat seed ship shoe shop "
    "side silk sing size skin sky sleep small smile snow soap soft soil song soup south space "
    "spoon star step stone store storm sugar sun table tail tea test time tone town train tree "
    "true turn two view voice wall warm wash watch water way west wheel wide wind wine wing wood "
    "word work yard year young zero"
)
WORDS = tuple(_TEXT.split())
"""Mostly one token each in a common vocabulary; what a prompt has is counted by the server."""
_SALT = 4
"""Words that make a beginning unique: over 10^9 of them."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Tokens of a prompt of n words: ``fixed + per_word * n``, as the server counted two."""

    fixed: float = 0.0
    """BOS, chat template [tokens]."""
    per_word: float = 1.0
    measured: bool = False

    @classmethod
    def through(cls, first: tuple[int, int], second: tuple[int, int]) -> Sizing:
        """From two (words, tokens); the default where they make no sense."""
        (n, t), (m, u) = first, second
        per_word = (u - t) / (m - n)
        return cls(t - per_word * n, per_word, measured=True) if per_word > 0 else cls()

    def words(self, tokens: int) -> int:
        """Words of a prompt of about so many tokens, at least one."""
        return max(1, round((tokens - self.fixed) / self.per_word))


A_TOKEN_A_WORD = Sizing()
"""Where the server does not count."""


class PromptMaker:
    """Prompts of so many words.

    The first words come from the system's entropy and are never drawn twice: neither a request
    before, nor an earlier run on the same server, can have left a cache entry that helps. The
    rest depends on the seed.
    """

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(f"prompts:{seed}")  # noqa: S311 - not cryptographic
        self._used: set[tuple[str, ...]] = set()

    def make(self, words: int) -> str:
        """A fresh prompt."""
        length = min(_SALT, words)
        while (salt := tuple(secrets.choice(WORDS) for _ in range(length))) in self._used:
            if len(self._used) >= len(WORDS) ** length:  # more prompts than words: give up
                break
        self._used.add(salt)
        rest = (self._rng.choice(WORDS) for _ in range(words - length))
        return " ".join((*salt, *rest))
