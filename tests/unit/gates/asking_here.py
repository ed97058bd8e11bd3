"""Questions answered in this process instead of a child: an engine is imported once for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from builders import choice_items, sha, variant
from slmbench.backends import BACKENDS, LoadJob
from slmbench.gates import measuring
from slmbench.gates.asking import Ask, Subject, UnanswerableError
from slmbench.gates.probe import ProbeAnswer, ProbeJob, answer_probe
from slmbench.records import Status
from slmbench.requests import Item, ItemOutput, ItemSet, LoglikelihoodRequest
from slmbench.runner.supervisor import Outcome
from slmbench.spec import Target


def ask_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the children of :mod:`slmbench.gates.measuring`."""
    monkeypatch.setattr(measuring, "probe", probe_here)
    monkeypatch.setattr(measuring, "run_items", run_here)


def probe_here(subject: Subject, *, folder: Path | None = None, **asked: Any) -> ProbeAnswer:
    """As ``asking.probe``."""
    answer = answer_probe(
        ProbeJob(
            artefact=str(subject.path),
            artefact_sha256=subject.sha256,
            target=subject.target,
            folder=str(folder or ""),
            **{name: tuple(what) for name, what in asked.items()},
        )
    )
    if answer.failure:
        raise UnanswerableError(answer.failure)
    return answer


def run_here(subject: Subject, sets: Sequence[Ask]) -> tuple[Outcome, ...]:
    """As ``asking.run_items``."""
    backend = BACKENDS.load(subject.target.backend)()
    info = backend.load(LoadJob(subject.path, subject.sha256, subject.target))
    found = []
    for ask in sets:
        items, share = ask.items, ask.share
        asked = [r for i in items.items for r in i.requests if isinstance(r, LoglikelihoodRequest)]
        answers = iter(list(backend.loglikelihood(asked, share=share)))
        outputs = tuple(
            ItemOutput(item_id=i.item_id, outputs=tuple(next(answers) for _ in i.requests))
            for i in items.items
        )
        spec = subject.spec(items.task, share=share)
        found.append(Outcome(spec, None, "", 0.0, Status.OK, model=info, outputs=outputs))
    backend.close()
    return tuple(found)


def subject_of(path: Path, backend: str, **settings: Any) -> Subject:
    """An artefact on a CPU target of one thread."""
    name = f"{path.parent.name}-{path.stem}"
    target = Target(name=backend, backend=backend, threads=1, context=512, **settings)
    return Subject(variant(name), path, sha(str(path)), target)


def short_items(n: int = 16) -> ItemSet:
    """Four choices an item, of several tokens each."""
    words = "the rain in another town on some other day and then again while nobody was there"
    parts = words.split()
    items = tuple(
        Item(
            item_id=f"q{i}",
            cluster=f"q{i}",
            requests=tuple(
                LoglikelihoodRequest(
                    context=f"Question {i}: what of {' '.join(parts[i % 7 :])}?\nAnswer:",
                    continuation=f" {' '.join(parts[c + i % 5 : c + i % 5 + 3])}.",
                )
                for c in range(4)
            ),
            gold=i % 4,
            choices=tuple(" ".join(parts[c + i % 5 : c + i % 5 + 3]) for c in range(4)),
        )
        for i in range(n)
    )
    return choice_items("short", 1).model_copy(update={"items": items, "population": n})
