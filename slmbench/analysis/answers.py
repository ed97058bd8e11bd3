"""What the models answered, condensed from the stored outputs to what the statistics need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.requests import (
    GenerateOutput,
    Item,
    ItemOutput,
    ItemSet,
    LoglikelihoodOutput,
    RollingRequest,
)
from slmbench.store import StoredRun

Reading = Literal["acc", "acc_norm", "acc_bytes"]
"""How log-likelihoods become a prediction: sums, per character, per UTF-8 byte."""


@dataclass(frozen=True, slots=True)
class ChoiceAnswer:
    """One item of which every request got a finite log-likelihood."""

    item: Item
    logprobs: tuple[float, ...]
    """Sum over each continuation's tokens [nats], in request order."""
    tokens: tuple[int, ...]
    """Tokens scored per request."""

    def values(self, reading: Reading) -> tuple[float, ...] | None:
        """What is compared under this reading; None where a length is 0 or missing."""
        if reading == "acc":
            return self.logprobs
        lengths = [len(c if reading == "acc_norm" else c.encode()) for c in self.item.choices]
        if len(lengths) != len(self.logprobs) or 0 in lengths:
            return None
        return tuple(lp / n for lp, n in zip(self.logprobs, lengths, strict=True))


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """One item that was answered in words (an empty answer included)."""

    item: Item
    text: str
    tokens: int
    """Tokens generated, a stop token included."""
    token_ids: tuple[int, ...] = ()
    """The tokens themselves."""
    cut: bool = False
    """Whether it ended at the token limit."""


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of one run that can be judged."""

    choices: tuple[ChoiceAnswer, ...]
    """Items asked by log-likelihood, without perplexity texts."""
    texts: tuple[TextAnswer, ...]
    failed: frozenset[str]
    """Ids of items with an answer that failed; empty texts are no failures here."""
    fingerprint: str
    """Digest of item ids and log-likelihoods; empty when none is finite."""
    scored: int
    """Items that the fingerprint covers."""


def read_answers(run: StoredRun, item_set: ItemSet) -> Answers | None:
    """The stored answers of a run; None when none are kept or they cannot be read."""
    try:
        outputs = tuple(run.outputs())
    except (ValueError, OSError):
        return None
    return condensed(item_set, outputs) if outputs else None


def condensed(item_set: ItemSet, outputs: Sequence[ItemOutput]) -> Answers:
    """Answers by item, in the order of the set; outputs of unknown items are ignored."""
    by_id = {output.item_id: output for output in outputs}
    choices: list[ChoiceAnswer] = []
    texts: list[TextAnswer] = []
    failed: set[str] = set()
    scored = 0
    digest = hashlib.sha256()
    for item in item_set.items:
        output = by_id.get(item.item_id)
        if output is None:
            continue
        text, numbers = _text(item, output), _numbers(item, output)
        if text is not None:
            texts.append(text)
        elif numbers is None:
            failed.add(item.item_id)
        else:
            scored += 1
            digest.update(f"{item.item_id} {numbers.logprobs!r}\n".encode())
            if not any(isinstance(r, RollingRequest) for r in item.requests):
                choices.append(numbers)
    fingerprint = digest.hexdigest() if scored else ""
    return Answers(tuple(choices), tuple(texts), frozenset(failed), fingerprint, scored)


def _text(item: Item, output: ItemOutput) -> TextAnswer | None:
    first = output.outputs[0] if output.outputs else None
    if not isinstance(first, GenerateOutput):
        return None
    if first.failure not in (None, "empty_output"):
        return None
    cut = first.finish == "length"
    return TextAnswer(item, first.text, len(first.token_ids), first.token_ids, cut)


def _numbers(item: Item, output: ItemOutput) -> ChoiceAnswer | None:
    found = [o for o in output.outputs if isinstance(o, LoglikelihoodOutput)]
    values = [o.logprob for o in found if o.failure is None and o.logprob is not None]
    if not values or len(values) < len(output.outputs) or len(values) != len(item.requests):
        return None
    return ChoiceAnswer(item, tuple(values), tuple(o.tokens for o in found))
