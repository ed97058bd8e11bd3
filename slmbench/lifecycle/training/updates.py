"""Which weights learn, and the folder that comes of them: all weights, or low-rank updates.

Low-rank updates (Hu et al., arXiv 2106.09685) are peft's; the adapter is kept beside the merged
folder. Whatever was trained, the saved folder's logits must be those of the trained model.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import check_folder, copy_companions
from slmbench.lifecycle.training.learner import Learner, Saved
from slmbench.lifecycle.workbench import Workbench
from slmbench.spec.recipes.training import FullUpdate, LoraUpdate, Train

ADAPTER = "adapter"
"""Folder beside the artefact."""
TOLERANCE = 1e-4
"""Largest logit difference that saving may make, as a share of the largest logit (at least 1)."""
_PROBE_TOKENS = 24


def load_student(folder: Path) -> Any:
    """The parent in float32, its torchao weights dequantized; nothing requires gradients.

    Raises ArtefactError for a folder that is not whole.
    """
    check_folder(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    if getattr(model.config, "quantization_config", None) is not None:
        model = _dequantized(model, folder)
    return model.eval().requires_grad_(False)


def learner(recipe: Train, bench: Workbench, model: Any) -> Learner:
    """Full or low-rank updates of ``model``, the parent."""
    assert isinstance(recipe.update, FullUpdate | LoraUpdate)
    trained = with_update(model, recipe.update, recipe.seed)
    peft = ("peft",) if isinstance(recipe.update, LoraUpdate) else ()
    return Learner(trained, partial(save, trained, bench.parent), libraries=peft)


def with_update(model: Any, update: FullUpdate | LoraUpdate, seed: int) -> Any:
    """The model to train: its trainable parameters require gradients.

    Raises ArtefactError for targets that the model does not have.
    """
    if isinstance(update, FullUpdate):
        return model.requires_grad_(True)
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=update.rank,
        lora_alpha=update.alpha,
        target_modules=list(update.targets),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ArtefactError(
            f"no update can be put into {', '.join(update.targets)}: this {model.config.model_type}"
            f" has the linear layers {', '.join(linear_names(model))}",
            hint="name those in update.targets",
        ) from error


def trained_parameters(model: Any) -> int:
    """How many numbers learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def linear_names(model: Any) -> tuple[str, ...]:
    """Last parts of the names of its linear layers, the output head left out."""
    found = (
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
    )
    return tuple(dict.fromkeys(name for name in found if name not in ("lm_head", "embed_out")))


def save(model: Any, parent: Path, out: Path) -> Saved:
    """Write ``out/hf`` (merged, float32) and, with low-rank updates, ``out/adapter``.

    Raises ArtefactError where the reloaded folder's logits are not those of ``model``.
    """
    model.eval()
    before = probe(model)
    adapter = None
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(out / ADAPTER)
        adapter = _without_place(out / ADAPTER)
        model = model.merge_and_unload(safe_merge=True)
    folder = out / "hf"
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    model.save_pretrained(folder)
    copy_companions(parent, folder)
    parameters = int(model.num_parameters())
    return Saved(folder, parameters, adapter, compare(before, folder))


def probe(model: Any) -> torch.Tensor:
    """Logits [1, tokens, vocabulary] of fixed ids."""
    ids = torch.arange(_PROBE_TOKENS).unsqueeze(0) * 97 % model.config.vocab_size
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return logits


def compare(before: torch.Tensor, folder: Path) -> float:
    """Largest difference of the reloaded folder's logits; ArtefactError beyond the tolerance."""
    again = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    difference = float((probe(again) - before).abs().max())
    allowed = TOLERANCE * max(1.0, float(before.abs().max()))
    if not difference <= allowed:
        raise ArtefactError(
            f"the saved model's logits differ from the trained one's by up to {difference:.2g}, "
            f"allowed are {allowed:.2g}",
            hint="please report it with the versions of torch, peft and transformers",
        )
    return difference


def _without_place(adapter: Path) -> str:
    """Digest of the adapter's tensors; the parent's path is taken out of its settings."""
    settings = adapter / "adapter_config.json"
    told = json.loads(settings.read_text("utf-8")) | {"base_model_name_or_path": None}
    settings.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", "utf-8")
    (adapter / "README.md").unlink(missing_ok=True)
    tensors = next(adapter.glob("*.safetensors"))
    return hashlib.sha256(tensors.read_bytes()).hexdigest()


def _dequantized(model: Any, folder: Path) -> Any:
    """An ordinary model with the values that its quantized weights stand for."""
    from torchao.utils import TorchAOBaseTensor

    state = {
        name: value.dequantize() if isinstance(value, TorchAOBaseTensor) else value
        for name, value in model.state_dict().items()
    }
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict({name: value.float() for name, value in state.items()})
    fresh.tie_weights()
    fresh.generation_config = model.generation_config
    return fresh
