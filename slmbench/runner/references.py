"""Where the parents' log-probabilities lie while a campaign needs them, and who makes them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from slmbench.locations import cache_dir
from slmbench.records import Status
from slmbench.runner.events import Listener, Silent
from slmbench.runner.protocol import CellJob, WorkerJob
from slmbench.runner.supervisor import run_job
from slmbench.spec import RunSpec, WorkloadSpec


@dataclass(frozen=True, slots=True)
class NoReference:
    """Why a parent could not be read the text."""

    reason: str
    hint: str


def reference_spec(spec: RunSpec) -> RunSpec | None:
    """The cell that reads the text to the reference of a cell; None where it needs none."""
    work = spec.work
    if not isinstance(work, WorkloadSpec) or work.reference is None:
        return None
    alone = work.model_copy(update={"reference": None})
    return RunSpec(
        suite=spec.suite,
        size=spec.size,
        variant=work.reference.variant,
        target=work.reference.target,
        work=alone,
        timeout_s=spec.timeout_s,
    )


class References:
    """Scratch folders of one campaign, each made when first asked for.

    A folder is removed when the last cell that needs it is done, all of them when the campaign
    ends, and those of a campaign that was killed when the next one begins.
    """

    def __init__(self, specs: Iterable[RunSpec], listener: Listener) -> None:
        wanted = (reference_spec(spec) for spec in specs)
        self._left = Counter(r.digest for r in wanted if r is not None)
        self._listener = listener
        self._base = cache_dir("scratch")
        self._mine = self._base / f"fidelity-{os.getpid()}"
        self._made: dict[str, Path | NoReference] = {}

    def __enter__(self) -> Self:
        for folder in self._base.glob("fidelity-*"):
            pid = folder.name.rpartition("-")[2]
            if pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._mine, ignore_errors=True)

    def folder(self, reference: RunSpec, artefact: Path, sha256: str) -> Path | NoReference:
        """The folder with the reference's log-probabilities; runs its worker the first time."""
        key = reference.digest
        if key not in self._made:
            self._made[key] = self._make(reference, artefact, sha256)
        return self._made[key]

    def done(self, reference: RunSpec) -> None:
        """A cell that needed this reference has ended: remove what nobody needs any more."""
        key = reference.digest
        self._left[key] -= 1
        if self._left[key] <= 0:
            shutil.rmtree(self._mine / key[:16], ignore_errors=True)
            self._made.pop(key, None)

    def _make(self, reference: RunSpec, artefact: Path, sha256: str) -> Path | NoReference:
        name, target = reference.variant.name, reference.target.name
        self._listener.stage(f"reading the text to {name} on {target} (reference)")
        folder = self._mine / reference.key
        folder.mkdir(parents=True, exist_ok=True)
        cell = CellJob(spec=reference, items=None, scratch=str(folder))
        job = WorkerJob(artefact=str(artefact), artefact_sha256=sha256, cells=(cell,))
        (outcome,) = run_job(job, Silent())
        if outcome.status is Status.OK:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        return NoReference(
            f"the text could not be read to its reference {name} on {target}: "
            f"{outcome.status}: {outcome.reason}",
            outcome.hint,
        )
