"""What one step of decoding reads of a torch model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class ReadWeights:
    """The weights that every token is multiplied with."""

    weight_bytes: int
    """As they lie in memory, scales included."""
    parameters: int


def weights_read(model: Any) -> ReadWeights | None:
    """All parameters, tied ones once, but an input embedding that is not the head too.

    None for a mixture of experts, of which a token is multiplied with a part only, and for
    encoder-decoder models.
    """
    config = model.config
    text = config.get_text_config(decoder=True)
    experts = any(getattr(text, name, 0) for name in ("num_experts", "num_local_experts"))
    if experts or getattr(config, "is_encoder_decoder", False):
        return None
    looked_up = _only_looked_up(model)
    read = [p for p in model.parameters() if not any(p is other for other in looked_up)]
    return ReadWeights(sum(map(_bytes, read)), sum(p.numel() for p in read))


def attention_width(config: Any) -> int | None:
    """Query heads times size of a head; None where the configuration names no heads."""
    heads = getattr(config, "num_attention_heads", None)
    if not heads:
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(heads * size)


def _only_looked_up(model: Any) -> list[torch.Tensor]:
    """Weights of embeddings (tokens, positions), unless the head has the same."""
    head = model.get_output_embeddings()
    shared = getattr(head, "weight", None)
    found = [m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    return [weight for weight in found if weight is not shared]


def _bytes(tensor: torch.Tensor) -> int:
    """Bytes of a tensor; of one that is made of others (quantized), of all its parts."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return sum(_bytes(getattr(tensor, name)) for name in names)
    return int(tensor.numel() * tensor.element_size())
