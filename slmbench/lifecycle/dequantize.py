"""GGUF to a Hugging Face folder of float32 safetensors, for the Llama family.

The weights are read from the file's blocks and written one by one, so memory stays at about
one tensor. They keep the rounding of the GGUF: this is not the checkpoint it was made from.

Two things differ between the two formats. llama.cpp rotates neighbouring pairs of a head's
dimensions (2i, 2i+1), transformers the halves (i, i + d/2): the rows of the query and key
projections are put back in the second order. And a GGUF without ``output.weight`` uses the
embedding as output head: ``tie_word_embeddings``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.gguf_header import Header, Tensor, Value, read_header
from slmbench.lifecycle.gguf_tokenizer import check_tokenizer, write_tokenizer
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import DequantizeFacts, TypeCount
from slmbench.spec.recipe import Dequantize

Floats = npt.NDArray[np.float32]

_GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a Llama, as the GGUF gives them."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    rope_base: float
    norm_eps: float
    vocabulary: int
    tied: bool


def make(recipe: Dequantize, bench: Workbench) -> Product:
    """Write ``hf/`` with weights, config, tokenizer and chat template."""
    header = read_header(bench.parent)
    shape = shape_of(bench.parent, header)
    out = bench.out / "hf"
    out.mkdir()
    bench.report(f"writing {len(header.tensors)} tensors as {recipe.dtype}")
    write_weights(bench.parent, header, shape, out / "model.safetensors")
    _write_config(shape, header, out)
    write_tokenizer(header, out)
    facts = DequantizeFacts(
        from_types=tuple(TypeCount(type=name, tensors=n) for name, n in header.types),
        tensors=len(header.tensors),
        parameters=sum(t.weights for t in header.tensors),
        tied_head=shape.tied,
        tokenizer_check=check_tokenizer(bench.parent, out),
    )
    return Product(out, facts, ("gguf", "numpy", "transformers", "tokenizers"))


def shape_of(path: Path, header: Header) -> Shape:
    """Read the numbers; ArtefactError for another architecture or a missing number."""
    architecture = header.metadata.get("general.architecture")
    if architecture != "llama":
        raise UnsupportedModelError(
            f"{path}: dequantize knows the architecture llama, this is {architecture}",
            hint="load the model's own Hugging Face folder as a source instead",
        )
    names = {t.name for t in header.tensors}
    scaling = header.metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in names:
        raise UnsupportedModelError(f"{path}: dequantize does not know scaled rotary embeddings")
    number = _Numbers(path, header)
    heads, hidden = int(number("attention.head_count")), int(number("embedding_length"))
    embedding = next(t for t in header.tensors if t.name == "token_embd.weight")
    return Shape(
        layers=int(number("block_count")),
        hidden=hidden,
        inner=int(number("feed_forward_length")),
        heads=heads,
        kv_heads=int(number("attention.head_count_kv", heads)),
        head_dim=int(number("attention.key_length", hidden // heads)),
        context=int(number("context_length")),
        rope_base=number("rope.freq_base", 10000.0),
        norm_eps=number("attention.layer_norm_rms_epsilon"),
        vocabulary=embedding.shape[1],
        tied="output.weight" not in names,
    )


@dataclass(frozen=True, slots=True)
class _Numbers:
    path: Path
    header: Header

    def __call__(self, key: str, default: float | None = None) -> float:
        value = self.header.metadata.get(f"llama.{key}", default)
        if not isinstance(value, int | float):
            raise ArtefactError(f"{self.path}: no number for llama.{key} in its metadata")
        return value


def expected_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Every tensor of a Llama of that shape by its Hugging Face name, rows first."""
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    wanted: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (shape.vocabulary, shape.hidden),
        "model.norm.weight": (shape.hidden,),
    }
    if not shape.tied:
        wanted["lm_head.weight"] = (shape.vocabulary, shape.hidden)
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (shape.hidden,),
        "post_attention_layernorm": (shape.hidden,),
        "self_attn.q_proj": (q, shape.hidden),
        "self_attn.k_proj": (kv, shape.hidden),
        "self_attn.v_proj": (kv, shape.hidden),
        "self_attn.o_proj": (shape.hidden, q),
        "mlp.gate_proj": (shape.inner, shape.hidden),
        "mlp.up_proj": (shape.inner, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.inner),
    }
    for i in range(shape.layers):
        wanted |= {f"model.layers.{i}.{name}.weight": dims for name, dims in layer.items()}
    return wanted


