"""Validation loss in nats per byte of held-out text: comparable over tokenizers.

Negative log-probabilities of all tokens of the texts are summed and divided by the texts' UTF-8
bytes. End tokens join the texts, and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from slmbench.lifecycle.calibration_text import text_facts
from slmbench.lifecycle.training.packing import stream
from slmbench.lifecycle.training.text import Corpus
from slmbench.made import TextFacts

Forward = Callable[[Any, torch.Tensor], torch.Tensor]
"""From a model and ids [n, length] to logits [n, length, vocabulary]."""

_LOGITS = 1 << 25
"""Logits that are held at once, at most (128 MiB of float32)."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What validation reads."""

    rows: torch.Tensor
    """Ids [rows, length + 1]; the last row is filled up with end tokens."""
    counted: torch.Tensor
    """[rows, length]: whether the token that comes next is one of a text."""
    facts: TextFacts

    def loss(self, model: Any, forward: Forward | None = None) -> float:
        """Mean over all bytes [nats/byte]; the model is in its evaluation mode meanwhile."""
        was_training = model.training
        model.eval()
        rows_at_once = rows_of(self.rows, model)
        nats = 0.0
        with torch.inference_mode():
            for part in range(0, len(self.rows), rows_at_once):
                rows = self.rows[part : part + rows_at_once]
                counted = self.counted[part : part + rows_at_once]
                logits = (forward or logits_of)(model, rows[:, :-1])
                each = token_losses(logits, rows[:, 1:])
                nats += float(each[counted].double().sum())
        model.train(was_training)
        return nats / self.facts.bytes


def held_out(tokenizer: Any, corpus: Corpus, length: int) -> HeldOut:
    """The corpus's held-out texts in rows of ``length`` tokens."""
    ids = stream(tokenizer, corpus.held_out)
    end = ids[0]
    scored = len(ids) - 1
    short = -scored % length
    flat = torch.tensor(ids + [end] * short)
    return HeldOut(
        rows=flat.unfold(0, length + 1, length).contiguous(),
        counted=(flat[1:] != end).view(-1, length),
        facts=text_facts(corpus.held_out, corpus.sources, scored),
    )


def logits_of(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The plain forward pass."""
    found: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return found


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Negative log-probability of each label, [n, length], in float32 [nats]."""
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), reduction="none"
    ).view_as(labels)


def computing(compute: str) -> AbstractContextManager[Any]:
    """Inside, products are of type ``compute``; sums over a vocabulary stay float32.

    On SmolLM2-135M validation in bfloat16 differs by 0.0001 nats/byte from that in float32.
    """
    if compute == "bfloat16":
        how: AbstractContextManager[Any] = torch.autocast("cpu", dtype=torch.bfloat16)
        return how
    return nullcontext()


def rows_of(rows: torch.Tensor, model: Any) -> int:
    """How many of these rows a forward pass takes at once: what their logits allow, at least one.

    It depends on sizes only, so that a run gives the same numbers on a larger machine.
    """
    vocabulary = int(model.config.get_text_config().vocab_size)
    length = int(rows.shape[1]) - 1
    return max(1, _LOGITS // (length * vocabulary))
