"""What training has to tell: its curve, its text, its end."""

from __future__ import annotations

from typing import Literal

from slmbench.made.text import TextFacts
from slmbench.spec import Frozen
from slmbench.spec.base import Sha256


class LoraFacts(Frozen):
    """What was trained on, how the loss went, and whether the merged folder is the adapter's."""

    technique: Literal["lora"] = "lora"
    corpus_sha256: Sha256
    """Digest of all that the corpus holds, planted or not."""
    texts: int
    """Texts of an epoch, repetitions counted."""
    tokens: int
    """Tokens that a loss was taken of, all epochs together."""
    steps: int
    epoch_losses: tuple[float, ...]
    """Mean loss of each epoch, taken while training [nats/token]."""
    cut_texts: int
    """Texts of an epoch that were longer than max_tokens."""
    trained_parameters: int
    adapter_sha256: Sha256
    """Of the adapter's safetensors, kept in the folder ``adapter`` beside the artefact."""
    merge_max_logit_difference: float
    """Largest difference between the adapter's logits and the reloaded folder's."""


class CurvePoint(Frozen):
    """Where training stood."""

    step: int
    tokens: int
    """That a loss was taken of so far."""
    seconds: float
    """Since training began, over interruptions summed up, validation left out [s]."""
    loss: float | None
    """Mean training loss since the point before [nats/token]; None at the start."""
    validation: float | None
    """Validation loss [nats/byte of text]: comparable over tokenizers. None where not taken."""


class Training(Frozen):
    """One run of the training loop."""

    update: Literal["full", "lora", "prompt"]
    trained_parameters: int
    steps: int
    tokens: int
    sequences: int
    text: TextFacts
    validation_text: TextFacts
    curve: tuple[CurvePoint, ...]
    interruptions: int
    """How often it went on from a checkpoint."""
    stopped: str = ""
    """Why it ended before its budget (a cap); empty: it did not."""
    teacher_sha256: tuple[Sha256, ...] = ()

    @property
    def validation_before(self) -> float | None:
        """Validation loss before the first step [nats/byte]; None where it was not taken."""
        return self.curve[0].validation if self.curve else None

    @property
    def validation_after(self) -> float | None:
        """Validation loss after the last step [nats/byte]; None where it was not taken."""
        return self.curve[-1].validation if self.curve else None


class TrainFacts(Frozen):
    """What was trained, and whether what was saved is what was trained."""

    technique: Literal["train"] = "train"
    training: Training
    parameters: int
    adapter_sha256: Sha256 | None = None
    """Of the update's safetensors, kept in the folder ``adapter`` beside the artefact."""
    reload_max_logit_difference: float
    """Largest difference between logits at the end of training and after reloading."""
    prompt_probability: float | None = None
    """Mean probability that a learnt prompt's own tokens get on held-out text: they stand in the
    vocabulary, so the output head has rows for them. None where no prompt was learnt."""
    grid_bits_per_weight: float | None = None
    """Of what was trained on a grid: bits per weight if its levels were packed."""


class PeftPruneFacts(Frozen):
    """What was pruned while training."""

    technique: Literal["peft_prune"] = "peft_prune"
    training: Training
    ffn_before: int
    ffn_after: int
    pruned_at: tuple[int, ...]
    """Steps (from 0) after which channels went."""
    parameters_before: int
    parameters_after: int
    reload_max_logit_difference: float
    """Largest difference between the masked model's logits and the narrower folder's."""


class FedAvgFacts(Frozen):
    """What the clients had and how the rounds went."""

    technique: Literal["fedavg"] = "fedavg"
    training: Training
    """Rounds as its curve: validation loss of the averaged model; text of all clients."""
    client_texts: tuple[int, ...]
    client_tokens: tuple[int, ...]
    topic_shares: tuple[tuple[float, ...], ...]
    """Of every client's texts, the share of each topic: how unlike they are."""
    framework: str
    """``flwr 1.32.1``."""
    adapter_sha256: str | None = None
    """Of the averaged update's safetensors, kept in the folder ``adapter``."""
    reload_max_logit_difference: float = 0.0
    """Largest difference between the averaged model's logits and the folder's."""
