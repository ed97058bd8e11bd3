"""White-box distillation: a student learns its teacher's distribution at every token.

With logits z and temperature T (Hinton et al., arXiv 1503.02531)::

    loss = (1 - w) CE(text) + w T² KL(softmax(z_teacher / T) || softmax(z_student / T))
           + h mean (x_student - x_teacher)² / mean x_teacher²

x are the last hidden states, left out where h is 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.errors import ArtefactError
from slmbench.lifecycle.hf_folder import check_folder
from slmbench.lifecycle.job import OtherInput
from slmbench.lifecycle.training.learner import Outputs, outputs_of
from slmbench.spec.recipes.training import Teacher


@dataclass(frozen=True, slots=True)
class Distillation:
    """Objective of the loop: the teacher sees the same rows, in inference mode."""

    teacher: Any
    settings: Teacher
    outputs: Outputs = outputs_of
    """How the student is run."""

    def loss(self, model: Any, rows: torch.Tensor) -> torch.Tensor:
        """As :class:`.loop.Objective`."""
        ids, labels = rows[:, :-1], rows[:, 1:].flatten()
        hidden = self.settings.hidden > 0
        with torch.no_grad():
            theirs = outputs_of(self.teacher, ids, hidden)
        ours = self.outputs(model, ids, hidden)
        logits = ours.logits.float().flatten(0, 1)
        text = torch.nn.functional.cross_entropy(logits, labels)
        soft = divergence(logits, theirs.logits.float().flatten(0, 1), self.settings.temperature)
        loss = (1 - self.settings.weight) * text + self.settings.weight * soft
        if hidden:
            loss = loss + self.settings.hidden * relative_error(
                ours.hidden_states[-1].float(), theirs.hidden_states[-1].float()
            )
        return loss


def load_teacher(other: OtherInput, student: Path, settings: Teacher) -> Any:
    """The teacher, to be asked only.

    Raises ArtefactError for a teacher that is no folder, for another vocabulary than the student's,
    and, with hidden states, for another hidden size.
    """
    name, folder = other.name, Path(other.path)
    if other.format != "hf":
        raise ArtefactError(
            f"the teacher {name} is of format {other.format}; its distribution is read from a "
            "folder (hf)",
            hint="name its hf variant, or let it write text (text.written)",
        )
    check_folder(folder)
    mine, theirs = _config(student), _config(folder)
    if mine["vocab_size"] != theirs["vocab_size"]:
        raise ArtefactError(
            f"the teacher {name} has {theirs['vocab_size']} tokens, the student "
            f"{mine['vocab_size']}: their distributions cannot be compared",
            hint="take a teacher with the student's tokenizer, or text that it writes "
            "(text.written), which needs no common vocabulary",
        )
    if (differ := _different_tokens(student, folder)) is not None:
        raise ArtefactError(
            f"the teacher {name} has {theirs['vocab_size']} tokens as the student, but others: "
            f"token {differ} is another word",
            hint="take a teacher with the student's tokenizer, or text.written",
        )
    if settings.hidden > 0 and mine.get("hidden_size") != theirs.get("hidden_size"):
        raise ArtefactError(
            f"hidden states of {mine.get('hidden_size')} (student) and "
            f"{theirs.get('hidden_size')} numbers (teacher {name}) cannot be compared",
            hint="set teacher.hidden to 0",
        )
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return model.eval().requires_grad_(False)


def divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² KL(teacher || student), mean over tokens, of logits [tokens, vocabulary] [nats]."""
    ours = (student / temperature).log_softmax(-1)
    theirs = (teacher / temperature).log_softmax(-1)
    each = torch.nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    return each * temperature**2


def relative_error(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference over the teacher's mean square."""
    return (student - teacher).square().mean() / teacher.square().mean()


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return {"vocab_size": 0, **found}


def _different_tokens(student: Path, teacher: Path) -> int | None:
    """The first id at which the two tokenizers differ."""
    ours, theirs = (
        {i: token for token, i in AutoTokenizer.from_pretrained(f, local_files_only=True)
         .get_vocab().items()}
        for f in (student, teacher)
    )  # fmt: skip
    return next((i for i in sorted({*ours, *theirs}) if ours.get(i) != theirs.get(i)), None)
