"""The protocol that every engine is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.spec import Target


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do, declared without importing its engine."""

    formats: tuple[str, ...]
    """Artefact formats it loads."""
    devices: tuple[str, ...]
    """Device kinds: ``cpu``, ``cuda``."""
    loglikelihood: bool = True
    generate: bool = True
    token_timestamps: bool = True


@dataclass(frozen=True, slots=True)
class LoadJob:
    """What to load and how."""

    path: Path
    """File (gguf) or folder (hf); for ``fake`` it need not exist."""
    artefact_sha256: str
    """Content digest, already checked; goes into ModelInfo."""
    target: Target
    seed: int = 0


class BackendError(Exception):
    """A backend could not do it; becomes the cell's Status with this reason and hint."""

    def __init__(self, status: Status, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.hint = status, reason, hint


class Backend(Protocol):
    """One loaded model behind one engine.

    Methods raise BackendError for endings that a user should read; anything else is a bug.
    """

    capabilities: ClassVar[Capabilities]

    def load(self, job: LoadJob) -> ModelInfo:
        """Load the artefact; the model can answer afterwards."""

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest]
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order, yielded as soon as known.

        Callers pass the requests of one item together, so that a shared context is
        evaluated once; results do not depend on how requests are grouped.
        """

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """Greedy decoding until a stop sequence, an end token or max_tokens."""

    def generate_ids(self, prompts: Sequence[Sequence[int]], n: int) -> tuple[GenerateOutput, ...]:
        """Exactly ``n`` tokens after each prompt (end tokens ignored), from a cold KV cache.

        For workloads: one output per prompt; a batch shares its time stamps.
        """

    def vocab_size(self) -> int:
        """Ids that a random prompt may be drawn from are below this number."""

    def close(self) -> None:
        """Free the model."""
