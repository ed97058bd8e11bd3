"""Folders of float weights: opened for a technique that changes weights, and written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.hf_folder import check_folder, copy_companions


def require_float(folder: Path, technique: str) -> Any:
    """The folder's config; UnsupportedModelError where its weights are quantized.

    Raises ArtefactError for a folder that is not whole, or not known to transformers.
    """
    check_folder(folder)
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError) as error:
        raise UnsupportedModelError(
            f"{folder}: transformers does not know its kind: {str(error).splitlines()[0]}"
        ) from error
    quantized = getattr(config, "quantization_config", None)
    if quantized is not None:
        how = quantized.get("quant_method") if isinstance(quantized, dict) else quantized
        raise UnsupportedModelError(
            f"{technique} changes float weights, and those of {folder} are quantized ({how})",
            hint="name the parent that it was quantized from",
        )
    return config


def load_float(folder: Path, technique: str) -> Any:
    """The folder's model in the type that it is stored in, ready to answer.

    Raises UnsupportedModelError for quantized weights, ArtefactError where weights are missing.
    """
    require_float(folder, technique)
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype="auto",
        output_loading_info=True,
    )
    if missing := sorted(info["missing_keys"]):
        raise ArtefactError(
            f"{folder}: {len(missing)} tensors are missing from the weights, e.g. {missing[0]}",
            hint="fetch or make it again",
        )
    return model.eval()


def decoder_linears(model: Any, technique: str) -> dict[str, torch.nn.Linear]:
    """All linear layers but the output head, by name, in the order of the model.

    Raises UnsupportedModelError for a model that has none (GPT-2's are of another class).
    """
    head = model.get_output_embeddings()
    found = {
        name: module
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and module is not head
    }
    if not found:
        raise UnsupportedModelError(
            f"{technique} finds no torch.nn.Linear in a {model.config.model_type}",
            hint="it works on models that are built of them: llama, mistral, qwen2, gpt_neox, "
            "mamba, mamba2 and most others",
        )
    return found


def save_folder(model: Any, parent: Path, out: Path) -> Path:
    """Write ``hf/`` below ``out``: config, safetensors, and the parent's tokenizer."""
    folder = out / "hf"
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    model.save_pretrained(folder)
    copy_companions(parent, folder)
    return folder
