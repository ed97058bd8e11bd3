"""Text to train on: passages of data sets, each once, a part of them held out.

Which passages are held out follows from their own words (a keyed hash), so it is the same for
every recipe, and nothing that one recipe was trained on is another's validation text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from slmbench.data.providers import fetch
from slmbench.errors import ArtefactError
from slmbench.lifecycle.calibration_text import passages_of
from slmbench.spec.recipes.training import TrainingText

_KEY = b"slmbench held-out passages 1"
_RANGE = 1 << 64
_CUT = 1000
"""Characters of a held-out passage that validation reads at most."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Passages, told apart by what they are for."""

    texts: tuple[str, ...]
    """To train on, in the order of the data sets."""
    held_out: tuple[str, ...]
    """To validate on, in the order of their hash, cut; as many as validation reads."""
    sources: tuple[str, ...]
    """Name, place and digest of each data set."""


def read_corpus(text: TrainingText) -> Corpus:
    """The passages of ``text``, each once, before any selection.

    Raises MissingDataError where no source has a set, and ArtefactError where the passages are so
    few that nothing is left to train or to validate on.
    """
    found = [passages_of(fetch(name)) for name in text.passages]
    kept, out = split((each for one in found for each in one.texts), text.held_out)
    if not kept or not out:
        raise ArtefactError(
            f"{', '.join(text.passages)}: {len(kept)} passages to train on and {len(out)} to "
            f"validate on, with held_out {text.held_out}",
            hint="name more passages, or raise held_out",
        )
    return Corpus(kept, _first(out, text.validation_bytes), tuple(one.source for one in found))


def split(texts: Iterable[str], share: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Texts to train on in their order, and those held out in the order of their hash.

    Two texts that differ in case or spaces only are one; the first is kept.
    """
    once: dict[str, str] = {}
    for text in texts:
        if text.strip():
            once.setdefault(_plain(text), text)
    keys = {plain: key(plain) for plain in once}
    kept = tuple(text for plain, text in once.items() if keys[plain] >= share)
    out = sorted((keys[plain], text) for plain, text in once.items() if keys[plain] < share)
    return kept, tuple(text for _, text in out)


def key(text: str) -> float:
    """A number in [0, 1) that follows from the text alone: its keyed BLAKE2b (RFC 7693)."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, key=_KEY).digest()
    return int.from_bytes(digest, "big") / _RANGE


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _first(texts: tuple[str, ...], size: int) -> tuple[str, ...]:
    """The first of them, cut, until they hold so many bytes."""
    chosen: list[str] = []
    held = 0
    for text in texts:
        if held >= size:
            break
        chosen.append(text[:_CUT])
        held += len(chosen[-1].encode())
    return tuple(chosen)
