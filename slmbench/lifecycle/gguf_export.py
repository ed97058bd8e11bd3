"""A Hugging Face folder to GGUF, for the Llama family, on ``gguf.GGUFWriter``.

The way back from :mod:`slmbench.lifecycle.dequantize`: the rows of the query and key projections
are put in llama.cpp's order (neighbouring pairs of a head's dimensions), the numbers of the
config and the tokenizer become metadata. Vectors (the norms) stay float32, as in llama.cpp's own
files: its kernels want them so.

Nothing is trusted: the finished file is read again with ``gguf.GGUFReader``, and every tensor is
put back in transformers' order and compared with the folder's bit by bit (with its cast, computed
by torch, for the two 16-bit types). A difference is an error, not a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from transformers import AutoConfig

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.dequantize import Shape, expected_shapes, hf_name, unpermute
from slmbench.lifecycle.gguf_tokenizer import check_tokenizer
from slmbench.lifecycle.gguf_vocabulary import Vocabulary, check_vocabulary, read_vocabulary
from slmbench.lifecycle.hf_folder import check_folder
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import GgufExportFacts
from slmbench.spec.recipe import GgufExport

Array = npt.NDArray[Any]

_TYPES = {
    "float32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32, torch.float32),
    "float16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16, torch.float16),
    "bfloat16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16, torch.bfloat16),
}
_HINT = "only folders of plain Llama models can be written as GGUF"


@dataclass(frozen=True, slots=True)
class _Tally:
    """What the comparison with the folder found."""

    tensors: int
    parameters: int
    rounded: int
    """Weights that the type cannot hold exactly."""


def make(recipe: GgufExport, bench: Workbench) -> Product:
    """Write ``model.gguf`` and compare it with the folder, tensor by tensor."""
    check_folder(bench.parent)
    shape = shape_of_folder(bench.parent)
    words = read_vocabulary(bench.parent, shape.vocabulary)
    out = bench.out / "model.gguf"
    with ExitStack() as stack:
        folder = _Folder.open(bench.parent, stack)
        folder.check(shape)
        bench.report(f"writing {len(folder.files)} tensors as {recipe.dtype}")
        _write(out, shape, words, folder, recipe.dtype)
        bench.report("reading them back")
        tally = verify_weights(out, folder, shape, recipe.dtype)
    check_metadata(out, shape, words)
    facts = GgufExportFacts(
        dtype=recipe.dtype,
        tensors=tally.tensors,
        parameters=tally.parameters,
        rounded_weights=tally.rounded,
        tied_head=shape.tied,
        pre_tokenizer=words.pre,
        tokenizer_check=check_tokenizer(out, bench.parent),
    )
    return Product(out, facts, ("gguf", "numpy", "torch", "transformers", "tokenizers"))


def shape_of_folder(folder: Path) -> Shape:
    """The numbers of the model, from config.json.

    Raises UnsupportedModelError for another architecture, and for every variation of a Llama
    that the metadata of a GGUF could not carry: scaled or partial rotary embeddings, biases,
    another activation, quantized weights.
    """
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    architectures = tuple(config.architectures or ())
    if config.model_type != "llama" or architectures != ("LlamaForCausalLM",):
        found = ", ".join(architectures) or config.model_type
        raise UnsupportedModelError(
            f"{folder}: gguf_export knows LlamaForCausalLM, this is {found}", hint=_HINT
        )
    rope = dict(getattr(config, "rope_parameters", None) or {})
    odd = {
        "scaled rotary embeddings": rope.get("rope_type", "default") != "default",
        "partial rotary embeddings": rope.get("partial_rotary_factor", 1.0) != 1.0,
        "biases": bool(config.attention_bias or config.mlp_bias),
        f"the activation {config.hidden_act}": config.hidden_act != "silu",
        "quantized weights": getattr(config, "quantization_config", None) is not None,
        "a learnt prompt, which llama.cpp would not put first": bool(
            getattr(config, "slmbench_soft_prompt", 0)
        ),
    }
    if what := [name for name, present in odd.items() if present]:
        raise UnsupportedModelError(
            f"{folder}: gguf_export does not know {', '.join(what)}", hint=_HINT
        )
    heads = int(config.num_attention_heads)
    return Shape(
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        inner=int(config.intermediate_size),
        heads=heads,
        kv_heads=int(config.num_key_value_heads or heads),
        head_dim=int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        context=int(config.max_position_embeddings),
        rope_base=float(rope.get("rope_theta", 10000.0)),
        norm_eps=float(config.rms_norm_eps),
        vocabulary=int(config.vocab_size),
        tied=bool(config.tie_word_embeddings),
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The tensors of a folder of safetensors, in whichever file they lie."""

    path: Path
    files: dict[str, Any]
    """Tensor name -> open file."""

    @classmethod
    def open(cls, path: Path, stack: ExitStack) -> _Folder:
        files: dict[str, Any] = {}
        for part in sorted(path.glob("*.safetensors")):
            opened = stack.enter_context(safe_open(part, framework="pt"))
            files |= dict.fromkeys(opened.keys(), opened)
        return cls(path, files)

    def check(self, shape: Shape) -> None:
        """ArtefactError for a tensor too many or too few, or of another shape.

        A tied head that was stored anyway must equal the embedding.
        """
        wanted = expected_shapes(shape)
        if shape.tied and "lm_head.weight" in self.files:
            embedding = self.tensor("model.embed_tokens.weight")
            if not torch.equal(self.tensor("lm_head.weight"), embedding):
                raise ArtefactError(f"{self.path}: the head is said to be tied, but is not")
            del self.files["lm_head.weight"]
        found = {n: tuple(f.get_slice(n).get_shape()) for n, f in self.files.items()}
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                have, want = found.get(name, "nothing"), wanted.get(name, "nothing")
                raise ArtefactError(
                    f"{self.path}: tensor {name} is {have} where its config says {want}",
                    hint=_HINT,
                )

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor in float32; ArtefactError where it is not finite."""
        found: torch.Tensor = self.files[name].get_tensor(name).float()
        if not bool(torch.isfinite(found).all()):
            raise ArtefactError(f"{self.path}: tensor {name} has weights that are NaN or Inf")
        return found


def permute(weights: Array, heads: int) -> Array:
    """Rows of each head from transformers' order (halves) to llama.cpp's (pairs).

    ``weights``: [heads × head_dim, columns].
    """
    halves = weights.reshape(heads, 2, -1, weights.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))


def _heads_of(name: str, shape: Shape) -> int | None:
    """Heads of a query or key projection; None for tensors whose rows keep their order."""
    part = ".".join(name.split(".")[3:5])
    return {"self_attn.q_proj": shape.heads, "self_attn.k_proj": shape.kv_heads}.get(part)


def _write(out: Path, shape: Shape, words: Vocabulary, folder: _Folder, dtype: str) -> None:
    """The whole file, one tensor in memory at a time."""
    kind, file_type, _ = _TYPES[dtype]
    order = list(expected_shapes(shape).items())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, shape.layers)
    with closing(gguf.GGUFWriter(out, "llama")) as writer:
        _add_numbers(writer, shape)
        writer.add_file_type(file_type)
        words.add_to(writer)
        for name, dims in order:
            ours = names.get_name(name, try_suffixes=(".weight",))
            assert ours is not None
            its = kind if len(dims) > 1 else gguf.GGMLQuantizationType.F32
            size = math.prod(dims) * (4 if its is gguf.GGMLQuantizationType.F32 else 2)
            writer.add_tensor_info(ours, dims, np.dtype(np.float32), size, raw_dtype=its)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, dims in order:
            weights = folder.tensor(name).numpy()
            heads = _heads_of(name, shape)
            if heads is not None:
                weights = permute(weights, heads)
            writer.write_tensor_data(_cast(weights, kind, name) if len(dims) > 1 else weights)


def _add_numbers(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocabulary)


def _cast(weights: Array, kind: gguf.GGMLQuantizationType, name: str) -> Array:
    if kind is gguf.GGMLQuantizationType.F16:
        largest = float(np.abs(weights).max(initial=0.0))
        if largest > float(np.finfo(np.float16).max):
            raise ArtefactError(
                f"tensor {name} holds {largest:.3g}, more than float16 can",
                hint="export it as bfloat16 or float32",
            )
        return weights.astype(np.float16)
    if kind is gguf.GGMLQuantizationType.BF16:
        packed: Array = gguf.quants.quantize(weights, kind)
        return packed
    return weights


def verify_weights(out: Path, folder: _Folder, shape: Shape, dtype: str) -> _Tally:
    """Compare every tensor of the file with the folder's; ArtefactError at the first difference."""
    wanted = set(expected_shapes(shape))
    parameters = rounded = 0
    for name, found in _stored(out, shape):
        if name not in wanted:
            raise ArtefactError(f"{out}: tensor {name} is there twice, or was not asked for")
        wanted.discard(name)
        given = folder.tensor(name)
        cast = given if given.ndim == 1 else given.to(_TYPES[dtype][2]).float()
        if found.shape != given.shape or not torch.equal(found, cast):
            raise ArtefactError(
                f"{out}: tensor {name} is not what the folder holds",
                hint="please report it with the versions of gguf and numpy",
            )
        parameters += given.numel()
        rounded += int((cast != given).sum())
    if wanted:
        raise ArtefactError(f"{out}: tensor {min(wanted)} was not written")
    return _Tally(len(expected_shapes(shape)), parameters, rounded)


def _stored(out: Path, shape: Shape) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of the file by their Hugging Face names, in transformers' order, as float32."""
    for entry in gguf.GGUFReader(out).tensors:
        name = hf_name(entry.name) or entry.name
        floats: Array = gguf.quants.dequantize(entry.data, entry.tensor_type)
        heads = _heads_of(name, shape)
        floats = unpermute(floats, heads) if heads is not None else floats
        yield name, torch.from_numpy(np.array(floats, dtype=np.float32))


def check_metadata(out: Path, shape: Shape, words: Vocabulary) -> None:
    """Compare numbers and tokenizer of the file with what was to be written (ArtefactError)."""
    from slmbench.lifecycle.dequantize import shape_of
    from slmbench.lifecycle.gguf_header import read_header

    header = read_header(out)
    read = shape_of(out, header)
    for field in Shape.__slots__:
        want, have = getattr(shape, field), getattr(read, field)
        exact = not isinstance(want, float)
        if (want != have) if exact else (np.float32(want) != np.float32(have)):
            raise ArtefactError(f"{out}: {field} is {have} where the config says {want}")
    check_vocabulary(out, header, words)
