"""Packed scoring for transformers: many prefix trees in one row, each attending to itself.

All tokens of a pack go through the model's linear layers as one matrix without padding; only
attention keeps trees apart (``transformers_attention.py``). Logits are computed at scored positions
only. What a tree yields does not depend on its neighbours in the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from slmbench.backends.transformers_attention import ATTENTION, NAME, Layout
from slmbench.backends.transformers_kernels import FastKernels
from slmbench.backends.units import TokenScore
from slmbench.prefix_tree import Ids, Pack

HEAD_ROWS = 256
"""Positions whose logits are held at a time."""
SOFTMAX_ROWS = 16
"""Of these, how many are held in float32 at a time: they stay in the processor's cache."""


@contextmanager
def nudged(model: Any, size: float) -> Iterator[None]:
    """The model with seeded normal noise of relative ``size`` on its input embeddings."""
    draws = torch.Generator().manual_seed(0)

    def disturb(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(output.shape, generator=draws).to(output.device)
        return (output.float() * (1 + size * noise)).to(output.dtype)

    hook = model.get_input_embeddings().register_forward_hook(disturb)
    try:
        yield
    finally:
        hook.remove()


class PackedScorer:
    """Scores packs with one model."""

    def __init__(
        self, model: Any, device: torch.device, *, attention: str, kernels: FastKernels | None
    ) -> None:
        self._model, self._device, self._attention = model, device, attention
        self._kernels = kernels
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
            ATTENTION.layout, ATTENTION.past, ATTENTION.keep = None, {}, False
            self._model.set_attn_implementation(self._attention)

    def _read_preamble(self, ids: Ids) -> None:
        """Make the preamble's keys and values the ones that are held."""
        if ids != self._preamble:
            self._past, self._preamble = {}, ()
            if ids:
                ATTENTION.layout = Layout.sequence(len(ids), self._model)
                ATTENTION.past, ATTENTION.keep = {}, True
                self._base(list(ids), list(range(len(ids))))
                self._past, self._preamble = ATTENTION.past, ids
        ATTENTION.past, ATTENTION.keep = self._past, False

    def _forward(self, pack: Pack) -> torch.Tensor:
        """Last hidden states of all nodes, shape (nodes, hidden size)."""
        ids: list[int] = []
        positions: list[int] = []
        past = len(pack.preamble)
        for tree in pack.trees:
            ids += tree.ids
            positions += [past + depth for depth in tree.depths()]
        ATTENTION.layout = Layout.of(pack, self._model)
        return self._base(ids, positions)

    def _base(self, ids: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        found = self._model.base_model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            use_cache=False,
        )
        hidden: torch.Tensor = found.last_hidden_state[0]
        return hidden

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
            logits = head(hidden[part])
            inside = (owners >= start) & (owners < start + HEAD_ROWS)
            at = (owners[inside] - start).to(self._device)
            goal = logits[at, wanted[inside].to(self._device)].float()
            top, norm = _peaks(logits)
            logprobs[order[inside]] = (goal - norm[at]).cpu()
            greedy[order[inside]] = (goal == top[at]).cpu()
        return logprobs.tolist(), greedy.tolist()


def _peaks(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest logit and log-sum-exp of each row, float32; a few rows at a time."""
    tops: list[torch.Tensor] = []
    norms: list[torch.Tensor] = []
    held = logits.new_empty(min(SOFTMAX_ROWS, len(logits)), logits.shape[-1], dtype=torch.float32)
    for part in logits.split(SOFTMAX_ROWS):
        wide = held[: len(part)].copy_(part)
        tops.append(wide.amax(-1))
        norms.append(wide.sub_(tops[-1][:, None]).exp_().sum(-1).log_().add_(tops[-1]))
    return torch.cat(tops), torch.cat(norms)