def hf_name(name: str) -> str | None:
    """The Hugging Face name of a GGUF tensor; None for one that a Llama does not have.

    >>> hf_name("blk.3.attn_q.weight")
    'model.layers.3.self_attn.q_proj.weight'
    """
    if name in _GLOBAL:
        return _GLOBAL[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[1].isdigit() and parts[3] == "weight":
        inner = _LAYER.get(parts[2])
        return f"model.layers.{parts[1]}.{inner}.weight" if inner else None
    return None


def write_weights(path: Path, header: Header, shape: Shape, out: Path) -> None:
    """Write all tensors to one safetensors file; ArtefactError for one too many, few or broken."""
    named = {hf_name(t.name) or t.name: t for t in header.tensors}
    wanted = expected_shapes(shape)
    found = {name: tuple(reversed(t.shape)) for name, t in named.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            have, want = found.get(name, "nothing"), wanted.get(name, "nothing")
            raise ArtefactError(f"{path}: tensor {name} is {have} where a Llama has {want}")
    data = np.memmap(path, np.uint8, "r")
    reorder = {"self_attn.q_proj": shape.heads, "self_attn.k_proj": shape.kv_heads}

    def read(name: str) -> Floats:
        weights = _read(data, named[name], path)
        heads = reorder.get(".".join(name.split(".")[3:5]))
        return unpermute(weights, heads) if heads else weights

    _write_safetensors(wanted, read, out)


def unpermute(weights: Floats, heads: int) -> Floats:
    """Rows of each head from llama.cpp's order (pairs) to transformers' (halves).

    ``weights``: [heads × head_dim, columns].
    """
    pairs = weights.reshape(heads, -1, 2, weights.shape[1])
    return pairs.swapaxes(1, 2).reshape(weights.shape)


def _read(data: npt.NDArray[np.uint8], tensor: Tensor, path: Path) -> Floats:
    if tensor.bytes is None:
        raise ArtefactError(f"{path}: tensor {tensor.name} has the unknown {tensor.type_name}")
    rows = math.prod(tensor.shape[1:])
    raw = np.asarray(data[tensor.start : tensor.start + tensor.bytes]).reshape(rows, -1)
    kind = gguf.GGMLQuantizationType(tensor.type_number)
    floats: Floats = gguf.quants.dequantize(_typed(raw, tensor.type_name), kind)
    if not np.isfinite(floats).all():
        bad = int(floats.size - np.isfinite(floats).sum())
        raise ArtefactError(f"{path}: tensor {tensor.name} has {bad} weights that are NaN or Inf")
    return np.ascontiguousarray(floats, dtype="<f4").reshape(tuple(reversed(tensor.shape)))


def _typed(raw: npt.NDArray[np.uint8], type_name: str) -> npt.NDArray[Any]:
    """Plain types are viewed as such; blocks stay bytes."""
    plain = {"F32": np.float32, "F16": np.float16}.get(type_name)
    return raw.view(plain) if plain else raw


def _write_safetensors(
    shapes: dict[str, tuple[int, ...]], read: Callable[[str], Floats], out: Path
) -> None:
    """One tensor at a time: length of the header, the header, the data in its order."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dims in shapes.items():
        start, end = end, end + 4 * math.prod(dims)
        header[name] = {"dtype": "F32", "shape": list(dims), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with out.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in shapes:
            file.write(read(name).data)


def _write_config(shape: Shape, header: Header, out: Path) -> None:
    from transformers import GenerationConfig, LlamaConfig

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context,
        rms_norm_eps=shape.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_base},
        tie_word_embeddings=shape.tied,
        bos_token_id=_token(header, "bos"),
        eos_token_id=_token(header, "eos"),
        pad_token_id=_token(header, "padding"),
        architectures=["LlamaForCausalLM"],
        dtype="float32",
    )
    config.save_pretrained(out)
    GenerationConfig.from_model_config(config).save_pretrained(out)


def _token(header: Header, name: str) -> Value | None:
    return header.metadata.get(f"tokenizer.ggml.{name}_token_id")
