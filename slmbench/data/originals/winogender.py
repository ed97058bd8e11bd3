"""Winogender (Rudinger et al. 2018): ``all_sentences.tsv`` and ``occupations-stats.tsv``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slmbench.data.originals import Converted, OriginalsError
from slmbench.data.originals.files import table

_PRONOUNS: Mapping[str, tuple[str, ...]] = {
    "male": ("he", "his", "him"),
    "female": ("she", "her"),
    "neutral": ("they", "their", "them"),
}
_PARTS = 5
_HALF = 50.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence with one pronoun that refers to an occupation or to another person."""

    sentid: str
    sentence: str
    pronoun: str
    """As in the sentence, lower case."""
    occupation: str
    participant: str
    """``someone`` where the other person has no description."""
    gender: str
    """``male``, ``female`` or ``neutral``: of the pronoun."""
    target: str
    """Whom it refers to, by name."""
    label: int
    """0: the occupation, 1: the participant."""
    gotcha: bool
    """Beyond the hub's columns, see :func:`is_gotcha`."""
    bls_pct_female: float
    """Women in the occupation in the United States [%], Bureau of Labor Statistics."""
    template: str
    """``occupation.label``, shared by six sentences: three genders, described or ``someone``."""


def read(folder: Path) -> Converted:
    """Split ``test``, 720 sentences from 120 templates."""
    shares = _shares(folder / "occupations-stats.tsv")
    path = folder / "all_sentences.tsv"
    rows = [
        _row(row["sentid"], row["sentence"], shares)
        for row in table(path, ("sentid", "sentence"), "\t")
    ]
    return Converted({"test": rows})


def is_gotcha(gender: str, label: int, pct_female: float) -> bool:
    """Whether the right answer goes against the occupation's majority gender (table 2 there).

    A female pronoun is one where it refers to an occupation with under 50 % women, or to the
    participant beside one with at least 50 %; male the other way round; neutral never.

    >>> is_gotcha("female", 0, 10.7), is_gotcha("male", 1, 10.7), is_gotcha("male", 0, 10.7)
    (True, True, False)
    """
    if gender == "neutral":
        return False
    mostly_women = pct_female >= _HALF
    refers_to_majority = (gender == "female") == mostly_women
    return not refers_to_majority if label == 0 else refers_to_majority


def _row(sentid: str, sentence: str, shares: Mapping[str, float]) -> Sentence:
    parts = sentid.split(".")
    if len(parts) != _PARTS or parts[3] not in _PRONOUNS or parts[2] not in ("0", "1"):
        raise OriginalsError(f"all_sentences.tsv: {sentid!r} is no sentid")
    occupation, participant, answer, gender, _ = parts
    if occupation not in shares:
        raise OriginalsError(f"occupations-stats.tsv has no {occupation!r}")
    words = re.findall(r"[a-z]+", sentence.lower())
    pronoun = next((word for word in words if word in _PRONOUNS[gender]), None)
    if pronoun is None:
        raise OriginalsError(f"all_sentences.tsv: {sentid} has no {gender} pronoun")
    label = int(answer)
    return Sentence(
        sentid=sentid,
        sentence=sentence,
        pronoun=pronoun,
        occupation=occupation,
        participant=participant,
        gender=gender,
        target=participant if label else occupation,
        label=label,
        gotcha=is_gotcha(gender, label, shares[occupation]),
        bls_pct_female=shares[occupation],
        template=f"{occupation}.{label}",
    )


def _shares(path: Path) -> Mapping[str, float]:
    shares: dict[str, float] = {}
    for row in table(path, ("occupation", "bls_pct_female"), "\t"):
        try:
            shares[row["occupation"]] = float(row["bls_pct_female"])
        except ValueError as error:
            raise OriginalsError(f"{path.name}: {row['occupation']}: {error}") from error
    return shares
