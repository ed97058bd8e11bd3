"""How long a recipe may take and how much memory it may need, before it is carried out.

Everything here is an estimate and is called so wherever it is shown. Arithmetic of training: 6 N
operations a token for forward and backward pass over N weights (Kaplan et al. 2020, arXiv
2001.08361), 4 N where the weights themselves get no gradient (low-rank updates, soft prompts), 2 N
for a forward pass (a teacher, calibration). Memory of training in float32: 4 bytes of every weight,
and 12 of every trained one (gradient and AdamW's two moments), activations of one pass over part
of a batch, logits, and a copy of the weights while low-rank updates are merged.

The rate comes from what was made on this machine before, else from the peaks that
`slmbench doctor --peaks` has measured, else it is a guess.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slmbench.backends.peaks import kept_peaks
from slmbench.lifecycle.shapes import Shape, foretold
from slmbench.made import MadeRecord
from slmbench.spec import Recipe
from slmbench.spec.recipe import (
    AutoRound,
    DepthPrune,
    FedAvg,
    LoraFinetune,
    PeftPrune,
    RandomInit,
    Train,
)
from slmbench.spec.recipes.quantization import Calibration
from slmbench.spec.recipes.training import LoraUpdate

Basis = Literal["like makings", "peaks of this machine", "guess"]

_START_S = 6.0
"""Importing an engine, loading, digesting and writing a small model."""
_SECONDS_PER_WEIGHT = 25e-9
"""Reading, changing and writing weights that nothing is computed with."""
_SHARE_OF_PEAK = {"float32": 0.6, "bfloat16": 0.2}
"""Of the peak rate of matrix products that a training step reaches; measured for 135 million
weights on two cores."""
_GUESSED_RATE = 100e9
"""[operations/s] Two cores of a server."""
_WRITING_RATE = 80.0
"""A teacher's text [tokens/s]."""
_RUNTIME = 550_000_000
"""A process with torch and transformers in it [bytes]."""
_TRAINING_RUNTIME = 700_000_000
"""With peft and the text as well [bytes]."""
_LOGITS = 1 << 25
"""Logits of one pass over part of a batch, at most (:mod:`.training.validation`)."""
_BYTES_PER_TOKEN = 4.0
_BYTES_PER_WEIGHT: Mapping[str, float] = {
    "dequantize": 2.6, "gguf_export": 9.0, "gguf_quantize": 2.0, "torchao": 7.0, "cast": 9.5,
    "rtn": 3.5, "sparsify": 8.0, "perturb": 4.0, "merge": 11.0, "depth_prune": 4.0,
    "width_prune": 5.5, "low_rank": 11.0, "random_init": 4.0, "onnx_export": 16.0,
    "auto_round": 12.0,
}  # fmt: skip
"""Peak memory of techniques that do not train, beside the process."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a recipe may take; never measured."""

    seconds: float
    memory_bytes: int | None
    """Peak of the maker; None where the model's size is not known."""
    basis: Basis
    """Where the seconds come from."""
    shape: Shape | None
    """Sizes of what is made."""


def estimate(
    recipe: Recipe,
    parent: Shape | None,
    others: Sequence[Shape | None] = (),
    *,
    threads: int = 1,
    made: Iterable[MadeRecord] = (),
) -> CostEstimate:
    """Time and memory of one step; ``made``: what was made on this machine before."""
    shape = foretold(recipe, parent)
    # Of random weights the parent gives the tokenizer only.
    size = shape if isinstance(recipe, RandomInit) else parent or shape
    if size is None:
        return CostEstimate(_START_S, None, "guess", None)
    work = operations(recipe, size, others)
    rates = [r for one in made if (r := _rate(one, recipe)) is not None]
    written = _written_seconds(recipe)
    if work and rates:
        seconds = work / statistics.median(rates)
        return CostEstimate(_START_S + seconds + written, _memory(recipe, size, others),
                            "like makings", shape)  # fmt: skip
    rate, basis = _machine_rate(recipe, threads)
    seconds = _START_S + size.parameters * _SECONDS_PER_WEIGHT + work / rate + written
    return CostEstimate(seconds, _memory(recipe, size, others), basis, shape)


def operations(recipe: Recipe, size: Shape, others: Sequence[Shape | None] = ()) -> float:
    """Operations of all that is computed with the weights."""
    weights = size.parameters
    if isinstance(recipe, Train):
        return _training(recipe, weights, others)
    if isinstance(recipe, PeftPrune):
        return _training(recipe.train, weights, others)
    if isinstance(recipe, FedAvg):
        return recipe.clients * recipe.rounds * _training(recipe.train, weights, others)
    if isinstance(recipe, LoraFinetune):
        people = recipe.corpus.people * recipe.corpus.people_repetitions * 2
        canaries = recipe.corpus.canaries * sum(recipe.corpus.repetitions)
        texts = recipe.corpus.records + people + canaries
        return 4 * weights * texts * recipe.epochs * 32
    if isinstance(recipe, DepthPrune):
        return 2 * weights * recipe.calibration_texts * recipe.max_tokens
    read = 0
    for name in ("calibration", "importance"):
        text = getattr(recipe, name, None)
        if isinstance(text, Calibration):
            read += text.texts * text.max_tokens
    if isinstance(recipe, AutoRound):
        return 6 * weights * read * recipe.iterations / 8
    return 2 * weights * read


