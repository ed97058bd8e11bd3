"""Ask a backend the items of a task, all at once where that lets it share work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmbench.backends import Backend
from slmbench.records import ModelInfo, Observation
from slmbench.requests import (
    GenerateOutput,
    GenerateRequest,
    Item,
    ItemOutput,
    LoglikelihoodRequest,
    Output,
    RollingRequest,
)
from slmbench.spec import RunSpec, TaskSpec

_STRIDE = 64
"""Items that are scored, then written to, where a task asks for both."""


def answers(backend: Backend, items: Sequence[Item], *, share: bool) -> Iterator[ItemOutput]:
    """All answers to each item, in order, as soon as known.

    Items are handed over together, so that a few-shot preamble is evaluated once for all of them
    and several answers are written at a time; ``share=False`` evaluates every request from
    scratch, alone.
    """
    kinds = {isinstance(r, GenerateRequest) for item in items for r in item.requests}
    stride = _STRIDE if len(kinds) > 1 else max(1, len(items))
    for first in range(0, len(items), stride):
        yield from _answers(backend, items[first : first + stride], share=share)


def _answers(backend: Backend, items: Sequence[Item], *, share: bool) -> Iterator[ItemOutput]:
    """As :func:`answers`; what is scored is finished before the first word is written."""
    scored, asked = _split(items)
    likelihoods: Iterator[Output] = backend.loglikelihood(scored, share=share)
    if scored and asked:
        likelihoods = iter(list(likelihoods))
    written = backend.generate_many(asked) if share else map(backend.generate, asked)
    for item in items:
        yield ItemOutput(
            item_id=item.item_id,
            outputs=tuple(
                next(written) if isinstance(r, GenerateRequest) else next(likelihoods)
                for r in item.requests
            ),
        )


def _split(
    items: Sequence[Item],
) -> tuple[list[LoglikelihoodRequest | RollingRequest], list[GenerateRequest]]:
    """What is scored and what is written, each in order."""
    scored: list[LoglikelihoodRequest | RollingRequest] = []
    asked: list[GenerateRequest] = []
    for item in items:
        for request in item.requests:
            if isinstance(request, GenerateRequest):
                asked.append(request)
            else:
                scored.append(request)
    return scored, asked


def batching_observation(
    backend: Backend, items: Sequence[Item], *, share: bool
) -> Observation | None:
    """Why answers were written one by one, or what a batch changes; None: nothing to say."""
    if len(_split(items)[1]) < 2:
        return None
    if not share:
        rows, reason = 1, "asked for by scoring.shared_prefix: false"
    else:
        verdict = backend.batching()
        rows, reason = verdict.rows, verdict.reason
        if not reason:
            return None
    how = "one by one" if rows < 2 else f"up to {rows} at a time"
    return Observation(
        kind="batched_answers",
        value=float(rows),
        unit="",
        message=f"answers were written {how}: {reason}",
    )


def sharing_observation(
    backend: Backend, items: Sequence[Item], *, share: bool
) -> Observation | None:
    """Why prefixes were not shared, or what is to be known where they were; None: nothing."""
    if all(isinstance(r, GenerateRequest) for item in items for r in item.requests):
        return None
    shared, reason = False, "asked for by scoring.shared_prefix: false"
    if share:
        verdict = backend.sharing()
        shared, reason = verdict.exact, verdict.reason
        if not reason:
            return None
    how = "prefixes were shared" if shared else "every request was evaluated from scratch"
    return Observation(
        kind="shared_prefix", value=float(shared), unit="", message=f"{how}: {reason}"
    )


@dataclass(slots=True)
class Acceptance:
    """How often a draft's tokens were the model's own."""

    drafted: int = 0
    accepted: int = 0

    def add(self, output: ItemOutput) -> None:
        """Count an item's answers."""
        written = [o for o in output.outputs if isinstance(o, GenerateOutput)]
        self.drafted += sum(o.drafted for o in written)
        self.accepted += sum(o.accepted for o in written)

    def observation(self) -> Observation | None:
        """What is to be told; None: nothing was proposed."""
        if not self.drafted:
            return None
        return Observation(
            kind="acceptance_rate",
            value=self.accepted / self.drafted,
            unit="fraction",
            message=f"{self.accepted} of {self.drafted} tokens of the draft were accepted",
        )


def cache_file(folder: Path, model: ModelInfo, spec: RunSpec) -> Path:
    """File of kept scores: one per artefact, engine, target (dtype, options) and way of scoring."""
    share = isinstance(spec.work, TaskSpec) and spec.work.shared_prefix
    what = (model.artefact_sha256, model.engine_version, spec.target.model_dump_json(), str(share))
    return folder / f"{hashlib.sha256(chr(0).join(what).encode()).hexdigest()[:32]}.sqlite"
