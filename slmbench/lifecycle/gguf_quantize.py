"""GGUF to GGUF of another type, by llama.cpp in this process.

From a parent that is itself quantized the result is *re*quantized: it carries both roundings,
and "more bits" brings nothing back. The record says so.
"""

from __future__ import annotations

import ctypes

from llama_cpp import llama_cpp as native

from slmbench.errors import ArtefactError
from slmbench.lifecycle.gguf_header import Header, read_header
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import GgufQuantizeFacts, TypeCount
from slmbench.spec.recipe import GgufQuantize

_FILE_TYPES = {
    "F32": native.LLAMA_FTYPE_ALL_F32,
    "F16": native.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": native.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": native.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": native.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": native.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_0": native.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q3_K_M": native.LLAMA_FTYPE_MOSTLY_Q3_K_M,
    "Q2_K": native.LLAMA_FTYPE_MOSTLY_Q2_K,
}
_PLAIN = ("F32", "F16", "BF16")


def make(recipe: GgufQuantize, bench: Workbench) -> Product:
    """Write ``model.gguf``."""
    before = read_header(bench.parent)
    out = bench.out / "model.gguf"
    verb = "quantizing" if before.main_type in _PLAIN else "requantizing"
    bench.report(f"{verb} {len(before.tensors)} tensors to {recipe.type}")
    native.llama_backend_init()
    params = native.llama_model_quantize_default_params()
    params.nthread = bench.threads
    params.ftype = _FILE_TYPES[recipe.type]
    params.allow_requantize = True
    code = native.llama_model_quantize(
        str(bench.parent).encode(), str(out).encode(), ctypes.byref(params)
    )
    if code != 0:
        raise ArtefactError(
            f"llama.cpp could not quantize {bench.parent} to {recipe.type} (code {code})",
            hint="is the parent a whole GGUF, and is there room on the disk?",
        )
    after = read_header(out)
    facts = GgufQuantizeFacts(
        note=f"{'' if before.main_type in _PLAIN else 're'}quantized from {before.main_type}",
        from_types=_counts(before),
        to_types=_counts(after),
        bits_per_weight=after.bits_per_weight,
    )
    return Product(out, facts, ("llama_cpp_python",))


def _counts(header: Header) -> tuple[TypeCount, ...]:
    return tuple(TypeCount(type=name, tensors=n) for name, n in header.types)
