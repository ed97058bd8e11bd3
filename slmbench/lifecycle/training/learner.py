"""What learns, how it is run, and how it becomes a folder: the seam between loop and updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from slmbench.lifecycle.training.validation import Forward, logits_of

Outputs = Callable[[Any, torch.Tensor, bool], Any]
"""From a model, ids [n, length] and whether hidden states are wanted to transformers' output
(``logits``, ``hidden_states``), for exactly these ids."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The folder of a trained model."""

    path: Path
    parameters: int
    adapter_sha256: str | None
    """Of the update's safetensors; None where all weights learnt."""
    max_logit_difference: float
    """Between the trained model and the reloaded folder."""
    prompt_probability: float | None = None
    """Mean probability that a learnt prompt's own tokens get on held-out text."""
    grid_bits_per_weight: float | None = None
    """Of what was trained on a grid: bits per weight if its levels were packed."""


def outputs_of(model: Any, ids: torch.Tensor, hidden: bool) -> Any:
    """The plain forward pass."""
    return model(input_ids=ids, use_cache=False, output_hidden_states=hidden)


@dataclass(frozen=True, slots=True)
class Learner:
    """A model whose learning parameters require gradients."""

    model: Any
    save: Callable[[Path], Saved]
    """Write the artefact (and an adapter) below the folder; raises ArtefactError when what was
    saved is not what was trained."""
    forward: Forward = logits_of
    """How it is run for the loss and for validation."""
    outputs: Outputs = outputs_of
    """How it is run beside a teacher."""
    libraries: tuple[str, ...] = ()
    """Distributions besides torch, transformers and safetensors."""
