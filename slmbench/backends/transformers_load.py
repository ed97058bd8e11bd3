"""Loading a folder with transformers: device, weights, tokenizer, and how failures read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import DynamicCache, DynamicLayer

from slmbench.backends.protocol import BackendError
from slmbench.backends.transformers_low_rank import know
from slmbench.records import Status
from slmbench.spec import Target

_NO_MEMORY = ("allocate memory", "out of memory", "not enough memory", "os error 12")
_ATTENTION = ("attention implementation", "attn_implementation", "flash")
_LOADING_ERRORS = (
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    SafetensorError,
)


def load_tokenizer(path: Path) -> Any:
    """The folder's tokenizer; nothing is fetched and no code of the folder runs."""
    know(path)
    return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def load_model(path: Path, dtype: str, *, attention: str | None) -> Any:
    """The folder's causal language model, ready to answer, on the CPU.

    ``dtype``: ``auto`` (as stored) or a torch type's name. Raises BackendError: invalid where
    transformers would have made up weights that the folder does not hold, unsupported where
    this model or this machine has no such attention.
    """
    know(path)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto" if dtype == "auto" else getattr(torch, dtype),
            attn_implementation=attention,
            output_loading_info=True,
        )
    except (ValueError, ImportError) as error:
        if attention is None or not any(mark in str(error).lower() for mark in _ATTENTION):
            raise
        raise BackendError(
            Status.UNSUPPORTED,
            f"{path.name}: attention {attention!r} cannot be had: {str(error).splitlines()[0]}",
            "set attention: eager, or leave it out",
        ) from error
    _refuse_incomplete(path.name, info)
    return model.eval()


def device(target: Target) -> torch.device:
    """The torch device; BackendError (unsupported) where there is none such."""
    kind, _, number = target.device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit():
        raise BackendError(Status.UNSUPPORTED, f"device {target.device!r}", "use cpu or cuda")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise BackendError(
            Status.UNSUPPORTED,
            f"no device {target.device!r}: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices",
            "set device: cpu, or install a CUDA build of torch",
        )
    return torch.device(target.device)


def context_train(config: Any) -> int | None:
    """Context length that the model was trained for [tokens], if it says so."""
    found = getattr(config, "max_position_embeddings", None)
    return int(found) if found else None


def kv_bytes(config: Any, dtype: torch.dtype) -> int:
    """Keys and values of one token, all layers, in the compute type [bytes]."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * dtype.itemsize)


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """End tokens of the tokenizer and of the model's generation settings."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    listed = declared if isinstance(declared, list) else [declared]
    return frozenset(int(t) for t in [*listed, tokenizer.eos_token_id] if t is not None)


def soft_prompt(model: Any, tokenizer: Any) -> tuple[tuple[int, ...], str]:
    """Ids and text of the learnt prompt that such a folder wants before everything; mostly none.

    ``slmbench_soft_prompt`` of its config says how many of the last tokens they are.
    """
    count = int(getattr(model.config, "slmbench_soft_prompt", 0) or 0)
    ids = range(len(tokenizer) - count, len(tokenizer))
    return tuple(ids), "".join(tokenizer.convert_ids_to_tokens(list(ids)))


def plain_cache(model: Any) -> bool:
    """Whether all layers cache plain keys and values: no sliding window, no running state."""
    takes = inspect.signature(type(model).forward).parameters
    if getattr(model.config, "is_encoder_decoder", False) or "past_key_values" not in takes:
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _refuse_incomplete(name: str, info: Any) -> None:
    """BackendError (invalid) where transformers would have made weights up."""
    missing = sorted(info.get("missing_keys") or ())
    if missing:
        raise BackendError(
            Status.INVALID,
            f"{name}: {len(missing)} tensors are missing from the weights, e.g. {missing[0]}",
            "config.json and the weights do not belong together, or a shard is missing",
        )


@contextmanager
def endings(*, loading: str | None = None) -> Iterator[None]:
    """Turn the engine's errors into BackendError: out of memory anywhere, invalid on loading."""
    try:
        yield
    except BackendError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(error) from error
    except _LOADING_ERRORS as error:
        text = str(error).lower()
        if any(mark in text for mark in _NO_MEMORY):
            raise _out_of_memory(error) from error
        if loading is None:
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BackendError(
            Status.INVALID,
            f"{loading}: transformers cannot load it: {lines[0][:300]}",
            "check the folder with AutoModelForCausalLM.from_pretrained(folder)",
        ) from error


def _out_of_memory(error: BaseException) -> BackendError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return BackendError(
        Status.OOM,
        f"out of memory: {lines[0][:300]}",
        "raise the target's memory limit, shorten the context or use a smaller variant",
    )
