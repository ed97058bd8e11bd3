"""The record beside a derived artefact, ``variant.json``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slmbench.made.conversion import CastFacts, DequantizeFacts, GgufExportFacts, OnnxExportFacts
from slmbench.made.initialization import LowRankFacts, MergeFacts, RandomInitFacts
from slmbench.made.perturbation import PerturbFacts
from slmbench.made.pruning import DepthPruneFacts, SparsifyFacts, WidthPruneFacts
from slmbench.made.quantization import GgufQuantizeFacts, GridFacts, TorchaoFacts
from slmbench.made.training import (
    FedAvgFacts,
    LoraFacts,
    PeftPruneFacts,
    TrainFacts,
    Training,
)
from slmbench.records import Provenance
from slmbench.spec import Frozen, Recipe
from slmbench.spec.base import Name, Sha256

Facts = Annotated[
    DequantizeFacts
    | GgufExportFacts
    | CastFacts
    | OnnxExportFacts
    | GgufQuantizeFacts
    | TorchaoFacts
    | GridFacts
    | DepthPruneFacts
    | WidthPruneFacts
    | SparsifyFacts
    | PerturbFacts
    | RandomInitFacts
    | LowRankFacts
    | MergeFacts
    | LoraFacts
    | TrainFacts
    | PeftPruneFacts
    | FedAvgFacts,
    Field(discriminator="technique"),
]
"""What one technique has to tell."""


class OtherUsed(Frozen):
    """A variant that was read besides the parent."""

    name: Name
    identity: str
    sha256: Sha256


class Measured(Frozen):
    """What the artefact is, read off its files and not off its name."""

    parameters: int
    """Logical weights, a tied head once."""
    weight_bytes: int
    """Of tensors as stored, scales included."""
    bits_per_weight: float
    """8 weight_bytes / parameters: with scales, embeddings and head."""
    zero_share: float
    """Share of weights that are zero (GGUF and integer tensors: 0, not looked at)."""
    kernel: Literal["real", "simulated"]
    kernel_reason: str
    """What was seen: ``50 % zeros in dense matrices``, ``at most 16 levels in groups of 32, stored
    as float32``; for real ones which."""


class Energy(Frozen):
    """What making it took."""

    joules: float | None
    """Gross, over the technique [J]; None: unavailable."""
    provenance: Provenance
    scope: str
    """Which components, by which source; or why nothing is known."""


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
    others: tuple[OtherUsed, ...] = ()
    """Teachers, the other side of a merge."""
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
    """Wall time of the maker from its start to the written files, digesting left out [s]; of a
    training that was interrupted, with the attempts that it went on from."""
    threads: int
    peak_memory_bytes: int | None
    """Peak resident memory of the maker (VmHWM) [bytes]; below a cap that a memory control group
    holds, the most that was charged to the group. None where there is no /proc."""
    measured: Measured | None = None
    """None in records of earlier versions."""
    energy: Energy | None = None
    """None in records of earlier versions."""

    @property
    def training(self) -> Training | None:
        """The run of the training loop in it; None for techniques that do not train."""
        facts = self.facts
        if isinstance(facts, TrainFacts | PeftPruneFacts | FedAvgFacts):
            return facts.training
        return None

    @property
    def grid_bits(self) -> float | None:
        """Bits per weight that the grid would take if its levels were packed; None without one."""
        facts = self.facts
        if isinstance(facts, GridFacts):
            return facts.bits_per_weight
        if isinstance(facts, TorchaoFacts | TrainFacts):
            return facts.grid_bits_per_weight
        return None
