"""What a short answer is worth: right, wrong or withheld. Pure functions on texts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Literal

from slmbench.requests import GenerateOutput
from slmbench.tasks.scorers.abstention import abstains
from slmbench.tasks.scorers.answers import UnscorableError
from slmbench.tasks.scorers.exact_match import flexible as normalised

Grade = Literal["correct", "incorrect", "not_attempted"]

WITHHELD = frozenset({"unknown", "unsure", "not sure", "im not sure", "no idea", "no answer",
                      "not known", "not available", "cannot say"})  # fmt: skip
"""Whole answers, normalised, that abstain beside the phrases of the scorer ``abstention``."""


@dataclass(frozen=True, slots=True)
class Key:
    """What counts as right, read from an item's target."""

    accepted: tuple[str, ...]
    """Texts any of which is a right answer."""
    threshold: float | None = None
    """The t that the prompt states; None: it states none."""

    @classmethod
    def read(cls, target: str) -> Key:
        """From a JSON list, or an object with ``accepted`` and ``threshold``.

        UnscorableError ``no_reference`` when there is no accepted answer.
        """
        try:
            found = json.loads(target)
        except ValueError as error:
            raise UnscorableError("no_reference") from error
        threshold = None
        if isinstance(found, dict):
            threshold, found = float(found["threshold"]), found["accepted"]
        if not isinstance(found, list):
            raise UnscorableError("no_reference")
        accepted = tuple(text for text in map(str, found) if text.strip())
        if not accepted:
            raise UnscorableError("no_reference")
        return cls(accepted, threshold)

    def matches(self, answer: str) -> bool:
        """Whether the answer is an accepted one after SQuAD's normalisation.

        Lower case, no ASCII punctuation, no articles, single blanks (Rajpurkar et al. 2016,
        arXiv 1606.05250; also used for open questions: Lee et al. 2019, arXiv 1906.00300).
        Where nothing is left of an answer ("The A"), the plain texts are compared.
        """
        form = comparable(answer)
        return any(comparable(text) == form for text in self.accepted)

    def occurs_in(self, answer: str) -> bool:
        """Whether an accepted answer stands in the answer as whole words, both normalised."""
        words = f" {comparable(answer)} "
        return any(f" {comparable(text)} " in words for text in self.accepted)

    def grade(self, answer: str) -> Grade:
        """Right answers first: one may sound like an abstention."""
        if self.matches(answer):
            return "correct"
        return "not_attempted" if withholds(answer) else "incorrect"


def comparable(text: str) -> str:
    """The form in which answers are compared.

    >>> comparable("The  Beatles."), comparable("A")
    ('beatles', 'a')
    """
    return normalised(text) or " ".join(text.lower().split())


def withholds(answer: str) -> bool:
    """Whether an answer abstains: by a phrase anywhere in it, or as a whole.

    >>> withholds("I don't know."), withholds("Unknown"), withholds("The Unknown Soldier")
    (True, True, False)
    """
    plain = answer.strip().lower().rstrip(".")
    return abstains(answer) or plain == "n/a" or normalised(answer) in WITHHELD


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit in it, of any script."""
    return any(character.isalnum() for character in text)


def spoken(output: GenerateOutput, key: Key) -> str:
    """The text of an answer; UnscorableError when it failed or says nothing.

    Without a letter or a digit it says nothing, unless just that was asked for ("%").
    """
    if output.failure is not None:
        raise UnscorableError(output.failure)
    if not says_something(output.text) and not key.matches(output.text):
        raise UnscorableError("empty_output")
    return output.text


def confidence(output: GenerateOutput) -> float | None:
    """exp(mean log p of the generated tokens), the one that ended the answer included.

    The length-normalised probability of the answer (Malinin and Gales 2021, arXiv 2002.07650);
    None where the log-probabilities were not kept.
    """
    kept = output.token_logprobs
    return math.exp(math.fsum(kept) / len(kept)) if kept else None
