"""Ask a backend the items of a task, all at once where that lets it share work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from slmbench.backends import Backend
from slmbench.records import ModelInfo, Observation
from slmbench.requests import GenerateRequest, Item, ItemOutput, Output
from slmbench.spec import RunSpec, TaskSpec


def answers(backend: Backend, items: Sequence[Item], *, share: bool) -> Iterator[ItemOutput]:
    """All answers to each item, in order, as soon as known.

    Items that only need log-likelihoods are handed over together, so that a few-shot preamble
    is evaluated once for all of them; ``share=False`` evaluates every request from scratch.
    """
    if any(isinstance(r, GenerateRequest) for item in items for r in item.requests):
        for item in items:
            yield _answer(backend, item, share=share)
        return
    scored = [r for item in items for r in item.requests if not isinstance(r, GenerateRequest)]
    outputs = backend.loglikelihood(scored, share=share)
    for item in items:
        yield ItemOutput(item_id=item.item_id, outputs=tuple(next(outputs) for _ in item.requests))


def sharing_observation(
    backend: Backend, items: Sequence[Item], *, share: bool
) -> Observation | None:
    """Why prefixes were not shared; None where they were, or where nothing was scored."""
    if all(isinstance(r, GenerateRequest) for item in items for r in item.requests):
        return None
    if not share:
        reason = "asked for by scoring.shared_prefix: false"
    else:
        verdict = backend.sharing()
        if verdict.exact:
            return None
        reason = verdict.reason
    return Observation(
        kind="shared_prefix",
        value=0.0,
        unit="",
        message=f"every request was evaluated from scratch: {reason}",
    )


def cache_file(folder: Path, model: ModelInfo, spec: RunSpec) -> Path:
    """File of kept scores: one per artefact, engine, target (dtype, options) and way of scoring."""
    share = isinstance(spec.work, TaskSpec) and spec.work.shared_prefix
    what = (model.artefact_sha256, model.engine_version, spec.target.model_dump_json(), str(share))
    return folder / f"{hashlib.sha256(chr(0).join(what).encode()).hexdigest()[:32]}.sqlite"


def _answer(backend: Backend, item: Item, *, share: bool) -> ItemOutput:
    scored = [r for r in item.requests if not isinstance(r, GenerateRequest)]
    likelihoods = list(backend.loglikelihood(scored, share=share)) if scored else []
    outputs: list[Output] = []
    for request in item.requests:
        if isinstance(request, GenerateRequest):
            outputs.append(backend.generate(request))
        else:
            outputs.append(likelihoods.pop(0))
    return ItemOutput(item_id=item.item_id, outputs=tuple(outputs))
