"""Matrix products with weights laid out once for the processor's kernels (oneDNN).

PyTorch multiplies float32 matrices through MKL, which uses half of the vector width of
processors that are not Intel's, and lays 16-bit weights out anew at every call. The same product
through oneDNN with weights laid out beforehand is up to 2.4 times as fast (the GEMM peaks that
``benchmarks/scoring_speed.py`` prints), in the same precision. TorchInductor uses these operators.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

import torch

from slmbench.backends.transformers_fused import ROTARY, Rotate, rms_norm, rotary_modules

_LAY_OUT, _MULTIPLY = "_reorder_linear_weight", "_linear_pointwise"
"""Operators of ``torch.ops.mkldnn``, which TorchInductor's generated code calls too."""
_DTYPES = (torch.float32, torch.bfloat16)
_ROWS = 1024
"""Rows of the input that the layout is chosen for."""

Forward = Callable[[torch.Tensor], torch.Tensor]


def available() -> bool:
    """Whether this build of PyTorch has the operators."""
    return bool(torch.backends.mkldnn.is_available()) and all(
        hasattr(torch.ops.mkldnn, name) for name in (_LAY_OUT, _MULTIPLY)
    )


class Product:
    """x @ weight.T + bias with a laid-out copy of a layer's weight."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        weight = layer.weight.detach()
        self._weight = getattr(torch.ops.mkldnn, _LAY_OUT)(weight, _ROWS)
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._multiply = getattr(torch.ops.mkldnn, _MULTIPLY)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """The plain product."""
        return self._with(rows, "none")

    def silu(self, rows: torch.Tensor) -> torch.Tensor:
        """silu of the product, before it is rounded."""
        return self._with(rows, "swish")

    def times(self, rows: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The product times ``other``, element by element."""
        found: torch.Tensor = self._multiply.binary(rows, other, self._weight, self._bias, "mul")
        return found

    def _with(self, rows: torch.Tensor, after: str) -> torch.Tensor:
        found: torch.Tensor = self._multiply(rows, self._weight, self._bias, after, [], "")
        return found


class FastKernels:
    """A context in which a model's plain linear layers use laid-out weights.

    Gated feed-forward blocks (SwiGLU) apply their activation inside the product; norms and rotary
    embeddings take fewer passes. The copies cost as much memory as the layers; they are made on
    first use. Layers with quantized weights or of other types stay as they are.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._forwards: list[tuple[torch.nn.Module, Forward]] | None = None
        self._rotary: list[tuple[ModuleType, Rotate]] = []
        self._originals: list[Rotate] = []

    def __enter__(self) -> None:
        if self._forwards is None:
            self._forwards = list(_forwards(self._model).items())
            self._rotary = rotary_modules(self._model)
        for module, forward in self._forwards:
            module.forward = forward
        self._originals = [getattr(home, ROTARY) for home, _ in self._rotary]
        for home, rotate in self._rotary:
            setattr(home, ROTARY, rotate)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for module, _ in self._forwards or ():
            del module.forward
        for (home, _), original in zip(self._rotary, self._originals, strict=True):
            setattr(home, ROTARY, original)


def _forwards(model: Any) -> dict[torch.nn.Module, Forward]:
    products = {m: Product(m) for m in model.modules() if _is_plain(m)}
    found: dict[torch.nn.Module, Forward] = dict(products)
    for module in model.modules():
        layers = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
        known = [products[layer] for layer in layers if layer in products]
        if len(known) == len(layers) and _is_silu(getattr(module, "act_fn", None)):
            found[module] = _gated(*known)
        elif type(module).__name__.endswith("RMSNorm") and (norm := rms_norm(module)):
            found[module] = norm
    return found


def _gated(gate: Product, up: Product, down: Product) -> Forward:
    """down(silu(gate(x)) * up(x)): Shazeer 2020, arXiv 2002.05202."""

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return down(up.times(rows, gate.silu(rows)))

    return forward


def _is_silu(activation: object) -> bool:
    return type(activation).__name__ in ("SiLU", "SiLUActivation")


def _is_plain(module: torch.nn.Module) -> bool:
    if type(module) is not torch.nn.Linear or type(module.weight) is not torch.nn.Parameter:
        return False
    weight = module.weight
    plain = type(weight.data) is torch.Tensor and weight.device.type == "cpu"
    return plain and weight.dtype in _DTYPES
