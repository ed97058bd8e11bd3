"""Tiny folders of several families, calibration text, and a workbench for shape techniques."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_models as tiny
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from slmbench.content import content_of
from slmbench.lifecycle.job import OtherInput
from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipes.quantization import Calibration

IDS = torch.arange(40).unsqueeze(0)
TEXTS = [f"Passage {i} of some words, with {i * i} and a little more." for i in range(12)]
CALIBRATION = Calibration(texts=6, max_tokens=24)


def family(kind: str, **changes: Any) -> Any:
    """A model of few weights of that type, from a fixed seed, ready to answer."""
    torch.manual_seed(3)
    common = {
        "vocab_size": len(tiny.TOKENS),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "initializer_range": 0.2,
    }
    attention = {"num_attention_heads": 4, "intermediate_size": 96, "max_position_embeddings": 256}
    grouped = {**attention, "num_key_value_heads": 2}
    sizes: dict[str, dict[str, Any]] = {
        "llama": {**grouped, "num_key_value_heads": 2},
        "mistral": {**grouped, "sliding_window": None},
        "qwen2": grouped,
        "gpt_neox": attention,
        "mamba": {"state_size": 8, "expand": 2},
        "mamba2": {"state_size": 16, "expand": 2, "head_dim": 16, "num_heads": 8, "n_groups": 1},
        "gpt2": {"n_head": 4, "n_embd": 64, "n_layer": 2},
    }
    numbers = {**common, **sizes[kind], **changes}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **numbers)).eval()


def write(model: Any, path: Path) -> Path:
    """The folder of the model, with a byte tokenizer."""
    return tiny.write_folder(model, path)


def bench(parent: Path, out: Path, **others: Path) -> Workbench:
    """A workbench with an empty folder."""
    out.mkdir(parents=True)
    given = {
        name: OtherInput(
            name=name, path=str(path), identity="b" * 64, sha256=content_of(path).sha256,
            format="hf",
        )
        for name, path in others.items()
    }  # fmt: skip
    return Workbench(parent, out, 1, lambda _: None, others=given)


def load(path: Path, **how: Any) -> Any:
    """What plain transformers reads, everything accounted for."""
    model, info = AutoModelForCausalLM.from_pretrained(
        path, local_files_only=True, dtype="auto", output_loading_info=True, **how
    )
    assert not info["missing_keys"], info
    assert not info["unexpected_keys"], info
    return model.eval()


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    """[1, tokens, vocabulary]."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return found.float()


def backend_logits(path: Path) -> tuple[Any, Any]:
    """ModelInfo of slmbench's transformers backend, and its model."""
    from slmbench.backends.protocol import LoadJob
    from slmbench.backends.transformers import TransformersBackend
    from slmbench.spec import Target

    backend = TransformersBackend()
    job = LoadJob(path, "0" * 64, Target(name="t", backend="transformers", threads=1, context=128))
    return backend.load(job), backend