def _training(recipe: Train, weights: int, others: Sequence[Shape | None]) -> float:
    passes = 6 if recipe.update.kind == "full" else 4
    each = passes * weights
    if recipe.teacher is not None:
        teacher = others[0] if others else None
        each += 2 * (teacher.parameters if teacher else weights)
    return recipe.tokens * each + _held_out(recipe) * 2 * weights


def _held_out(recipe: Train) -> float:
    """Tokens that validation reads, all times together."""
    return recipe.validations * recipe.text.validation_bytes / _BYTES_PER_TOKEN


def _validating(recipe: Recipe, size: Shape) -> float:
    """Operations of validation, which a curve's seconds leave out."""
    return _held_out(recipe) * 2 * size.parameters if isinstance(recipe, Train) else 0.0


def _written_seconds(recipe: Recipe) -> float:
    training = recipe.train if isinstance(recipe, PeftPrune | FedAvg) else recipe
    written = training.text.written if isinstance(training, Train) else None
    return 0.0 if written is None else written.texts * written.tokens / _WRITING_RATE


def _rate(record: MadeRecord, recipe: Recipe) -> float | None:
    """Operations a second of an earlier making of the same kind; None for any other."""
    mine, theirs = _likeness(recipe), _likeness(record.recipe)
    if mine != theirs or record.measured is None:
        return None
    size = Shape(record.measured.parameters, 0, 0, 0, 0)
    work = operations(record.recipe, size)
    seconds = record.duration_s - _START_S
    training = record.training
    if training is not None:
        if training.stopped or not training.curve:
            return None
        work, seconds = work - _validating(record.recipe, size), training.curve[-1].seconds
    return work / seconds if work and seconds > 1 else None


def _likeness(recipe: Recipe) -> tuple[str, ...]:
    train = recipe.train if isinstance(recipe, PeftPrune | FedAvg) else recipe
    if not isinstance(train, Train):
        return (recipe.technique,)
    teacher = "taught" if train.teacher else "alone"
    quantized = "quantized" if train.quantize else "plain"
    return recipe.technique, train.update.kind, train.compute, teacher, quantized


def _machine_rate(recipe: Recipe, threads: int) -> tuple[float, Basis]:
    train = recipe.train if isinstance(recipe, PeftPrune | FedAvg) else recipe
    kind = str(getattr(train, "compute", "float32"))
    peaks = kept_peaks(threads)
    peak = None if peaks is None else peaks.gemm_flops.get(kind)
    if peak is None:
        return _GUESSED_RATE, "guess"
    return peak * _SHARE_OF_PEAK[kind], "peaks of this machine"


def _memory(recipe: Recipe, size: Shape, others: Sequence[Shape | None]) -> int:
    """Peak of the maker [bytes]."""
    train = recipe.train if isinstance(recipe, PeftPrune | FedAvg) else recipe
    if isinstance(train, Train):
        need, cap = _training_memory(train, size, others), train.caps.memory_mb
        return need if cap is None else min(need, cap * 10**6)  # beyond it the maker dies
    if isinstance(recipe, LoraFinetune):
        lora = Train(technique="train", update=LoraUpdate(rank=recipe.rank),
                     sequence=recipe.max_tokens, batch=recipe.batch)  # fmt: skip
        return _training_memory(lora, size, ())
    beside = _RUNTIME if recipe.technique not in ("gguf_quantize", "dequantize") else 60_000_000
    twice = sum(4 * other.parameters for other in others if other is not None)
    return round(beside + _BYTES_PER_WEIGHT.get(recipe.technique, 8.0) * size.parameters + twice)


def _training_memory(recipe: Train, size: Shape, others: Sequence[Shape | None]) -> int:
    trained = size.parameters
    if isinstance(recipe.update, LoraUpdate):
        sides = (size.hidden, size.hidden, size.hidden, size.hidden)
        wide = 3 * (size.hidden + size.inner)
        trained = recipe.update.rank * size.layers * (sum(sides) * 2 + wide)
    elif recipe.update.kind == "prompt":
        trained = recipe.update.tokens * size.hidden
    rows = max(1, min(recipe.batch, _LOGITS // max(1, recipe.sequence * size.vocabulary)))
    tokens = rows * recipe.sequence
    wide = 2 if recipe.compute == "bfloat16" else 4
    activations = tokens * size.layers * (20 * size.hidden + 5 * size.inner) * wide
    logits = 5 * 4 * tokens * size.vocabulary
    merging = 4 * size.parameters if isinstance(recipe.update, LoraUpdate) else 0
    teacher = others[0] if recipe.teacher is not None and others else None
    taught = 0 if teacher is None else 4 * teacher.parameters + 2 * logits
    copies = 2 * size.parameters if recipe.compute == "bfloat16" else 0
    quantized = 4 * size.parameters if recipe.quantize is not None else 0
    weights = 4 * size.parameters + 12 * trained
    learning = weights + activations + logits + taught + copies + quantized
    return round(_TRAINING_RUNTIME + learning + merging)
