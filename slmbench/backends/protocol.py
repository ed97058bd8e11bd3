"""The protocol that every engine is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from slmbench.records import ModelInfo, Status
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    LoglikelihoodOutput,
    LoglikelihoodRequest,
    RollingRequest,
)
from slmbench.spec import Endpoint, Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    LogprobMatrix = npt.NDArray[np.float32]


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
    token_ids: bool = True
    """It takes prompts of token ids: what timed workloads but ``serving`` need."""
    drafts: bool = False
    """It can check tokens that another variant proposes (option ``draft``)."""
    serves: bool = False
    """It is a server with an endpoint: what the workload ``serving`` needs."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whether requests may share the evaluation of a common prefix."""

    exact: bool
    reason: str = ""
    """Why not, or what to know about a model's rounding, for people."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How many answers are written at a time."""

    rows: int
    """1: each alone."""
    reason: str = ""
    """Why alone, or what a batch changes, for people; empty: it changes nothing."""


@dataclass(frozen=True, slots=True)
class LoadJob:
    """What to load and how."""

    path: Path
    """File (gguf) or folder (hf); for ``fake`` it need not exist."""
    artefact_sha256: str
    """Content digest, already checked; goes into ModelInfo."""
    target: Target
    seed: int = 0
    draft: Path | None = None
    """Artefact of the target's option ``draft``, a variant of its own; None: it has none."""


class BackendError(Exception):
    """A backend could not do it; becomes the cell's Status with this reason and hint."""

    def __init__(self, status: Status, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.hint = status, reason, hint


@runtime_checkable
class Serving(Protocol):
    """A backend that is a server, besides what Backend says."""

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go; BackendError when the server is gone."""


class Backend(Protocol):
    """One loaded model behind one engine.

    Methods raise BackendError for endings that a user should read; anything else is a bug.
    """

    capabilities: ClassVar[Capabilities]

    def load(self, job: LoadJob) -> ModelInfo:
        """Load the artefact; the model can answer afterwards."""

    def loglikelihood(
        self, requests: Sequence[LoglikelihoodRequest | RollingRequest], *, share: bool = True
    ) -> Iterator[LoglikelihoodOutput]:
        """One output per request, in order, yielded as soon as known.

        Callers pass all requests of a task, so that what they have in common is evaluated
        once; ``share=False`` is the naive path, every request from scratch. The next output
        must be taken before the backend is asked for anything else.
        """

    def remember(self, file: Path | None) -> None:
        """Keep scores in this file and answer from it what it has; None: no longer.

        One file holds one model in one engine and setting: the caller sees to that. Raises
        BackendError (invalid) for a file that is not a cache of this version.
        """

    def sharing(self) -> Sharing:
        """Whether this model's shared prefixes are exact; decided when first asked."""

    def encode(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Token ids; ``special`` adds BOS and the like where the tokenizer does by default."""

    def next_logprobs(self, ids: Sequence[int], first: int) -> LogprobMatrix:
        """log p(. | ids[:i]) for i = first … len(ids) - 1, over the full vocabulary [nats].

        float32, shape (len(ids) - first, outputs), each row a float32 log-softmax; ``outputs``
        is the width of the model's output layer, padding included: vocab_size() or more.
        ``first`` >= 1. From a cold cache.
        """

    def generate(self, request: GenerateRequest) -> GenerateOutput:
        """Decoding until a stop sequence, an end token or max_tokens, from a cold cache.

        Greedy at temperature 0. Else drawn from the float32 softmax of logits / temperature
        over all outputs; a draw depends on the distribution, the seed and the token's number.
        """

    def generate_many(self, requests: Sequence[GenerateRequest]) -> Iterator[GenerateOutput]:
        """One output per request, in order, yielded as soon as known.

        Callers pass all requests of a task, so that several are written at a time, and put
        requests with the same prompt side by side, so that it is evaluated once. Rows of a
        batch share their time stamps: for quality, never for latency. The next output must be
        taken before the backend is asked for anything else.
        """

    def batching(self) -> Batching:
        """How many answers ``generate_many`` writes at a time; decided when first asked."""

    def generate_ids(
        self, prompts: Sequence[Sequence[int]], n: int, *, depth: int = 0
    ) -> tuple[GenerateOutput, ...]:
        """Exactly ``n`` tokens after each prompt (end tokens ignored), from a cold KV cache.

        The first ``depth`` tokens of each prompt are put into the cache before the clock starts:
        ``start_ns`` comes after them, ``prompt_tokens`` and ``evaluated_tokens`` leave them out.
        For workloads: one output per prompt; a batch shares its time stamps.
        """

    def vocab_size(self) -> int:
        """Ids that a random prompt may be drawn from are below this number."""

    def close(self) -> None:
        """Free the model."""
