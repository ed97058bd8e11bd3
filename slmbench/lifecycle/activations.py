"""What goes into linear layers when a model reads text: sums over tokens, per input column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle.calibration_text import calibration_text, text_facts
from slmbench.made import TextFacts
from slmbench.spec.recipes.quantization import Calibration


@dataclass(frozen=True, slots=True)
class Inputs:
    """Means over all tokens, per input column of a layer [columns], float64."""

    absolute: torch.Tensor
    """Mean |x|."""
    squared: torch.Tensor
    """Mean x²."""


@dataclass(frozen=True, slots=True)
class CalibrationRows:
    """Text in the model's tokens."""

    ids: tuple[tuple[int, ...], ...]
    facts: TextFacts


def calibration_rows(folder: Path, calibration: Calibration) -> CalibrationRows:
    """The calibration's texts in the folder's tokens, each cut to ``max_tokens``.

    Raises MissingDataError where the data set cannot be had.
    """
    texts, sources = calibration_text(calibration)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ids = tuple(tuple(tokenizer(text).input_ids[: calibration.max_tokens]) for text in texts)
    facts = text_facts(texts, sources, sum(map(len, ids)))
    return CalibrationRows(ids, facts)


def observe(
    model: Any, layers: Mapping[str, torch.nn.Module], sequences: Sequence[Sequence[int]]
) -> dict[str, Inputs]:
    """Mean |x| and mean x² of every input column of these layers, over all tokens.

    ``sequences``: token ids, each read from the start, without padding. Raises ArtefactError for
    text without a token, UnsupportedModelError for a layer that the model never calls.
    """
    sums: dict[str, list[torch.Tensor]] = {}
    tokens = 0
    with _watching(layers, sums), torch.inference_mode():
        for ids in sequences:
            if ids:
                model.base_model(input_ids=torch.tensor([list(ids)]), use_cache=False)
                tokens += len(ids)
    if tokens == 0:
        raise ArtefactError("the calibration texts hold no token")
    unseen = [name for name in layers if name not in sums]
    if unseen:
        raise UnsupportedModelError(
            f"the inputs of {unseen[0]} cannot be seen: a {model.config.model_type} uses its "
            "weights without calling the layer",
            hint="use a method without calibration (magnitude, random)",
        )
    return {name: Inputs(sums[name][0] / tokens, sums[name][1] / tokens) for name in layers}


@contextmanager
def _watching(
    layers: Mapping[str, torch.nn.Module], sums: dict[str, list[torch.Tensor]]
) -> Iterator[None]:
    hooks = [layer.register_forward_pre_hook(_adder(sums, name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _adder(sums: dict[str, list[torch.Tensor]], name: str) -> Any:
    def add(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        rows = inputs[0].detach().flatten(0, -2).double()
        found = [rows.abs().sum(0), rows.square().sum(0)]
        before = sums.get(name)
        sums[name] = (
            found if before is None else [a + b for a, b in zip(before, found, strict=True)]
        )

    return add
