"""Texts as rows of equal length: joined by the end token and cut.

A row has one id more than the tokens that a loss is taken of: its first id is only seen. The last
id of a row is the first of the next, so every token but the very first end token is learnt once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from slmbench.errors import ArtefactError


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of one corpus."""

    rows: torch.Tensor
    """Ids [rows, length + 1], int64."""
    tokens: int
    """Of the texts, end tokens included, before they were cut into rows."""


def stream(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """An end token, then each text as the tokenizer makes it with an end token behind.

    Raises ArtefactError for a tokenizer without an end token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise ArtefactError(
            "the parent's tokenizer has no end token to join texts with",
            hint="set eos_token in its tokenizer_config.json",
        )
    ids = [int(end)]
    for text in texts:
        found = list(tokenizer(text).input_ids)
        ids += found if found and found[-1] == end else [*found, end]
    return ids


def pack(tokenizer: Any, texts: Sequence[str], length: int) -> Packed:
    """Whole rows only; what is left at the end is not used.

    Raises ArtefactError for text shorter than a row.
    """
    ids = stream(tokenizer, texts)
    count = (len(ids) - 1) // length
    if count == 0:
        raise ArtefactError(
            f"the text has {len(ids) - 1} tokens, less than one row of {length}",
            hint="lower sequence, or name more passages",
        )
    flat = torch.tensor(ids[: count * length + 1])
    return Packed(flat.unfold(0, length + 1, length).contiguous(), len(ids) - 1)
