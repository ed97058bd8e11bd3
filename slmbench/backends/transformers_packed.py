"""Packed scoring for transformers: many prefix trees in one row, each attending to itself.

All tokens of a pack go through the model's linear layers as one matrix without padding; only
attention looks at trees one by one, through transformers' own attention interface. Logits are
computed at scored positions only. What a tree yields does not depend on its neighbours in the
pack.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from slmbench.backends.transformers_kernels import FastKernels
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack, Tree

NAME = "slmbench_trees"
"""Under which the attention is known to transformers."""
HEAD_ROWS = 128
"""Positions whose logits are held at a time."""
DENSE = 512
"""A trunk up to this length is attended to with its branches in one dense product [tokens]."""
_REFUSED = ("sliding_window", "softcap", "s_aux", "position_bias")
"""Arguments of attention that change it in ways that are not built here."""


class UnsupportedAttentionError(Exception):
    """The model's attention is more than a scaled softmax over all earlier tokens."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Queries of one tree that attend together."""

    start: int
    stop: int
    """Its rows in the pack."""
    first: int
    """First row of its tree: the keys begin there, after the preamble."""
    mask: torch.Tensor | None
    """Additive, shape (queries × heads per key head, preamble + keys); None: causal."""


class _TreeAttention:
    """The attention function; one layout at a time is active in this process."""

    def __init__(self) -> None:
        self.blocks: Sequence[_Block] = ()
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
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        if self.keep:
            self.past[module.layer_idx] = key, value
        past = None if self.keep else self.past.get(module.layer_idx)
        out = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
        for block in self.blocks:
            rows = slice(block.start, block.stop)
            keys, values = (
                key[0, :, block.first : block.stop],
                value[0, :, block.first : block.stop],
            )
            if past is not None:
                keys = torch.cat((past[0][0], keys), 1)
                values = torch.cat((past[1][0], values), 1)
            out[0, rows] = _attend(query[0, :, rows], keys, values, block.mask, scale)
        return out, None


