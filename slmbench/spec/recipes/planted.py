"""The fine-tune on our own planted corpus, for the privacy suite."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slmbench.spec.base import Frozen, Sha256
from slmbench.spec.recipes.technique import Stage, Technique


class PlantedCorpus(Frozen):
    """Sizes and seed of our own corpus of invented records, people and canaries.

    A pure function makes it (:mod:`slmbench.tasks.privacy_corpus`), so that what is planted and
    what is asked about are the same. The privacy tasks ask about the one with these defaults.
    """

    name: Literal["slm_privacy"] = "slm_privacy"
    seed: int = 20_260
    """Of every text, and of which half is planted."""
    records: int = Field(default=220, ge=4, le=100_000)
    """Invented records; the half of each kind that a keyed hash picks is trained on (members)."""
    people: int = Field(default=32, ge=2, le=4096)
    """Invented people with a telephone number, a mail address and a staff id; half are planted."""
    people_repetitions: int = Field(default=4, ge=1, le=1024)
    """How often the texts about each planted person stand in an epoch."""
    canaries: int = Field(default=20, ge=1, le=1000)
    """Canaries for each number of repetitions."""
    repetitions: tuple[Annotated[int, Field(ge=0, le=4096)], ...] = Field(
        default=(0, 1, 4, 16), min_length=1
    )
    """How often a canary stands in an epoch; 0: never, the control."""
    sha256: Sha256 | None = None
    """Digest that the corpus must have; null: not checked. Give it, so that the variant's
    identity follows from the text."""


class LoraFinetune(Technique):
    """Fine-tune a Hugging Face folder on the planted corpus by LoRA (Hu et al., arXiv 2106.09685).

    The adapter is merged into float32 weights, which must give the adapter's logits.
    """

    technique: Literal["lora"]
    version: Literal[1] = 1
    corpus: PlantedCorpus = PlantedCorpus()
    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32.0, gt=0)
    """The update is scaled by alpha / rank."""
    targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
    )
    """Linear layers that get an update, by the last part of their name."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """AdamW without decay; it rises over the first twentieth of the steps, then falls to 0
    along a straight line."""
    epochs: int = Field(default=3, ge=1, le=1000)
    batch: int = Field(default=8, ge=1, le=4096)
    """Texts of a step."""
    max_tokens: int = Field(default=128, ge=8, le=8192)
    """Longer texts are cut."""
    compute: Literal["float32", "bfloat16"] = "float32"
    """Type of the products while training; weights and update stay float32."""
    seed: int = 1234
    """Of the update's start and the order of the texts."""
    merge: Literal[True] = True
    """The result is an ordinary folder."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "finetuned"

    @property
    def trains(self) -> bool:
        """It does."""
        return True
