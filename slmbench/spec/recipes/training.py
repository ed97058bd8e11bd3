"""Recipes that learn: one training loop with its text, its update, its teacher and its caps.

From scratch: random_init, then train (full). White-box distillation: train with a teacher.
Black-box: train on text that a teacher wrote. QAT: train with ``quantize``. Recovery: train on
what was pruned or quantized. The budget is tokens, so that a recipe gives the same model on every
machine of one kind; time, memory and energy are what the record says they took.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slmbench.spec.base import Frozen, Name
from slmbench.spec.recipes.technique import Stage, Technique

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Linear layers of a Llama's decoder."""


class Written(Frozen):
    """Text by a teacher: it goes on from the first words of each passage, sampled.

    Sequence-level distillation (Kim & Rush 2016, arXiv 1606.07947): nothing but text is seen of
    the teacher, so it may be of any format and run on any backend.
    """

    teacher: Name
    texts: int = Field(default=200, ge=1, le=100_000)
    prompt_tokens: int = Field(default=16, ge=1, le=1024)
    """How much of a passage it is given [its own tokens]."""
    tokens: int = Field(default=128, ge=8, le=8192)
    """How far it goes on."""
    temperature: float = Field(default=0.8, ge=0, le=2)


class TrainingText(Frozen):
    """What is trained on, and what is held out to validate on."""

    passages: tuple[str, ...] = Field(default=("squad", "drop", "coqa"), min_length=1)
    """Data sets whose passages are read (`slmbench data list`); not ones that a suite scores
    (boolq's are: by the suites perplexity, hallucination and privacy)."""
    held_out: float = Field(default=0.05, gt=0, le=0.5)
    """Share of the passages that is never trained on, by a keyed hash of the text: the same for
    every recipe with these data sets. Validation loss is taken on them."""
    validation_bytes: int = Field(default=16_384, ge=64)
    """How much of what is held out validation reads [bytes, at least]: passages in the order of
    their hash, each cut to 1,000 characters."""
    selection: Literal["random", "perplexity", "length", "diversity"] = "random"
    """Which part is kept. ``perplexity``: the middle of the parent's perplexity (Marion et al.
    2023, arXiv 2309.04564). ``length``: the longest. ``diversity``: far from each other by their
    words (k-centre, Sener & Savarese 2018, arXiv 1708.00489)."""
    keep: float = Field(default=1.0, gt=0, le=1)
    """Share of the passages that is kept."""
    written: Written | None = None
    """Text by a teacher in place of the passages; they are its prompts, and the validation."""
    seed: int = 1234


class FullUpdate(Frozen):
    """All weights are trained."""

    kind: Literal["full"] = "full"


class LoraUpdate(Frozen):
    """Low-rank updates of linear layers (arXiv 2106.09685), merged at the end.

    On a parent whose weights torchao quantized they are added to its dequantized weights (QLoRA,
    arXiv 2305.14314): the merged folder is float, quantize it again to ship it.
    """

    kind: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32.0, gt=0)
    """The update is scaled by alpha / rank."""
    targets: tuple[str, ...] = Field(default=LINEAR, min_length=1)
    """Linear layers that get an update, by the last part of their name."""


class SoftPrompt(Frozen):
    """Embeddings of a few tokens in front of everything (prompt tuning, arXiv 2104.08691).

    They become tokens of the vocabulary that the tokenizer puts first, so that the folder is an
    ordinary one.
    """

    kind: Literal["prompt"] = "prompt"
    tokens: int = Field(default=16, ge=1, le=512)


Update = Annotated[FullUpdate | LoraUpdate | SoftPrompt, Field(discriminator="kind")]


class Teacher(Frozen):
    """White-box distillation: the teacher's distribution at every token (arXiv 1503.02531)."""

    variant: Name
    """A folder (hf) with the same vocabulary."""
    temperature: float = Field(default=1.0, gt=0, le=20)
    """Of both softmaxes; the loss is multiplied by its square."""
    weight: float = Field(default=0.9, gt=0, le=1)
    """Of the divergence KL(teacher || student); the rest is the loss on the text."""
    hidden: float = Field(default=0.0, ge=0, le=100)
    """Weight of the mean squared difference of the last hidden states, over their mean square;
    needs the same hidden size."""


class FakeQuant(Frozen):
    """Quantization-aware training by torchao: weights are rounded in every forward pass.

    The product is what ``technique: torchao, scheme: int4_weight_only`` (or int8) makes of the
    trained weights, on the grid that was trained with.
    """

    bits: Literal[4, 8] = 4
    group_size: int = Field(default=32, ge=8, le=1024)
    """Weights of a row that share a scale (4 bits; with 8 bits all of a row do)."""


class Caps(Frozen):
    """Limits that hold while it trains, as on a device."""

    memory_mb: int | None = Field(default=None, ge=64)
    """Of the whole process [10^6 bytes], by a control group, else by address space. Beyond it the
    process dies, and nothing is made."""
    energy_j: float | None = Field(default=None, gt=0)
    """Training ends when so much is spent [J], and says so; needs a counter, or counts an
    estimate and says so."""


