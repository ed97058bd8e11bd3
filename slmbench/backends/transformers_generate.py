"""Answers in batches for transformers: rows of one cache, padded on the left, joined and dropped.

Keys carry their positions already, so a row may lie anywhere in the cache: prompts that arrive
later are evaluated apart, padded to the common width and joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers.cache_utils import DynamicCache

from slmbench.backends.decoding import Arrival
from slmbench.backends.transformers_load import endings
from slmbench.prefix_tree import Ids

if TYPE_CHECKING:
    from slmbench.backends.decoding import Logits


class Forward(Protocol):
    """Logits of the last ``keep`` positions, shape (rows, keep, vocabulary)."""

    def __call__(
        self, ids: torch.Tensor, cache: DynamicCache | None, *, keep: int, **extra: Any
    ) -> torch.Tensor: ...


class TorchBatch:
    """A :class:`slmbench.backends.decoding.Batch` in one growing cache."""

    def __init__(
        self, forward: Forward, new_cache: Callable[[], DynamicCache], device: torch.device
    ) -> None:
        self._forward, self._new_cache, self._device = forward, new_cache, device
        self._preamble, self._held = new_cache(), 0
        self._rows: _Rows | None = None

    def hold(self, preamble: Ids) -> None:
        """Start cold; every row begins with a copy of the preamble's keys and values."""
        self._preamble, self._held, self._rows = self._new_cache(), len(preamble), None
        if preamble:
            with torch.inference_mode(), endings():
                self._forward(self._tensor([preamble]), self._preamble, keep=1)

    def admit(self, arrivals: Sequence[Arrival]) -> Logits:
        """One pass over the prompts; answers to one prompt get copies of its row."""
        width = max(len(arrival.tokens) for arrival in arrivals)
        gaps = [width - len(arrival.tokens) for arrival in arrivals]
        ids = self._tensor([(0,) * g + a.tokens for g, a in zip(gaps, arrivals, strict=True)])
        with torch.inference_mode(), endings():
            cache = self._begun(len(arrivals))
            own = torch.arange(width, device=self._device)[None, :] - self._tensor([gaps]).T
            before = own.new_ones(len(arrivals), self._held)
            mask = torch.cat((before, (own >= 0).long()), 1)
            extra = {"attention_mask": mask, "position_ids": own.clamp(min=0) + self._held}
            logits = self._forward(ids, cache, keep=1, **(extra if any(gaps) else {}))[:, -1]
            rows = _Rows(
                cache, mask, [a.slots[0] for a in arrivals],
                [self._held + len(a.tokens) for a in arrivals],
            )  # fmt: skip
            places = [row for row, arrival in enumerate(arrivals) for _ in arrival.slots]
            rows.take(places)
            rows.slots = [slot for arrival in arrivals for slot in arrival.slots]
            self._rows = rows if self._rows is None else self._rows.joined(rows)
            return _numbers(logits)

    def advance(self, tokens: Mapping[int, int]) -> Logits:
        """One pass over all rows."""
        rows = self._rows
        assert rows is not None, "no slot is live"
        ids = self._tensor([[tokens[slot]] for slot in rows.slots])
        with torch.inference_mode(), endings():
            extra = rows.grow()
            logits = self._forward(ids, rows.cache, keep=1, **extra)[:, -1]
            found = _numbers(logits)
        return found[[rows.slots.index(slot) for slot in tokens]]

    def release(self, slots: Sequence[int]) -> None:
        """Drop the rows, and columns that only they used."""
        assert self._rows is not None, "no slot is live"
        kept = [row for row, slot in enumerate(self._rows.slots) if slot not in slots]
        with torch.inference_mode():
            if kept:
                self._rows.take(kept)
            else:
                self._rows = None

    def _begun(self, count: int) -> DynamicCache:
        """A cache whose rows hold the preamble."""
        cache = self._new_cache()
        if self._held:
            for number, layer in enumerate(self._preamble.layers):
                cache.update(
                    layer.keys.expand(count, -1, -1, -1),
                    layer.values.expand(count, -1, -1, -1),
                    number,
                )
        return cache

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self._device)


class _Rows:
    """Live sequences of one cache."""

    def __init__(
        self, cache: DynamicCache, mask: torch.Tensor, slots: list[int], lengths: list[int]
    ) -> None:
        self.cache, self.slots = cache, slots
        self._mask = mask
        """1 where a token is real, shape (rows, columns of the cache)."""
        self._lengths = lengths
        """Tokens of each row: the position of the one that comes next."""

    def take(self, places: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may come more than once."""
        if list(places) == list(range(len(self._lengths))):
            return
        chosen = torch.tensor(places, dtype=torch.long, device=self._mask.device)
        self.cache.batch_select_indices(chosen)
        self._lengths = [self._lengths[row] for row in places]
        self.slots = [self.slots[row] for row in places]
        self._mask = self._mask[chosen]
        empty = int(self._mask.any(0).long().argmax())
        if empty:
            self._mask = self._mask[:, empty:]
            for layer in self.cache.layers:
                layer.keys, layer.values = layer.keys[..., empty:, :], layer.values[..., empty:, :]

    def joined(self, other: _Rows) -> _Rows:
        """Both in one cache of the larger width."""
        width = max(self._mask.shape[1], other._mask.shape[1])
        for mine, new in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys = torch.cat((_wide(mine.keys, width), _wide(new.keys, width)))
            mine.values = torch.cat((_wide(mine.values, width), _wide(new.values, width)))
        masks = [
            torch.nn.functional.pad(m, (width - m.shape[1], 0)) for m in (self._mask, other._mask)
        ]
        return _Rows(
            self.cache, torch.cat(masks), self.slots + other.slots, self._lengths + other._lengths
        )

    def grow(self) -> dict[str, torch.Tensor]:
        """Make room for one more token per row; what the pass needs to know of paddings."""
        positions = torch.tensor(self._lengths, device=self._mask.device)[:, None]
        self._lengths = [length + 1 for length in self._lengths]
        self._mask = torch.cat((self._mask, self._mask.new_ones(len(self._mask), 1)), 1)
        if bool(self._mask.all()):
            return {}
        return {"attention_mask": self._mask, "position_ids": positions}


def _wide(part: torch.Tensor, width: int) -> torch.Tensor:
    """Keys or values, shape (rows, heads, columns, size), padded on the left."""
    return torch.nn.functional.pad(part, (0, 0, width - part.shape[-2], 0))


def _numbers(logits: torch.Tensor) -> Logits:
    found: Logits = logits.float().cpu().numpy()
    return found
