"""A tiny Llama with a tokenizer of SmolLM's kind, which both engines can load; needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = (
    "Ġ t", "h e", "Ġt he", "Ġ a", "i n", "o n", "r e", "e r", "Ġ s", "n d", "a t", "e n", "o r",
    "in g", "Ġ w", "Ġa nd", "o u", "i s", "Ġ o", "Ġ c",
)  # fmt: skip
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)


def save_tiny_smollm(folder: Path, *, bos: bool = False, seed: int = 7, **config: Any) -> Path:
    """Config, safetensors, tokenizer and chat template; ``bos``: the tokenizer puts one first."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = smollm_tokenizer(bos=bos)
    numbers = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        **config,
    }
    torch.manual_seed(seed)
    LlamaForCausalLM(LlamaConfig(**numbers)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def smollm_tokenizer(*, bos: bool = False, merges: tuple[str, ...] = MERGES) -> Any:
    """Byte-level BPE whose splitter takes digits one by one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens += [merge.replace(" ", "") for merge in merges]
    inner = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(tokens)},
            merges=[(a, b) for a, _, b in (m.partition(" ") for m in merges)],
        )
    )
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{SPECIAL[1]} $A",
            pair=f"{SPECIAL[1]} $A $B",
            special_tokens=[(SPECIAL[1], 1)],
        )
    inner.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        unk_token=SPECIAL[0],
        pad_token=SPECIAL[2],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def edit_json(path: Path, **changes: Any) -> None:
    """Change top-level values of a JSON file."""
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | changes))
