"""The technique ``train``: text, an update, perhaps a teacher, one run of the loop, a folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoTokenizer

from slmbench.lifecycle.training import loop, updates
from slmbench.lifecycle.training.distil import Distillation, load_teacher
from slmbench.lifecycle.training.learner import Learner
from slmbench.lifecycle.training.material import Material, material, training_facts
from slmbench.lifecycle.training.spending import EnergyCap
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import TrainFacts
from slmbench.spec.recipes.training import Train

_LIBRARIES = ("torch", "transformers", "safetensors")


def make(recipe: Train, bench: Workbench) -> Product:
    """Write ``hf/`` and, with low-rank updates, ``adapter/`` beside it.

    Raises ArtefactError for a parent that is no whole folder, targets that it does not have,
    another vocabulary than the teacher's, too little text, a loss that is no number, and a saved
    folder that is not what was trained; MissingDataError for text that no source has.
    """
    torch.set_num_threads(bench.threads)
    model = updates.load_student(bench.parent)
    tokenizer = AutoTokenizer.from_pretrained(bench.parent, local_files_only=True)
    found = material(recipe, bench, model, tokenizer)
    learner = _learner(recipe, bench, model)
    count = updates.trained_parameters(learner.model)
    bench.report(_plan(recipe, found, count))
    ended = loop.train(
        loop.Task(
            model=learner.model,
            rows=found.rows,
            recipe=recipe,
            bench=bench,
            objective=objective_of(recipe, bench, learner),
            held_out=found.held_out,
            forward=learner.forward,
            hooks=hooks_of(recipe),
        )
    )
    saved = learner.save(bench.out)
    teachers = tuple(bench.other(name).sha256 for name in recipe.others())
    facts = TrainFacts(
        training=training_facts(recipe, found, ended, count, teachers),
        parameters=saved.parameters,
        adapter_sha256=saved.adapter_sha256,
        reload_max_logit_difference=saved.max_logit_difference,
        prompt_probability=saved.prompt_probability,
        grid_bits_per_weight=saved.grid_bits_per_weight,
    )
    return Product(saved.path, facts, (*_LIBRARIES, *learner.libraries))


def _learner(recipe: Train, bench: Workbench, model: Any) -> Learner:
    """What learns: the modules ``qat`` and ``soft_prompt`` have learners of their own."""
    if recipe.quantize is not None:
        return _from("qat")(recipe, bench, model)
    if recipe.update.kind == "prompt":
        return _from("soft_prompt")(recipe, bench, model)
    return updates.learner(recipe, bench, model)


def _from(module: str) -> Callable[[Train, Workbench, Any], Learner]:
    """``learner`` of a module of this package, loaded when it is needed."""
    found = importlib.import_module(f"slmbench.lifecycle.training.{module}")
    made: Callable[[Train, Workbench, Any], Learner] = found.learner
    return made


def objective_of(recipe: Train, bench: Workbench, learner: Learner) -> loop.Objective:
    """The loss on the text, or the divergence from a teacher beside it."""
    if recipe.teacher is None:
        return loop.TextLoss(learner.forward)
    other = bench.other(recipe.teacher.variant)
    teacher = load_teacher(other, bench.parent, recipe.teacher)
    return Distillation(teacher, recipe.teacher, learner.outputs)


def hooks_of(recipe: Train) -> tuple[loop.Hook, ...]:
    """The cap on energy, where one is set; the one on memory is set by who starts this process."""
    spending = EnergyCap.of(recipe.caps)
    return () if spending is None else (spending,)


def _plan(recipe: Train, found: Material, count: int) -> str:
    rounds = loop.steps_of(recipe) * recipe.batch / len(found.rows)
    return (
        f"{recipe.label}: {count / 1e6:.1f} M numbers learn on {len(found.corpus.texts)} texts, "
        f"{loop.steps_of(recipe)} steps of {recipe.batch * recipe.sequence} tokens "
        f"({rounds:.2g} times the text)"
    )
