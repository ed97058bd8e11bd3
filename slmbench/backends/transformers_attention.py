"""Attention over packs of prefix trees, through transformers' own attention interface.

The rows of a pack are cut into chunks of neighbours. A chunk attends to the keys that any of its
rows sees: what comes before it on its path, nothing of other branches or trees. Chunks of one
shape are one batched product, whatever tree they come from; shapes depend on the chunk alone, so
that what a tree yields does not depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from slmbench.prefix_tree import Pack, Tree

NAME = "slmbench_trees"
"""Under which the attention is known to transformers."""
CHUNK = 48
"""Rows of a chunk, at most."""
ROWS_STEP, KEYS_STEP = 8, 32
"""Chunks are padded to multiples of these: few shapes, whole vectors."""
SCORES = 1 << 22
"""Attention scores that are held at a time, about."""
CAUSAL = 512
"""A trunk longer than this, without a preamble, goes through PyTorch's causal kernel [tokens]."""
_REFUSED = ("sliding_window", "softcap", "s_aux", "position_bias")
"""Arguments of attention that change it in ways that are not built here."""


class UnsupportedAttentionError(Exception):
    """The model's attention is more than a scaled softmax over all earlier tokens."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring rows of one tree that attend together."""

    start: int
    stop: int
    """Its rows in the pack."""
    keys: torch.Tensor
    """Rows it looks at, counted from the beginning of the preamble; shape (keys)."""
    seen: torch.Tensor
    """Which row sees which key; bool, shape (rows, keys)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and keys with padding."""
        return _up(self.stop - self.start, ROWS_STEP), _up(len(self.keys), KEYS_STEP)


@dataclass(frozen=True, slots=True)
class _Group:
    """Chunks of one shape with their places in flat (token, head) rows."""

    queries: torch.Tensor
    """Shape (chunks × heads × rows): chunk, head, row."""
    keys: torch.Tensor
    """Shape (chunks × key heads × keys)."""
    mask: torch.Tensor
    """Added to the scores, shape (chunks, 1, 1, rows, keys)."""


@dataclass(frozen=True, slots=True)
class _Places:
    """A layout for one number of heads."""

    groups: tuple[_Group, ...]
    order: torch.Tensor
    """Which row of all groups' output belongs to each (token, head)."""


