"""Quantization-aware training: weights are rounded to their grid in every forward pass.

torchao puts the rounding into the linear layers (its ``FakeQuantizedLinear``): gradients pass the
rounding as if it were not there (straight-through, Bengio et al. 2013, arXiv 1308.3432). With
low-rank updates what is rounded is the base weight plus the update, so the grid is the one of the
merged weight that is shipped, as LoRA-QAT (L4Q, arXiv 2402.04902; LR-QAT, arXiv 2406.06385) has
it and QLoRA has not. The product is what the technique ``torchao`` makes of the trained float
weights; its grid is torchao's own in both places, so it is the one that was trained with.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn.utils import parametrize
from torchao.quantization import IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerAxis, PerGroup
from torchao.quantization.qat import QATConfig
from torchao.quantization.qat.linear import FakeQuantizedLinear

from slmbench.errors import ArtefactError
from slmbench.lifecycle import torchao_quantize
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.training import updates
from slmbench.lifecycle.training.learner import Learner, Saved
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import TorchaoFacts
from slmbench.spec.recipe import TorchaoQuantize
from slmbench.spec.recipes.training import FakeQuant, LoraUpdate, Train


def grid(quantize: FakeQuant) -> IntxWeightOnlyConfig:
    """torchao's name for the grid: symmetric; a scale for each group (4 bits) or row (8 bits).

    For 8 bits it is the grid of ``Int8WeightOnlyConfig``, which has no fake quantization.
    """
    if quantize.bits == 8:
        return IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
    return IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(quantize.group_size))


class LowRankUpdate(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """W -> W + (alpha / rank) B A, with B zero at the start (arXiv 2106.09685)."""

    def __init__(self, weight: torch.Tensor, update: LoraUpdate) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.a = torch.nn.Parameter(torch.empty(update.rank, columns))
        self.b = torch.nn.Parameter(torch.zeros(rows, update.rank))
        torch.nn.init.kaiming_uniform_(self.a, a=5**0.5)
        self.scale = update.alpha / update.rank

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weight that the layer works with, before it is rounded."""
        return weight + self.scale * (self.b @ self.a)


def round_in_passes(model: Any, quantize: FakeQuant) -> tuple[str, ...]:
    """Make the decoder's linear layers round their weights in place; the names of these layers.

    The output head stays float, as the technique ``torchao`` leaves it. Raises ArtefactError where
    a layer's rows are no multiple of the group.
    """
    head = model.get_output_embeddings()
    names = [
        n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head
    ]
    for name in names:
        columns = model.get_submodule(name).in_features
        if quantize.bits < 8 and columns % quantize.group_size:
            raise ArtefactError(
                f"{name} has rows of {columns} weights, which groups of {quantize.group_size} do "
                "not divide",
                hint="choose a group_size that divides the width of every linear layer",
            )
    chosen = {id(model.get_submodule(name)) for name in names}
    quantize_(model, QATConfig(grid(quantize), step="prepare"), lambda m, _: id(m) in chosen)
    return tuple(names)


def add_updates(model: Any, update: LoraUpdate, seed: int) -> int:
    """Freeze the model and give its rounded layers low-rank updates; how many weights learn.

    Raises ArtefactError where no layer has one of the names.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.manual_seed(seed)
    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, FakeQuantizedLinear) and name.rpartition(".")[2] in update.targets
    ]
    if not found:
        raise ArtefactError(
            f"no update can be put into {', '.join(update.targets)}: no such layer",
            hint="name linear layers of this model by the last part of their names",
        )
    for module in found:
        parametrize.register_parametrization(module, "weight", LowRankUpdate(module.weight, update))
        module.parametrizations.weight.original.requires_grad_(False)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def take_out(model: Any) -> None:
    """Merge updates and make the layers ordinary again, in place: the trained float weights."""
    for module in list(model.modules()):
        if isinstance(module, FakeQuantizedLinear) and parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    quantize_(model, QATConfig(step="convert"), lambda m, _: isinstance(m, FakeQuantizedLinear))


def rounded_alike(layer: Any, quantize: FakeQuant) -> bool:
    """Whether a rounding layer's weight is, bit for bit, what the shipped grid makes of it."""
    with torch.no_grad():
        trained = layer.weight_fake_quantizer(layer.weight)
        plain = torch.nn.Linear(layer.in_features, layer.out_features, bias=False)
        plain.weight = torch.nn.Parameter(layer.weight.detach().clone())
        quantize_(plain, grid(quantize))
        return bool(torch.equal(trained, plain.weight.dequantize()))


def learner(recipe: Train, bench: Workbench, model: Any) -> Learner:
    """The parent with rounding layers, and all its weights or low-rank updates to learn.

    Raises ArtefactError where groups or targets do not fit the model.
    """
    settings, update = recipe.quantize, recipe.update
    assert settings is not None, "train asks for this where weights are rounded"
    names = round_in_passes(model, settings)
    bench.report(f"{len(names)} linear layers are rounded to {settings.bits} bits in every pass")
    if isinstance(update, LoraUpdate):
        add_updates(model, update, recipe.seed)
    else:
        model.requires_grad_(True)
    return Learner(model, partial(_save, model, settings, bench), libraries=("torchao",))


def _save(model: Any, settings: FakeQuant, bench: Workbench, out: Path) -> Saved:
    """Merge, write the float folder, quantize it by the technique ``torchao``, remove it again."""
    model.eval()
    before = updates.probe(model)
    take_out(model)
    plain = out / ".float"
    model.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    model.save_pretrained(plain)
    copy_companions(bench.parent, plain)
    made = torchao_quantize.make(_shipped(settings), replace(bench, made_from=plain, out=out))
    shutil.rmtree(plain)
    difference = updates.compare(before, made.path)
    assert isinstance(made.facts, TorchaoFacts), "it was made by torchao"
    bits = made.facts.grid_bits_per_weight
    return Saved(
        made.path, int(model.num_parameters()), None, difference, grid_bits_per_weight=bits
    )


def _shipped(settings: FakeQuant) -> TorchaoQuantize:
    """The recipe that puts float weights on the same grid."""
    scheme: Literal["int4_weight_only", "int8_weight_only"] = (
        "int4_weight_only" if settings.bits == 4 else "int8_weight_only"
    )
    return TorchaoQuantize(technique="torchao", scheme=scheme, group_size=settings.group_size)