def _attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Softmax attention of one block, shape (queries, heads, size).

    Query heads that share a key head are stacked as rows, so that keys are never repeated.
    """
    heads, count, size = query.shape
    if mask is None:
        found = functional.scaled_dot_product_attention(
            query[None], keys[None], values[None], is_causal=True, scale=scale, enable_gqa=True
        )
        return found[0].transpose(0, 1)
    stacked = query.reshape(keys.shape[0], -1, size)
    scores = torch.baddbmm(mask, stacked, keys.transpose(1, 2), alpha=scale)
    weights = torch.softmax(scores, -1)  # sums in float32, whatever the type
    return torch.bmm(weights, values).view(heads, count, size).transpose(0, 1)


ATTENTION = _TreeAttention()
AttentionInterface.register(NAME, ATTENTION)


class PackedScorer:
    """Scores packs with one model."""

    def __init__(
        self, model: Any, device: torch.device, *, attention: str, fast_kernels: bool
    ) -> None:
        self._model, self._device, self._attention = model, device, attention
        self._kernels = FastKernels(model) if fast_kernels else None
        self._preamble: Ids = ()
        self._past: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def score(self, pack: Pack) -> list[TokenScore]:
        """One score per pair of the pack, in order."""
        with self._active():
            self._read_preamble(pack.preamble)
            hidden = self._forward(pack)
            return self._read_goals(pack, hidden)

    @contextmanager
    def _active(self) -> Iterator[None]:
        """The model with tree attention and fast kernels; put back afterwards."""
        self._model.set_attn_implementation(NAME)
        try:
            if self._kernels is None:
                yield
            else:
                with self._kernels:
                    yield
        finally:
            ATTENTION.blocks, ATTENTION.past, ATTENTION.keep = (), {}, False
            self._model.set_attn_implementation(self._attention)

    def _read_preamble(self, ids: Ids) -> None:
        """Make the preamble's keys and values the ones that are held."""
        if ids != self._preamble:
            self._past, self._preamble = {}, ()
            if ids:
                ATTENTION.blocks = (_Block(0, len(ids), 0, None),)
                ATTENTION.past, ATTENTION.keep = {}, True
                self._base(list(ids), list(range(len(ids))))
                self._past, self._preamble = ATTENTION.past, ids
        ATTENTION.past, ATTENTION.keep = self._past, False

    def _forward(self, pack: Pack) -> torch.Tensor:
        """Last hidden states of all nodes, shape (nodes, hidden size)."""
        ids: list[int] = []
        positions: list[int] = []
        blocks: list[_Block] = []
        past = len(pack.preamble)
        for tree in pack.trees:
            blocks += self._blocks(tree, len(ids), past)
            ids += tree.ids
            positions += [past + depth for depth in tree.depths()]
        ATTENTION.blocks = blocks
        return self._base(ids, positions)

    def _base(self, ids: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        found = self._model.base_model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            use_cache=False,
        )
        hidden: torch.Tensor = found.last_hidden_state[0]
        return hidden

    def _blocks(self, tree: Tree, start: int, past: int) -> Iterator[_Block]:
        """One dense block; a long trunk without a preamble is causal and goes first."""
        size, trunk = len(tree.ids), tree.trunk
        first = 0
        if not past and trunk > DENSE:
            yield _Block(start, start + trunk, start, None)
            first = trunk
        if first < size:
            yield _Block(start + first, start + size, start, self._mask(tree, first, past))

    def _mask(self, tree: Tree, first: int, past: int) -> torch.Tensor:
        """0 where a node from ``first`` on sees a key, else minus infinity."""
        size, trunk = len(tree.ids), tree.trunk
        seen = torch.zeros(size, size, dtype=torch.bool)
        seen[:, :trunk] = True
        seen[:trunk, :trunk] = torch.ones(trunk, trunk, dtype=torch.bool).tril()
        start = trunk
        while start < size:
            stop = start + 1
            while stop < size and tree.parents[stop] == stop - 1:
                stop += 1
            if (parent := tree.parents[start]) >= trunk:
                seen[start:stop] = seen[parent]
            seen[start:stop, start:stop] = torch.ones(stop - start, stop - start).tril().bool()
            start = stop
        added = torch.zeros(size - first, past + size, dtype=self._model.dtype)
        added[:, past:].masked_fill_(~seen[first:], -math.inf)
        config = self._model.config.get_text_config(decoder=True)
        shared = config.num_attention_heads // (
            getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        )
        return added.repeat(shared, 1).to(self._device)

    def _read_goals(self, pack: Pack, hidden: torch.Tensor) -> list[TokenScore]:
        rows: list[int] = []
        tokens: list[int] = []
        counts: list[int] = []
        start = 0
        for tree in pack.trees:
            for goals in tree.goals:
                rows += [start + row for row in goals.rows]
                tokens += goals.tokens
                counts.append(len(goals.tokens))
            start += len(tree.ids)
        logprobs, greedy = self._at(hidden, torch.tensor(rows), torch.tensor(tokens))
        scores: list[TokenScore] = []
        at = 0
        for count in counts:
            part = logprobs[at : at + count]
            scores.append(TokenScore.of(part, greedy[at : at + count]))
            at += count
        return scores

    def _at(
        self, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[list[float], list[bool]]:
        """log p of each token at its row (float32 log-softmax), and whether none is likelier."""
        distinct, place = torch.unique(rows, return_inverse=True)
        order = torch.argsort(place, stable=True)
        owners, wanted = place[order], tokens[order]
        logprobs = torch.empty(len(rows))
        greedy = torch.empty(len(rows), dtype=torch.bool)
        head = self._model.get_output_embeddings()
        for start in range(0, len(distinct), HEAD_ROWS):
            part = distinct[start : start + HEAD_ROWS].to(self._device)
            logits = head(hidden[part]).float()
            inside = (owners >= start) & (owners < start + HEAD_ROWS)
            at = (owners[inside] - start).to(self._device)
            goal = logits[at, wanted[inside].to(self._device)]
            top = logits.amax(-1)
            norm = logits.sub_(top[:, None]).exp_().sum(-1).log_().add_(top)
            logprobs[order[inside]] = (goal - norm[at]).cpu()
            greedy[order[inside]] = (goal == top[at]).cpu()
        return logprobs.tolist(), greedy.tolist()
