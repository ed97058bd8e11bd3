"""Floating-point operations of scoring: what an engine spends, and what must be spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Peaks:
    """Measured matrix products [GFLOP/s], 2048 x 2048 x 2048."""

    plain: float
    packed: float

    @property
    def best(self) -> float:
        """The faster one."""
        return max(self.plain, self.packed)


def gemm_peaks(dtype: str) -> Peaks:
    """Best of five products, through torch.mm and with weights laid out for oneDNN."""
    import torch

    from slmbench.backends.transformers_kernels import Product, available

    size = 2048
    left, right = (torch.randn(size, size, dtype=getattr(torch, dtype)) for _ in "ab")
    layer = torch.nn.Linear(size, size, bias=False, dtype=left.dtype)
    with torch.inference_mode():
        plain = _best(lambda: left @ right)
        packed = _best(Product(layer), left) if available() else plain
    work = 2 * size**3 / 1e9
    return Peaks(work / plain, work / packed)


def _best(product: Any, *given: Any) -> float:
    product(*given)
    taken = []
    for _ in range(5):
        begin = time.perf_counter_ns()
        product(*given)
        taken.append((time.perf_counter_ns() - begin) * 1e-9)
    return min(taken)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a decoder of the Llama family costs."""

    body: int
    """Multiply-adds of one token in all linear layers but the head."""
    head: int
    """Multiply-adds of the output head at one position."""
    attention: int
    """Multiply-adds of one query with one key, all layers (scores and weighted sum)."""

    @classmethod
    def of(cls, model: Any) -> Shape:
        """Counted from the loaded model."""
        import torch

        head = model.get_output_embeddings().weight.numel()
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
        config = model.config
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        per_key = 2 * config.num_hidden_layers * config.num_attention_heads * width
        return cls(sum(m.weight.numel() for m in linear) - head, head, per_key)

    def cost(self, tokens: int, heads: int, keys: int) -> float:
        """Operations, two per multiply-add."""
        return 2.0 * (self.body * tokens + self.head * heads + self.attention * keys)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operations of both engines on the same requests."""

    spent: float
    """By lm-eval: padding, repeated contexts and the head at every position included."""
    needed: float
    """Every shared token once, causal attention, the head at scored positions."""

    @property
    def limit(self) -> float:
        """Speed-up at equal operations per second."""
        return self.spent / self.needed

    @classmethod
    def of(cls, ours: Any, theirs: Any, requests: Sequence[Any], batch: int) -> Arithmetic:
        """Counts lm-eval's calls of the model, and the nodes of the prefix trees."""
        shape = Shape.of(theirs.model)
        tokens = keys = 0

        def count(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            nonlocal tokens, keys
            rows, width = (given[0] if given else named["input_ids"]).shape
            tokens += rows * width
            keys += rows * width * (width + 1) // 2

        from lm_eval.api.instance import Instance

        hook = theirs.model.register_forward_pre_hook(count, with_kwargs=True)
        asked = [Instance("loglikelihood", {}, (r.context, r.continuation), 0) for r in requests]
        theirs.batch_size_per_gpu = batch
        theirs.loglikelihood(asked, disable_tqdm=True)
        hook.remove()
        return cls(shape.cost(tokens, tokens, keys), shape.cost(*_needed(ours, requests)))


def _needed(backend: Any, requests: Sequence[Any]) -> tuple[int, int, int]:
    """Distinct tokens, scored positions and query-key pairs of the requests' prefix trees."""
    from slmbench.prefix_tree import plan

    pairs = [backend._encode_pair(request)[0] for request in requests]  # noqa: SLF001
    tokens = heads = keys = 0
    preamble: tuple[int, ...] = ()
    for pack in plan(pairs, budget=1 << 30):
        if pack.preamble != preamble:
            preamble = pack.preamble
            tokens += len(preamble)
            keys += len(preamble) * (len(preamble) + 1) // 2
        for tree in pack.trees:
            depths = tree.depths()
            tokens += len(depths)
            keys += sum(len(preamble) + depth + 1 for depth in depths)
            heads += len({row for goals in tree.goals for row in goals.rows})
    return tokens, heads, keys
