"""A model folder of random weights, drawn from a seed: what an architecture costs.

The sizes are ratios of the published models: heads of 64; feed-forward layers of 8/3 of the hidden
size for Llama (arXiv 2302.13971), of four times it for GPT-NeoX, whose attention stands beside them
and turns a quarter of each head (arXiv 2204.06745); twice the hidden size inside a Mamba block
(arXiv 2312.00752). Embedding and output head share their weights, as in most models of this size.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError, SlmbenchError
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import RandomInitFacts
from slmbench.spec.recipe import RandomInit

_HEAD = 64
_SPECIAL = ("<s>", "</s>")
_PROBE_TOKENS = 16


def make(recipe: RandomInit, bench: Workbench) -> Product:
    """Write ``hf/``: config, safetensors, tokenizer.

    Raises ArtefactError for a vocabulary smaller than the tokenizer's, and for logits that are
    not finite (a width or depth at which the usual initialisation does not hold).
    """
    torch.set_num_threads(bench.threads)
    tokenizer = _tokenizer(bench)
    rows = recipe.vocab_size or len(tokenizer)
    if rows < len(tokenizer):
        raise ArtefactError(
            f"vocab_size is {rows}, but the tokenizer has {len(tokenizer)} tokens",
            hint="leave vocab_size out, or raise it",
        )
    torch.manual_seed(recipe.seed)
    model = AutoModelForCausalLM.from_config(_config(recipe, rows, tokenizer)).eval()
    _check_finite(model, rows)
    model = model.to(getattr(torch, recipe.dtype))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    bench.report(f"{model.num_parameters() / 1e6:.0f} M random weights ({recipe.architecture})")
    out = bench.out / "hf"
    model.save_pretrained(out)
    if bench.made_from is None:
        tokenizer.save_pretrained(out)
    else:
        copy_companions(bench.made_from, out)
    facts = RandomInitFacts(
        parameters=model.num_parameters(),
        vocab_size=rows,
        tokenizer="bytes" if bench.made_from is None else "the parent's",
    )
    return Product(out, facts, ("torch", "transformers", "safetensors"))


def _tokenizer(bench: Workbench) -> Any:
    if bench.made_from is None:
        return byte_tokenizer()
    if not bench.made_from.is_dir():
        raise SlmbenchError(
            "random_init takes the tokenizer of a model folder",
            hint="name a parent of format hf, or none: then tokens are bytes",
        )
    return AutoTokenizer.from_pretrained(bench.made_from, local_files_only=True)


def byte_tokenizer() -> Any:
    """A token a byte, and ``<s>``, ``</s>`` that nothing adds by itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=_SPECIAL[0],
        eos_token=_SPECIAL[1],
        clean_up_tokenization_spaces=False,
    )


def _config(recipe: RandomInit, rows: int, tokenizer: Any) -> Any:
    width = recipe.hidden_size
    numbers: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": width,
        "num_hidden_layers": recipe.layers,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    numbers |= _NUMBERS[recipe.architecture](recipe)
    return AutoConfig.for_model(recipe.architecture, **numbers)


def _llama(recipe: RandomInit) -> dict[str, Any]:
    heads = recipe.hidden_size // _HEAD
    return {
        "intermediate_size": recipe.intermediate_size
        or -(-8 * recipe.hidden_size // 3 // _HEAD) * _HEAD,
        "num_attention_heads": heads,
        "num_key_value_heads": recipe.kv_heads or heads,
        "max_position_embeddings": recipe.context,
    }


def _gpt_neox(recipe: RandomInit) -> dict[str, Any]:
    return {
        "intermediate_size": recipe.intermediate_size or 4 * recipe.hidden_size,
        "num_attention_heads": recipe.hidden_size // _HEAD,
        "max_position_embeddings": recipe.context,
        "use_parallel_residual": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.25,
        },
    }


def _mamba(recipe: RandomInit) -> dict[str, Any]:
    return {"state_size": recipe.state_size or 16, "expand": 2}


def _mamba2(recipe: RandomInit) -> dict[str, Any]:
    return {
        "state_size": recipe.state_size or 128,
        "expand": 2,
        "head_dim": _HEAD,
        "num_heads": 2 * recipe.hidden_size // _HEAD,
        "n_groups": 1,
        "chunk_size": recipe.chunk or 256,
    }


_NUMBERS = {"llama": _llama, "gpt_neox": _gpt_neox, "mamba": _mamba, "mamba2": _mamba2}


def _check_finite(model: Any, rows: int) -> None:
    ids = torch.arange(_PROBE_TOKENS).unsqueeze(0) % rows
    with torch.inference_mode():
        finite = bool(model(input_ids=ids, use_cache=False).logits.isfinite().all())
    if not finite:
        raise ArtefactError("logits of the random weights are not finite", hint="another seed")
