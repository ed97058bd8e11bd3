"""Element-wise parts of a model in fewer passes over memory, each only where it gives the same.

Between the matrix products of a small model, RMSNorm and rotary embeddings read and write the
hidden states a dozen times. These stand-ins are tried on random input against what they replace;
where they differ, the model's own stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

Rotate = Callable[..., tuple[torch.Tensor, torch.Tensor]]

ROTARY = "apply_rotary_pos_emb"
"""Name of the function in transformers' model files."""
_PROBE = (1, 2, 5, 16)
"""Shape of random queries: batch, heads, tokens, size."""


def rms_norm(norm: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """RMSNorm (arXiv 1910.07467) in few passes, or None where the module does something else."""
    weight, epsilon = getattr(norm, "weight", None), getattr(norm, "variance_epsilon", None)
    if not isinstance(weight, torch.Tensor) or not isinstance(epsilon, float):
        return None
    scale, width = weight.detach().float(), weight.shape[-1]

    def forward(rows: torch.Tensor) -> torch.Tensor:
        wide = rows.float()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        factor = squares.div_(width).add_(epsilon).rsqrt_()
        return (wide * factor).mul_(scale).to(rows.dtype)

    rows = _random(3, *weight.shape, dtype=weight.dtype)
    return forward if _close(norm(rows), forward(rows)) else None


def rotary_modules(model: torch.nn.Module) -> list[tuple[ModuleType, Rotate]]:
    """Model files whose rotary function has a stand-in, with it."""
    names = sorted({type(module).__module__ for module in model.modules()})
    found: list[tuple[ModuleType, Rotate]] = []
    for name in names:
        home = sys.modules.get(name)
        original = getattr(home, ROTARY, None)
        if home is not None and original is not None:
            stand_in = _rotate(original)
            if _rotates_alike(original, stand_in):
                found.append((home, stand_in))
    return found


def _rotate(original: Rotate) -> Rotate:
    """Rotary embedding (arXiv 2104.09864) of halves: x * cos + rotate_half(x) * sin."""

    def rotate(
        query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if more or cos.shape[-1] != query.shape[-1] or query.dim() != cos.dim() + 1:
            return original(query, key, cos, sin, *more)
        return _turned(query, cos, sin), _turned(key, cos, sin)

    return rotate


def _turned(rows: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Shapes (batch, heads, tokens, size) and (batch, tokens, size)."""
    half = rows.shape[-1] // 2
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    turned = rows * cos
    turned[..., :half].addcmul_(rows[..., half:], sin[..., :half], value=-1)
    turned[..., half:].addcmul_(rows[..., :half], sin[..., half:])
    return turned


def _rotates_alike(original: Rotate, stand_in: Rotate) -> bool:
    query, key = _random(*_PROBE), _random(*_PROBE)
    cos, sin = (_random(_PROBE[0], *_PROBE[2:]) for _ in "ab")
    try:
        expected, found = original(query, key, cos, sin), stand_in(query, key, cos, sin)
    except (TypeError, ValueError, RuntimeError):  # another signature or another layout
        return False
    return all(_close(a, b) for a, b in zip(expected, found, strict=True))


def _random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=numbers).to(dtype)


def _close(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal within the rounding of their type."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    steps = 8 * torch.finfo(left.dtype).eps
    return bool(torch.allclose(left.float(), right.float(), rtol=steps, atol=steps))
