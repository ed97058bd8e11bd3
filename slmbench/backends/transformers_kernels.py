"""Linear layers with weights laid out once for the processor's matrix kernels (oneDNN).

PyTorch multiplies float32 matrices through MKL, which uses only half of the vector width of
processors that are not Intel's, and lays 16-bit weights out anew at every call. The same product
through oneDNN with weights laid out beforehand is up to 2.4 times as fast (measured in
``benchmarks/scoring_speed.py``), in the same precision. TorchInductor uses the same operators.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch

_LAY_OUT, _MULTIPLY = "_reorder_linear_weight", "_linear_pointwise"
"""Operators of ``torch.ops.mkldnn``, which TorchInductor's generated code calls too."""
_DTYPES = (torch.float32, torch.bfloat16)
_ROWS = 1024
"""Rows of the input that the layout is chosen for."""


def available() -> bool:
    """Whether this build of PyTorch has the operators."""
    return bool(torch.backends.mkldnn.is_available()) and all(
        hasattr(torch.ops.mkldnn, name) for name in (_LAY_OUT, _MULTIPLY)
    )


def laid_out(layer: torch.nn.Linear) -> Product:
    """The layer's product with a laid-out copy of its weight."""
    return Product(layer)


class FastLinears:
    """A context in which the plain linear layers of a model use the laid-out weights.

    The copies cost as much memory as the layers; they are made on first use. Layers with
    quantized weights, hooks of their own or other types stay as they are.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layers: list[tuple[torch.nn.Linear, Product]] | None = None

    def __enter__(self) -> None:
        if self._layers is None:
            plain = [m for m in self._model.modules() if _is_plain(m)]
            self._layers = [(layer, laid_out(layer)) for layer in plain]
        for layer, product in self._layers:
            layer.forward = product

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for layer, _ in self._layers or ():
            del layer.forward


class Product:
    """x @ weight.T + bias with the weight laid out."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        weight = layer.weight.detach()
        self._weight = getattr(torch.ops.mkldnn, _LAY_OUT)(weight, _ROWS)
        self._bias = None if layer.bias is None else layer.bias.detach()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = getattr(torch.ops.mkldnn, _MULTIPLY)(
            rows, self._weight, self._bias, "none", [], ""
        )
        return product


def _is_plain(module: torch.nn.Module) -> bool:
    if type(module) is not torch.nn.Linear or type(module.weight) is not torch.nn.Parameter:
        return False
    weight = module.weight
    plain = type(weight.data) is torch.Tensor and weight.device.type == "cpu"
    return plain and weight.dtype in _DTYPES
