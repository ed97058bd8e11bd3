"""A random Llama of a few kilobytes, as a Hugging Face folder and as a GGUF; needs torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow as pa
import torch
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HEADS, KV_HEADS, HIDDEN, INNER, LAYERS = 4, 2, 64, 96, 3
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ("1 2", "12 3", "h e", "Ġ t")
TOKENS = (*SPECIAL, *BYTES, *(m.replace(" ", "") for m in MERGES))
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


def tiny_llama(**changes: Any) -> LlamaForCausalLM:
    """Random weights from a fixed seed, in evaluation mode."""
    torch.manual_seed(0)
    numbers = {
        "vocab_size": len(TOKENS),
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        **changes,
    }
    return LlamaForCausalLM(LlamaConfig(**numbers)).eval()


def write_folder(model: LlamaForCausalLM, path: Path) -> Path:
    """The model with a byte-level tokenizer."""
    from tokenizers import Tokenizer, models

    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.save_pretrained(path)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=SPECIAL[2]).save_pretrained(path)
    return path


def write_gguf(
    model: LlamaForCausalLM,
    path: Path,
    *,
    alter: Callable[[dict[str, Any]], None] = lambda _: None,
    **meta: Any,
) -> Path:
    """The model in F32 as llama.cpp wants it; ``alter`` may change the arrays by name.

    ``meta`` overrides ``arch``, ``pre``, ``kind`` and ``scaling``.
    """
    writer = gguf.GGUFWriter(path, meta.get("arch", "llama"))
    config = model.config
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(TOKENS))
    if "scaling" in meta:
        writer.add_rope_scaling_type(gguf.RopeScalingType(meta["scaling"]))
    _add_tokenizer(writer, meta)
    arrays = _arrays(model)
    alter(arrays)
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, meta: dict[str, Any]) -> None:
    kind = meta.get("kind", "gpt2")
    if kind is None:
        return
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(meta.get("pre", "smollm"))
    writer.add_token_list(list(TOKENS))
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(meta.get("add_bos", False))
    writer.add_chat_template(TEMPLATE)


def _arrays(model: LlamaForCausalLM) -> dict[str, Any]:
    names = {
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    found = {}
    for name, tensor in model.state_dict().items():
        array = tensor.float().numpy()
        parts = name.split(".")
        if parts[:2] == ["model", "layers"]:
            inner = ".".join(parts[3:-1])
            if inner == "self_attn.q_proj":
                array = permute(array, HEADS)
            elif inner == "self_attn.k_proj":
                array = permute(array, KV_HEADS)
            found[f"blk.{parts[2]}.{names[inner]}.weight"] = array
        elif name == "model.embed_tokens.weight":
            found["token_embd.weight"] = array
        elif name == "model.norm.weight":
            found["output_norm.weight"] = array
        elif not model.config.tie_word_embeddings:
            found["output.weight"] = array
    return found


def permute(weights: Any, heads: int) -> Any:
    """transformers' order of a head's rows (halves) to llama.cpp's (pairs), row by row."""
    out = np.empty_like(weights)
    dim = weights.shape[0] // heads
    for head in range(heads):
        for i in range(dim // 2):
            out[head * dim + 2 * i] = weights[head * dim + i]
            out[head * dim + 2 * i + 1] = weights[head * dim + dim // 2 + i]
    return out


def write_passages(root: Path, texts: list[str], split: str = "validation") -> Path:
    """A data folder with ``boolq`` as ``datasets.save_to_disk`` writes it."""
    folder = root / "boolq" / split
    folder.mkdir(parents=True)
    table = pa.table({"question": ["?"] * len(texts), "passage": texts})
    path = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_split": split}))
    return root
