"""One model asked for token ids and distributions, in a process of its own (``python -m`` only).

What gates need and runs do not: ids of many strings, and whole rows of log-probabilities, which
go to files because a pipe of text would be ten times as long.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np

from slmbench.backends import BACKENDS, LoadJob
from slmbench.backends.protocol import Backend, BackendError
from slmbench.errors import SlmbenchError
from slmbench.process import enter_child, limit_memory
from slmbench.records import ModelInfo
from slmbench.requests import LoglikelihoodOutput, LoglikelihoodRequest
from slmbench.spec import Frozen, Target

Ids = tuple[int, ...]


class ProbeJob(Frozen):
    """What to load, and what to ask it."""

    artefact: str
    artefact_sha256: str
    target: Target
    strings: tuple[str, ...] = ()
    """To be encoded, with and without what the tokenizer adds."""
    texts: tuple[str, ...] = ()
    """To be encoded and cut to ``most`` tokens, then read out like ``sequences``."""
    sequences: tuple[Ids, ...] = ()
    """Token ids whose every next-token distribution is wanted."""
    requests: tuple[LoglikelihoodRequest, ...] = ()
    """To be scored."""
    most: int = 64
    folder: str = ""
    """Where the rows go: ``<i>.npy``, float32, (tokens - 1, vocabulary)."""


class ProbeAnswer(Frozen):
    """What it said; ``failure`` instead when it could not be loaded or asked."""

    failure: str = ""
    model: ModelInfo | None = None
    special: tuple[Ids, ...] = ()
    plain: tuple[Ids, ...] = ()
    sequences: tuple[Ids, ...] = ()
    """Ids that the rows belong to."""
    outputs: tuple[LoglikelihoodOutput, ...] = ()
    """One per request."""


def main() -> None:
    """Entry point of ``python -m slmbench.gates.probe``."""
    with enter_child(sys.argv) as channel:
        job = ProbeJob.model_validate_json(sys.stdin.read())
        channel.write(answer_probe(job).model_dump_json() + "\n")


def answer_probe(job: ProbeJob) -> ProbeAnswer:
    """Load, ask, free; what goes wrong is told in ``failure``."""
    try:
        backend = BACKENDS.load(job.target.backend)()
        if job.target.memory_limit_bytes is not None:
            limit_memory(job.target.memory_limit_bytes)
        info = backend.load(LoadJob(Path(job.artefact), job.artefact_sha256, job.target))
        return _asked(backend, info, job)
    except BackendError as error:
        return ProbeAnswer(failure=f"{error.status.value}: {error.reason}")
    except SlmbenchError as error:
        return ProbeAnswer(failure=error.message)
    except Exception as error:  # noqa: BLE001 - a gate that cannot be measured has failed
        traceback.print_exc()
        return ProbeAnswer(failure=f"{type(error).__name__}: {error}".splitlines()[0])


def _asked(backend: Backend, info: ModelInfo, job: ProbeJob) -> ProbeAnswer:
    special = tuple(backend.encode(text, special=True) for text in job.strings)
    plain = tuple(backend.encode(text, special=False) for text in job.strings)
    texts = (backend.encode(text, special=True)[: job.most] for text in job.texts)
    sequences = (*job.sequences, *(ids for ids in texts if len(ids) > 1))
    for index, ids in enumerate(sequences):
        np.save(Path(job.folder) / f"{index}.npy", backend.next_logprobs(ids, 1))
    outputs = tuple(backend.loglikelihood(job.requests)) if job.requests else ()
    backend.close()
    return ProbeAnswer(
        model=info, special=special, plain=plain, sequences=sequences, outputs=outputs
    )


if __name__ == "__main__":
    main()