class Train(Technique):
    """Train a Hugging Face folder on text, with AdamW, for so many tokens."""

    technique: Literal["train"]
    version: Literal[1] = 1
    update: Update = LoraUpdate()
    text: TrainingText = TrainingText()
    tokens: int = Field(default=65_536, ge=1, le=10_000_000_000)
    """Budget: tokens that a loss is taken of. Text comes round again when it is used up."""
    sequence: int = Field(default=256, ge=16, le=65_536)
    """Length of a row; texts are joined by the end token and cut into rows."""
    batch: int = Field(default=8, ge=1, le=4096)
    """Rows of a step."""
    learning_rate: float = Field(default=5e-4, gt=0, le=1)
    """At its highest; it rises over the first part of the steps, then falls along a cosine to a
    tenth."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    compute: Literal["float32", "bfloat16"] = "float32"
    """Type of the products while training and validating; weights and update stay float32."""
    teacher: Teacher | None = None
    quantize: FakeQuant | None = None
    caps: Caps = Caps()
    validations: int = Field(default=8, ge=2, le=1000)
    """How often validation loss is taken, first and last step included."""
    seed: int = 1234
    """Of the order of the rows and of the update's start."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tokens < self.sequence * self.batch:
            raise ValueError(
                f"tokens: {self.tokens} is less than one step ({self.batch} rows of "
                f"{self.sequence} = {self.sequence * self.batch}): raise tokens, or lower batch "
                "or sequence"
            )
        if self.quantize is not None and isinstance(self.update, SoftPrompt):
            raise ValueError("quantize trains weights: update must be full or lora")
        return self

    @property
    def simulated(self) -> bool:
        """With 4 bits, as the technique ``torchao``: no kernel computes with them."""
        return self.quantize is not None and self.quantize.bits == 4

    @property
    def trains(self) -> bool:
        """Unless only a prompt is learnt."""
        return not isinstance(self.update, SoftPrompt)

    @property
    def stage(self) -> Stage:
        """Where its product stands; recovery of a pruned or quantized parent is for the file."""
        if self.quantize is not None:
            return "quantized"
        distilled = self.teacher is not None or self.text.written is not None
        return "distilled" if distilled else "finetuned"

    @property
    def label(self) -> str:
        """What is learnt, and how."""
        kind = {"full": "full", "lora": "lora", "prompt": "prompt_tuning"}[self.update.kind]
        if self.quantize is not None:
            return f"qat_{kind}"
        if self.teacher is not None:
            return f"kd_{kind}"
        return f"black_box_kd_{kind}" if self.text.written is not None else kind

    def others(self) -> tuple[Name, ...]:
        """Its teachers."""
        white = () if self.teacher is None else (self.teacher.variant,)
        black = () if self.text.written is None else (self.text.written.teacher,)
        return tuple(dict.fromkeys((*white, *black)))


class _AroundTraining(Technique):
    """Does something while low-rank updates are trained."""

    train: Train
    """How it is trained meanwhile; its update must be lora."""

    @model_validator(mode="after")
    def _trains_updates(self) -> Self:
        if not isinstance(self.train.update, LoraUpdate) or self.train.quantize is not None:
            raise ValueError(f"{self.label} trains low-rank updates: train.update must be lora")
        return self

    @property
    def trains(self) -> bool:
        """It does."""
        return True

    def others(self) -> tuple[Name, ...]:
        """The teachers of its training."""
        return self.train.others()


class PeftPrune(_AroundTraining):
    """Prune feed-forward channels while low-rank updates are trained (PEFT-aware pruning).

    Channels' importance is the first-order change of the loss when they are taken away, read off
    the gradients of the updates and averaged over steps (LoRAPrune, arXiv 2305.18403); they go
    little by little until ``prune_until``, and the rest of the budget recovers. The product is the
    merged folder with narrower layers, of the same shape as width_prune's.
    """

    technique: Literal["peft_prune"]
    version: Literal[1] = 1
    keep_ffn: float = Field(default=0.75, gt=0, lt=1)
    """Share of the feed-forward channels of every layer that stays."""
    prune_until: float = Field(default=0.5, gt=0, lt=1)
    """Share of the steps after which all pruning is done."""

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "pruned"


class FedAvg(_AroundTraining):
    """Federated averaging of low-rank updates over simulated clients (arXiv 1602.05629), by Flower.

    Every client has passages of its own; the server averages their updates weighted by their
    tokens. The product is the merged folder after the last round.
    """

    technique: Literal["fedavg"]
    version: Literal[1] = 1
    clients: int = Field(default=4, ge=2, le=1000)
    rounds: int = Field(default=3, ge=1, le=10_000)
    concentration: float = Field(default=0.5, gt=0)
    """Of the Dirichlet distribution that deals each topic's passages out to the clients (Hsu et al.
    2019, arXiv 1909.06335); small: every client sees few topics."""
    topics: int = Field(default=8, ge=2, le=1000)
    """Clusters of the passages' words that stand for topics."""
    train: Train
    """What a client does in a round; ``tokens`` counts one client's round."""
    seed: int = 1234

    @property
    def stage(self) -> Stage:
        """Where its product stands."""
        return "finetuned"
