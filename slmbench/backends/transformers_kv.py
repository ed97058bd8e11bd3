"""Quantized keys and values in transformers, where a package for it is installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from slmbench.backends.protocol import BackendError
from slmbench.records import Status

QUANTIZED = "keys and values are quantized once their pass is over"
"""Why such a cache is neither shared nor batched."""
_PACKAGES = {"quanto": "optimum.quanto", "hqq": "hqq"}
"""Backend of ``QuantizedCache`` and the module that it needs."""
_BITS = {"quanto": (2, 4), "hqq": (1, 2, 3, 4, 8)}


def quantized_cache(config: Any, bits: int) -> Callable[[], Any]:
    """Makes empty caches that keep keys and values in ``bits`` bits.

    transformers keeps the last 128 tokens as they are, and tokens of one pass see each other
    unquantized (Liu et al. 2024, KIVI, arXiv 2402.02750, is what it follows). Raises BackendError
    (unsupported) where no installed package can do it.
    """
    installed = [name for name, module in _PACKAGES.items() if _is_installed(module)]
    if not installed:
        raise BackendError(
            Status.UNSUPPORTED,
            "kv_type quantized needs a package that is not installed",
            "pip install optimum-quanto (or hqq), or leave kv_type out",
        )
    name = next((name for name in installed if bits in _BITS[name]), None)
    if name is None:
        raise BackendError(
            Status.UNSUPPORTED,
            f"{' and '.join(installed)} cannot keep keys and values in {bits} bits",
            f"set kv_bits to one of {', '.join(map(str, _BITS[installed[0]]))}",
        )
    from transformers.cache_utils import QuantizedCache

    axis = {"axis_key": 1, "axis_value": 1} if name == "hqq" else {}
    return lambda: QuantizedCache(name, config, nbits=bits, **axis)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing too
        return False
