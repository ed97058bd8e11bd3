"""Prune feed-forward channels while low-rank updates learn, so that each adapts to the other.

Importance after LoRAPrune (Zhang et al., arXiv 2305.18403): what a weight's removal would change
is (g (W + s BA))², the first-order change of the loss squared, and the gradient g is not taken of
W, which does not learn, but read off the update's own gradients:

    g = s (dB A + B dA - dB dA)

with dA and dB the gradients of A and B in that step and s = alpha / rank. A channel's importance
is the sum over its row of the gate and up projections and its column of the down projection, those
of them that have updates; it is averaged over steps with weight 0.9 on the past. Channels go in a
few rounds along the cubic schedule of Zhu & Gupta (arXiv 1710.01878); until the end they are
masked, then taken out, and every layer keeps the same number, as ``width_prune`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import copy_companions
from slmbench.lifecycle.narrow import channels_kept, narrow_ffn, require_family
from slmbench.lifecycle.training import loop, updates
from slmbench.lifecycle.training.learner import Saved
from slmbench.lifecycle.training.material import material, training_facts
from slmbench.lifecycle.training.train import hooks_of, objective_of
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import PeftPruneFacts
from slmbench.spec.recipes.training import LoraUpdate, PeftPrune

MEMORY = 0.9
"""Weight of the past in the average of importance."""
ROUNDS = 8
"""In how many steps channels go, at most."""
_PARTS = (("gate_proj", 1), ("up_proj", 1), ("down_proj", 0))
"""Linear layer, and the axis that is summed over: a channel is a row of the first two."""


def make(recipe: PeftPrune, bench: Workbench) -> Product:
    """Write ``hf/``, merged and narrower.

    Raises UnsupportedModelError for a parent without a Llama's layers, and ArtefactError for
    updates outside the feed-forward layers, a budget too small to prune in, and all that ``train``
    raises it for.
    """
    torch.set_num_threads(bench.threads)
    model = updates.load_student(bench.parent)
    require_family(model.config, "peft_prune")
    before, channels = int(model.num_parameters()), int(model.config.intermediate_size)
    kept = channels_kept(channels, recipe.keep_ffn)
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    found = material(recipe.train, bench, model, tokenizer)
    learner = updates.learner(recipe.train, bench, model)
    count = updates.trained_parameters(learner.model)
    pruning = Pruning(learner.model, recipe, kept, bench.report)
    bench.report(f"{channels - kept} of {channels} channels of every layer will go")
    ended = loop.train(
        loop.Task(
            model=learner.model,
            rows=found.rows,
            recipe=recipe.train,
            bench=bench,
            objective=objective_of(recipe.train, bench, learner),
            held_out=found.held_out,
            forward=learner.forward,
            hooks=(pruning, *hooks_of(recipe.train)),
        )
    )
    pruning.finish()
    saved = save(learner.model, pruning, bench.parent, bench.out)
    teachers = tuple(bench.other(name).sha256 for name in recipe.others())
    facts = PeftPruneFacts(
        training=training_facts(recipe.train, found, ended, count, teachers),
        ffn_before=channels,
        ffn_after=kept,
        pruned_at=pruning.pruned_at,
        parameters_before=before,
        parameters_after=saved.parameters,
        reload_max_logit_difference=saved.max_logit_difference,
    )
    return Product(saved.path, facts, ("torch", "transformers", "peft", "safetensors"))


class Pruning(loop.Hook):
    """Watches gradients, averages importance, and masks channels when their time has come."""

    def __init__(
        self, model: Any, recipe: PeftPrune, kept: int, report: Callable[[str], None]
    ) -> None:
        update = recipe.train.update
        assert isinstance(update, LoraUpdate)
        self._layers = [layer.mlp for layer in _llama(model).layers]
        self._parts = [(name, axis) for name, axis in _PARTS if name in update.targets]
        if not self._parts:
            raise ArtefactError(
                "peft_prune reads importance off updates of feed-forward layers, and there is none",
                hint=f"name one of {', '.join(name for name, _ in _PARTS)} in update.targets",
            )
        self._scale, self._kept, self._report = update.alpha / update.rank, kept, report
        width = int(model.config.intermediate_size)
        self._importance = torch.zeros(len(self._layers), width)
        self._mask = torch.ones(len(self._layers), width, dtype=torch.bool)
        self._due = schedule(loop.steps_of(recipe.train), recipe.prune_until, (width, kept))
        self.pruned_at: tuple[int, ...] = ()
        self._hooks = [
            layer.down_proj.register_forward_pre_hook(partial(self._masked, number))
            for number, layer in enumerate(self._layers)
        ]

    @property
    def chosen(self) -> list[list[int]]:
        """Channels of every layer that stay, ascending."""
        return [row.nonzero().flatten().tolist() for row in self._mask]

    def before_update(self, step: int) -> None:
        """Average the importance that this step's gradients show; mask when it is time."""
        del step
        for number, layer in enumerate(self._layers):
            now = sum(
                importance(getattr(layer, name), self._scale).sum(axis)
                for name, axis in self._parts
            )
            self._importance[number].mul_(MEMORY).add_(now, alpha=1 - MEMORY)

    def after_step(self, step: int) -> str:
        """Mask the least important channels when it is time."""
        if step in self._due:
            self._prune_to(self._due[step])
            self.pruned_at = (*self.pruned_at, step)
        return ""

    def state(self) -> Mapping[str, torch.Tensor]:
        """Importance, mask, and when channels went."""
        at = torch.tensor(self.pruned_at, dtype=torch.int64)
        return {"importance": self._importance, "mask": self._mask, "pruned_at": at}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take them back."""
        self._importance, self._mask = state["importance"], state["mask"]
        self.pruned_at = tuple(state["pruned_at"].tolist())

    def finish(self) -> None:
        """Prune the rest where training was stopped before its budget."""
        if int(self._mask[0].sum()) > self._kept:
            self._prune_to(self._kept)

    def release(self) -> None:
        """Mask no longer: the channels are about to be taken out."""
        for hook in self._hooks:
            hook.remove()

    def _prune_to(self, kept: int) -> None:
        for number, row in enumerate(self._importance):
            alive = torch.where(self._mask[number], row, -torch.inf)
            best = torch.sort(alive, descending=True, stable=True).indices[:kept]
            self._mask[number] = False
            self._mask[number, best] = True
        self._report(f"{kept} channels of every layer are left")

    def _masked(self, number: int, module: Any, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        del module
        return inputs[0] * self._mask[number].to(inputs[0].dtype)


def importance(layer: Any, scale: float) -> torch.Tensor:
    """(g (W + s BA))² of a layer with a low-rank update whose gradients are there."""
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    da, db = a.grad, b.grad
    with torch.no_grad():
        gradient = scale * (db @ (a - da) + b @ da)
        weight = layer.base_layer.weight + scale * (b @ a)
        found: torch.Tensor = (gradient * weight).square()
        return found


def schedule(steps: int, until: float, widths: tuple[int, int]) -> dict[int, int]:
    """Step (from 0) -> channels that are left after it; ``widths``: at first and at last.

    >>> schedule(20, 0.5, (100, 50))
    {2: 83, 3: 71, 4: 62, 5: 56, 6: 53, 7: 51, 8: 50, 9: 50}

    In the first quarter of the time importance is only averaged: one step's says little. Raises
    ArtefactError for a budget with no step to prune in.
    """
    last = int(steps * until)
    if last < 1:
        raise ArtefactError(
            f"{steps} steps, of which pruning may take {until:.0%}: not one",
            hint="raise train.tokens or prune_until, or lower train.batch or train.sequence",
        )
    start = last // 4
    rounds = min(ROUNDS, last - start)
    first, goal = widths
    found = {}
    for n in range(1, rounds + 1):
        left = round((first - goal) * (1 - n / rounds) ** 3)
        found[start + n * (last - start) // rounds - 1] = goal + left
    return found


def save(model: Any, pruning: Pruning, parent: Path, out: Path) -> Saved:
    """Merge, take the masked channels out, write the folder, and compare its logits."""
    model.eval()
    before = updates.probe(model)
    whole = model.merge_and_unload(safe_merge=True)
    pruning.release()
    narrow_ffn(whole, pruning.chosen)
    folder = out / "hf"
    whole.config._name_or_path = ""  # noqa: SLF001  else a path of this machine is written
    whole.save_pretrained(folder)
    copy_companions(parent, folder)
    return Saved(folder, int(whole.num_parameters()), None, updates.compare(before, folder))


def _llama(model: Any) -> Any:
    """The decoder below peft's wrapping."""
    return model.get_base_model().model