class Layout:
    """What the rows of one pack attend to."""

    def __init__(
        self, causal: Sequence[tuple[int, int]], chunks: Sequence[Chunk], rows: int, model: Any
    ) -> None:
        self.causal = tuple(causal)
        """Rows (start, stop) that attend to each other only, each to those before it."""
        self._chunks = chunks
        self._rows = rows
        self._model = model
        self._places: dict[tuple[int, int], _Places] = {}

    @classmethod
    def of(cls, pack: Pack, model: Any) -> Layout:
        """The trees of a pack after its preamble."""
        causal: list[tuple[int, int]] = []
        chunks: list[Chunk] = []
        start, past = 0, len(pack.preamble)
        for tree in pack.trees:
            first = tree.trunk if not past and tree.trunk > CAUSAL else 0
            if first:
                causal.append((start, start + first))
            chunks += _chunks(tree, first, start, past)
            start += len(tree.ids)
        return cls(causal, chunks, start, model)

    @classmethod
    def sequence(cls, rows: int, model: Any) -> Layout:
        """One plain sequence."""
        return cls([(0, rows)], (), rows, model)

    def places(self, heads: int, key_heads: int) -> _Places:
        """Index tensors for this many heads; layers of a model share them."""
        shape = heads, key_heads
        if shape not in self._places:
            self._places[shape] = self._place(heads, key_heads)
        return self._places[shape]

    def _place(self, heads: int, key_heads: int) -> _Places:
        order = torch.empty(self._rows, heads, dtype=torch.long)
        found: list[_Group] = []
        done = 0
        for start, stop in self.causal:
            order[start:stop] = torch.arange((stop - start) * heads).view(-1, heads) + done
            done += (stop - start) * heads
        for chunks in self._alike(heads):
            rows = chunks[0].shape[0]
            found.append(_group(chunks, heads, key_heads, self._model))
            base = torch.arange(heads) * rows + done
            for chunk in chunks:
                count = chunk.stop - chunk.start
                order[chunk.start : chunk.stop] = torch.arange(count)[:, None] + base
                base = base + heads * rows
            done += len(chunks) * heads * rows
        return _Places(tuple(found), order.view(-1).to(self._model.device))

    def _alike(self, heads: int) -> Iterator[list[Chunk]]:
        """Chunks of the same shape, not too many at a time."""
        shapes: dict[tuple[int, int], list[Chunk]] = {}
        for chunk in self._chunks:
            shapes.setdefault(chunk.shape, []).append(chunk)
        for (rows, keys), chunks in sorted(shapes.items()):
            most = max(SCORES // (heads * rows * keys), 1)
            for first in range(0, len(chunks), most):
                yield chunks[first : first + most]


class TreeAttention:
    """The attention function; one layout at a time is active in this process."""

    def __init__(self) -> None:
        self.layout: Layout | None = None
        self.past: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """Keys and values of the preamble by layer, shape (1, key heads, tokens, size)."""
        self.keep = False
        """Whether to make ``past`` from what comes."""

    def __call__(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        **extra: Any,
    ) -> tuple[torch.Tensor, None]:
        """Shapes (1, heads, tokens, size) in, (1, tokens, heads, size) out."""
        if any(extra.get(name) is not None for name in _REFUSED):
            raise UnsupportedAttentionError(f"{type(module).__name__} restricts its attention")
        assert self.layout is not None
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        if self.keep:
            self.past[module.layer_idx] = key, value
        parts = [
            _causal(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scale)
            for a, b in self.layout.causal
        ]
        places = self.layout.places(query.shape[1], key.shape[1])
        if places.groups:
            if not self.keep and (past := self.past.get(module.layer_idx)):
                key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
            flat = _flat(query), _flat(key), _flat(value)
            parts += [_attend(group, *flat, scale) for group in places.groups]
        out = torch.cat(parts).index_select(0, places.order)
        return out.view(1, query.shape[2], query.shape[1], value.shape[-1]), None


def _flat(states: torch.Tensor) -> torch.Tensor:
    """(1, heads, tokens, size) as (tokens × heads, size); models hold them in this order."""
    return states.transpose(1, 2).reshape(-1, states.shape[-1])


def _causal(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> torch.Tensor:
    """Softmax attention of one sequence, shape (tokens × heads, size)."""
    return _flat(
        functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=True
        )
    )


def _attend(
    group: _Group, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
) -> torch.Tensor:
    """Softmax attention of one group of chunks, shape (chunks × heads × rows, size).

    Query heads that share a key head are stacked as rows, so that keys are never repeated.
    """
    chunks, _, _, rows, keys = group.mask.shape
    batch = len(group.keys) // keys
    stacked = query.index_select(0, group.queries).view(batch, -1, query.shape[-1])
    looked_at = key.index_select(0, group.keys).view(batch, keys, -1).transpose(1, 2)
    scores = torch.baddbmm(query.new_empty(()), stacked, looked_at, beta=0, alpha=scale)
    scores.view(chunks, batch // chunks, -1, rows, keys).add_(group.mask)
    weights = torch.softmax(scores, -1)  # sums in float32, whatever the type
    read = value.index_select(0, group.keys).view(batch, keys, -1)
    return torch.bmm(weights, read).view(-1, value.shape[-1])


def _group(chunks: Sequence[Chunk], heads: int, key_heads: int, model: Any) -> _Group:
    """Padded rows repeat the chunk's first; padded keys are seen by nobody."""
    rows, keys = chunks[0].shape
    queries = torch.empty(len(chunks), 1, rows, dtype=torch.long)
    looked_at = torch.zeros(len(chunks), 1, keys, dtype=torch.long)
    mask = torch.zeros(len(chunks), 1, 1, rows, keys, dtype=model.dtype)
    for number, chunk in enumerate(chunks):
        count, known = chunk.seen.shape
        queries[number] = chunk.start
        queries[number, 0, :count] = torch.arange(chunk.start, chunk.stop)
        looked_at[number, 0, :known] = chunk.keys
        mask[number, ..., :count, :known].masked_fill_(~chunk.seen, -math.inf)
        mask[number, ..., known:] = -math.inf
    return _Group(
        (queries * heads + torch.arange(heads)[:, None]).view(-1).to(model.device),
        (looked_at * key_heads + torch.arange(key_heads)[:, None]).view(-1).to(model.device),
        mask.to(model.device),
    )


def _chunks(tree: Tree, first: int, start: int, past: int) -> Iterator[Chunk]:
    """Rows from ``first`` on; ``start``: the tree's first row in its pack."""
    seen = _seen(tree)
    for begin, end in _cuts(tree, first):
        keys = seen[begin:end].any(0).nonzero()[:, 0]
        known = torch.ones(end - begin, past, dtype=torch.bool)
        yield Chunk(
            start + begin,
            start + end,
            torch.cat((torch.arange(past), keys + past + start)),
            torch.cat((known, seen[begin:end, keys]), 1),
        )


def _cuts(tree: Tree, first: int) -> Iterator[tuple[int, int]]:
    """Short branches in a row together, long chains in equal parts."""
    begin = end = first
    for start, stop in _chains(tree, first):
        if stop - begin <= CHUNK:
            end = stop
            continue
        if end > begin:
            yield begin, end
        parts = math.ceil((stop - start) / CHUNK)
        step = math.ceil((stop - start) / parts)
        begin, end = start, stop
        while end - begin > step:
            yield begin, begin + step
            begin += step
    if end > begin:
        yield begin, end


def _chains(tree: Tree, first: int) -> Iterator[tuple[int, int]]:
    """Runs of nodes that each follow the one before."""
    start = first
    while start < len(tree.ids):
        stop = start + 1
        while stop < len(tree.ids) and tree.parents[stop] == stop - 1:
            stop += 1
        yield start, stop
        start = stop


def _seen(tree: Tree) -> torch.Tensor:
    """Which node sees which: its ancestors and itself; bool, shape (nodes, nodes)."""
    size = len(tree.ids)
    seen = torch.zeros(size, size, dtype=torch.bool)
    for start, stop in _chains(tree, 0):
        if (parent := tree.parents[start]) >= 0:
            seen[start:stop] = seen[parent]
        seen[start:stop, start:stop] = torch.ones(stop - start, stop - start).tril().bool()
    return seen


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


ATTENTION = TreeAttention()
AttentionInterface.register(NAME, ATTENTION)
