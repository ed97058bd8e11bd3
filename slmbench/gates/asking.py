"""Asking models from here: each question runs in a child process that may die."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slmbench.errors import SlmbenchError
from slmbench.gates.probe import ProbeAnswer, ProbeJob
from slmbench.process import Child
from slmbench.requests import ItemSet, LoglikelihoodRequest
from slmbench.runner.endings import verdict
from slmbench.runner.events import Silent
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import Outcome, run_job, worker_env
from slmbench.spec import RunSpec, Target, TaskSpec, VariantRef

_PROBE = "slmbench.gates.probe"
_TIMEOUT_S = 1800.0


class UnanswerableError(SlmbenchError):
    """A model could not be asked: the gate that wanted to know has not been passed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An artefact on a target: what can be asked."""

    ref: VariantRef
    path: Path
    sha256: str
    target: Target
    """Threads resolved."""

    @property
    def label(self) -> str:
        """``smollm2-f32 in transformers``."""
        return f"{self.ref.name} in {self.target.backend}"

    def with_options(self, **options: str | int | float | bool) -> Subject:
        """The same with other engine options."""
        merged = {**self.target.options, **options}
        return replace(self, target=self.target.model_copy(update={"options": merged}))

    def spec(self, task: str, *, share: bool = True) -> RunSpec:
        """A cell that asks it a task's items."""
        work = TaskSpec(
            task=task,
            primary="acc_norm",
            num_fewshot=0,
            chat_template=False,
            items=None,
            seed=0,
            shared_prefix=share,
        )
        return RunSpec(
            suite="gates",
            size="demo",
            variant=self.ref,
            target=self.target,
            work=work,
            timeout_s=_TIMEOUT_S,
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """Items, and whether their common prefixes may be shared."""

    items: ItemSet
    share: bool = True


def run_items(subject: Subject, sets: Sequence[Ask]) -> tuple[Outcome, ...]:
    """The items answered by the worker that runs use, in one new process; an outcome per set."""
    if not sets:
        return ()
    with tempfile.TemporaryDirectory(prefix="slmbench-gates-") as folder:
        cells = []
        for index, ask in enumerate(sets):
            path = Path(folder) / f"{index}.json"
            path.write_text(ask.items.model_dump_json(), "utf-8")
            spec = subject.spec(ask.items.task, share=ask.share)
            cells.append(CellJob(spec=spec, items=str(path)))
        job = WorkerJob(
            artefact=str(subject.path), artefact_sha256=subject.sha256, cells=tuple(cells)
        )
        return tuple(run_job(job, Silent()))


def probe(
    subject: Subject,
    *,
    strings: Sequence[str] = (),
    texts: Sequence[str] = (),
    sequences: Sequence[tuple[int, ...]] = (),
    requests: Sequence[LoglikelihoodRequest] = (),
    folder: Path | None = None,
) -> ProbeAnswer:
    """Ids of the strings, scores of the requests, rows of texts or sequences in ``folder``.

    Raises UnanswerableError when the model cannot be loaded or asked.
    """
    job = ProbeJob(
        artefact=str(subject.path),
        artefact_sha256=subject.sha256,
        target=subject.target,
        strings=tuple(strings),
        texts=tuple(texts),
        sequences=tuple(sequences),
        requests=tuple(requests),
        folder=str(folder or ""),
    )
    spec = subject.spec("probe")
    end = time.monotonic() + _TIMEOUT_S
    with Child(_PROBE, python=subject.target.python, env=worker_env(spec)) as child:
        child.send(job.model_dump_json())
        lines = list(child.lines(lambda: end))
        ending = child.finish()
    if not lines:
        said = verdict(ending, spec)
        tail = f" | {ending.stderr_tail[-1]}" if ending.stderr_tail else ""
        raise UnanswerableError(f"{subject.label}: {said.reason}{tail}", hint=said.hint)
    answer = ProbeAnswer.model_validate_json(lines[0])
    if answer.failure:
        raise UnanswerableError(f"{subject.label}: {answer.failure}")
    return answer
