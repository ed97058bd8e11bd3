"""What a maker is told and what it reports: the record beside an artefact, and the pipe lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from slmbench.spec import Frozen, Recipe
from slmbench.spec.base import Name, Sha256
from slmbench.spec.variant import Format


class TypeCount(Frozen):
    """How many tensors of a GGUF have a type."""

    type: str
    tensors: int


class DequantizeFacts(Frozen):
    """How a GGUF became a float32 folder."""

    technique: Literal["dequantize"] = "dequantize"
    from_types: tuple[TypeCount, ...]
    """Tensor types of the GGUF: the rounding that the float weights still carry."""
    tensors: int
    """Tensors written; every element was checked to be finite."""
    parameters: int
    """Weights written, a tied output head counted once."""
    tied_head: bool
    """The output head shares the embedding's weights."""
    tokenizer_check: str
    """Whether the tokenizer was compared with llama.cpp's on probe texts, and how many."""


class GgufExportFacts(Frozen):
    """How a folder became a GGUF; the file was read back and compared with the folder."""

    technique: Literal["gguf_export"] = "gguf_export"
    dtype: str
    """Type of the matrices."""
    tensors: int
    """Tensors written, each equal to the folder's (its cast) after reading back."""
    parameters: int
    """Weights written, a tied output head counted once."""
    rounded_weights: int
    """Weights that the type cannot hold exactly; 0: the same model bit for bit."""
    tied_head: bool
    pre_tokenizer: str
    """llama.cpp's name of the splitter that was recognised."""
    tokenizer_check: str
    """Whether the tokenizer was compared with llama.cpp's on probe texts, and how many."""


class GgufQuantizeFacts(Frozen):
    """How a GGUF became another."""

    technique: Literal["gguf_quantize"] = "gguf_quantize"
    note: str
    """``requantized from Q4_1``, or ``quantized from F16``."""
    from_types: tuple[TypeCount, ...]
    to_types: tuple[TypeCount, ...]
    """Tensor types that llama.cpp chose: rows that are no multiple of 256 fall back to others."""
    bits_per_weight: float
    """Bits of tensor data per weight in the result."""


class TorchaoFacts(Frozen):
    """Which weights torchao quantized."""

    technique: Literal["torchao"] = "torchao"
    quantized_linears: int
    kept_float: tuple[str, ...]
    """Modules whose weights stay float (embedding, norms; the head, tied or not)."""
    reload_max_logit_difference: float
    """Largest difference between logits before saving and after reloading; must be 0."""


class DepthPruneFacts(Frozen):
    """Which layers went, and why."""

    technique: Literal["depth_prune"] = "depth_prune"
    block_influence: tuple[float, ...]
    """Of every decoder layer of the parent, in order (0 = output equals input in direction)."""
    dropped_layers: tuple[int, ...]
    """Indices in the parent, counted from 0."""
    calibration: str
    """Name of the data set whose text was read."""
    calibration_source: str
    """Where it came from."""
    calibration_sha256: str
    """Digest of its files."""
    text_indices: tuple[int, ...]
    """Rows of the calibration set that were read."""
    tokens: int
    """Tokens that the means are taken over."""
    parameters_before: int
    parameters_after: int


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


class RandomInitFacts(Frozen):
    """What was drawn."""

    technique: Literal["random_init"] = "random_init"
    parameters: int
    """Weights, a tied output head counted once."""
    vocab_size: int
    tokenizer: Literal["bytes", "the parent's"]
    note: str = "random weights: latency, memory and energy only"


Facts = Annotated[
    DequantizeFacts
    | GgufExportFacts
    | GgufQuantizeFacts
    | TorchaoFacts
    | DepthPruneFacts
    | LoraFacts
    | RandomInitFacts,
    Field(discriminator="technique"),
]
"""What one technique has to tell."""


class MadeRecord(Frozen):
    """How a derived artefact was made: ``variant.json`` beside it."""

    schema_version: Literal[1] = 1
    variant: Name
    """Name of the variant that it was first made for."""
    identity: Sha256
    """Digest of recipe and parent identity: the key of the cache."""
    recipe: Recipe
    parent: Name | None
    """None for what is made of nothing."""
    parent_identity: str | None
    parent_sha256: Sha256 | None
    """Content digest of the parent's artefact."""
    artefact: str
    """Name of the file or folder beside this record."""
    artefact_sha256: Sha256
    """Content digest (a folder's: see :func:`slmbench.content.content_of`)."""
    artefact_bytes: int
    facts: Facts
    tools: dict[str, str]
    """Versions of the libraries that did it."""
    started_utc: str
    duration_s: float
    """Wall time of the maker from its start to the written files, digesting left out [s]."""
    threads: int
    peak_memory_bytes: int | None
    """Peak resident memory of the maker (VmHWM) [bytes]; None where there is no /proc."""


class MakeJob(Frozen):
    """What the maker process reads on stdin."""

    variant: Name
    identity: Sha256
    recipe: Recipe
    format: Format
    """Format that the variant declares; the technique must produce it."""
    parent: Name | None
    """None, like what follows, for what is made of nothing."""
    parent_identity: str | None
    parent_sha256: Sha256 | None
    parent_path: str | None
    out: str
    """Temporary folder to write into."""
    threads: int


class Progress(Frozen):
    """A line for people."""

    kind: Literal["progress"] = "progress"
    text: str


class Done(Frozen):
    """The artefact and its record are written."""

    kind: Literal["done"] = "done"


class Failed(Frozen):
    """The maker could not do it, for a reason that a user should read."""

    kind: Literal["failed"] = "failed"
    error: str
    """Class name in :mod:`slmbench.errors`."""
    message: str
    hint: str | None = None


MakerLine: TypeAdapter[Progress | Done | Failed] = TypeAdapter(
    Annotated[Progress | Done | Failed, Field(discriminator="kind")]
)
"""One JSON line that the maker writes."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A variant's file or folder on this machine."""

    path: Path
    sha256: str
    """Content digest."""
    bytes: int
    """Size on disk; of a folder the sum of its files [bytes]."""
    made: MadeRecord | None
    """How it was derived; None for a source."""
