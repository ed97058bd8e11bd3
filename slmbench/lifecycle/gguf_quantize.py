"""GGUF to GGUF of another type, by llama.cpp in this process.

From a parent that is itself quantized the result is *re*quantized: it carries both roundings,
and "more bits" brings nothing back. The record says so. Rows that fill no block of a type (256
weights for K- and most I-quants) get a type with more bits: the record counts what each tensor got.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from llama_cpp import llama_cpp as native

from slmbench.errors import ArtefactError
from slmbench.lifecycle.gguf_header import Header, read_header
from slmbench.lifecycle.importance import Importance, importance_of
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import GgufQuantizeFacts, TypeCount
from slmbench.spec.recipe import GgufQuantize

_FILE_TYPES = {
    "F32": native.LLAMA_FTYPE_ALL_F32,
    "F16": native.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": native.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": native.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": native.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q5_0": native.LLAMA_FTYPE_MOSTLY_Q5_0,
    "Q4_K_M": native.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_1": native.LLAMA_FTYPE_MOSTLY_Q4_1,
    "Q4_0": native.LLAMA_FTYPE_MOSTLY_Q4_0,
    "IQ4_NL": native.LLAMA_FTYPE_MOSTLY_IQ4_NL,
    "IQ4_XS": native.LLAMA_FTYPE_MOSTLY_IQ4_XS,
    "Q3_K_M": native.LLAMA_FTYPE_MOSTLY_Q3_K_M,
    "IQ3_XXS": native.LLAMA_FTYPE_MOSTLY_IQ3_XXS,
    "Q2_K": native.LLAMA_FTYPE_MOSTLY_Q2_K,
    "IQ2_XXS": native.LLAMA_FTYPE_MOSTLY_IQ2_XXS,
    "Q2_0": native.LLAMA_FTYPE_MOSTLY_Q2_0,
}
_PLAIN = ("F32", "F16", "BF16")


def make(recipe: GgufQuantize, bench: Workbench) -> Product:
    """Write ``model.gguf``."""
    before = read_header(bench.parent)
    importance = None
    if recipe.importance is not None:
        bench.report(f"importance matrix on {recipe.importance.texts} texts")
        importance = importance_of(bench.parent, recipe.importance, bench.threads)
    out = bench.out / "model.gguf"
    verb = "quantizing" if before.main_type in _PLAIN else "requantizing"
    bench.report(f"{verb} {len(before.tensors)} tensors to {recipe.type}")
    _quantize(recipe, bench, out, importance)
    after = read_header(out)
    facts = GgufQuantizeFacts(
        note=f"{'' if before.main_type in _PLAIN else 're'}quantized from {before.main_type}",
        from_types=_counts(before),
        to_types=_counts(after),
        bits_per_weight=after.bits_per_weight,
        weighted_matrices=0 if importance is None else _weighted(importance, after),
        calibration=None if importance is None else importance.text,
    )
    return Product(out, facts, ("llama_cpp_python",))


def _quantize(
    recipe: GgufQuantize, bench: Workbench, out: Path, importance: Importance | None
) -> None:
    native.llama_backend_init()
    params = native.llama_model_quantize_default_params()
    params.nthread = bench.threads
    params.ftype = _FILE_TYPES[recipe.type]
    params.allow_requantize = True
    entries = None if importance is None else importance.as_argument()
    if entries is not None:
        params.imatrix = entries
    code = native.llama_model_quantize(
        str(bench.parent).encode(), str(out).encode(), ctypes.byref(params)
    )
    if code != 0:
        raise ArtefactError(
            f"llama.cpp could not quantize {bench.parent} to {recipe.type} (code {code})",
            hint="is the parent a whole GGUF, and is there room on the disk?",
        )


def _weighted(importance: Importance, after: Header) -> int:
    """Matrices that the importance matrix has a column for every column of, and that changed."""
    found = ((importance.columns.get(t.name), t) for t in after.tensors)
    return sum(
        values is not None and values.size == t.shape[0] and t.type_name not in _PLAIN
        for values, t in found
    )


def _counts(header: Header) -> tuple[TypeCount, ...]:
    return tuple(TypeCount(type=name, tensors=n) for name, n in header.types)
