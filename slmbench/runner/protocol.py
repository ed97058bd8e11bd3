"""What supervisor and worker say to each other: a job in, JSON lines out.

Cells that may stop early pause at each look (:class:`AtLook`) and are told to go on or not.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from slmbench.records import Environment, ModelInfo, PhaseRecord, Status
from slmbench.requests import ItemOutput
from slmbench.spec import Frozen, RunSpec, Target


class CellJob(Frozen):
    """One cell to run."""

    spec: RunSpec
    items: str | None
    """Path of the item set (tasks only)."""
    look_every: int | None = Field(default=None, ge=1)
    """Pause after so many items and ask whether to go on; null: answer all of them."""
    cache: str | None = None
    """Folder of kept scores to answer from and add to; null: every request is evaluated."""
    scratch: str | None = None
    """Fidelity: folder of the parent's log-probabilities, to be written or read."""
    process: int = 0
    """Which of the cell's processes this is; workloads draw other prompts in each."""
    target: Target | None = None
    """Instead of the spec's: a process may have a context or a limit of its own."""
    cold: bool = False
    """The artefact was dropped from the page cache just before."""
    page_cache: str = "page cache as it was"
    """What was done to it then, for the scope of the load time."""
    cached_share: float | None = None
    """Part of the artefact's bytes that were in it then; null: unknown."""

    @property
    def runs_on(self) -> Target:
        """The target that holds for this process."""
        return self.target or self.spec.target


class WorkerJob(Frozen):
    """All that one worker is to do: cells of the same variant and target."""

    artefact: str
    """Path of the file or folder."""
    artefact_sha256: str
    cells: tuple[CellJob, ...] = Field(min_length=1)
    draft: str | None = None
    """Path of the variant that proposes tokens; null: none does."""
    group: str | None = None
    """Folder of the memory control group that the worker is started in; its limit is the limit,
    and the address space stays free."""


class Started(Frozen):
    """The worker runs and knows where."""

    kind: Literal["started"] = "started"
    environment: Environment


class Loaded(Frozen):
    """The model can answer."""

    kind: Literal["loaded"] = "loaded"
    model: ModelInfo
    phases: tuple[PhaseRecord, ...]


class CellStarted(Frozen):
    """A cell begins; its deadline starts anew."""

    kind: Literal["cell_started"] = "cell_started"
    digest: str
    steps: int
    """How many StepDone will follow."""


class StepDone(Frozen):
    """One item answered or one repetition done."""

    kind: Literal["step"] = "step"
    output: ItemOutput | None = None


class AtLook(Frozen):
    """The cell pauses after ``asked`` items; a :class:`GoOn` is waited for."""

    kind: Literal["at_look"] = "at_look"
    asked: int


class GoOn(Frozen):
    """The supervisor's answer to :class:`AtLook`, one line on the worker's stdin."""

    more: bool
    """False: enough is known, the cell ends here."""


class PhaseDone(Frozen):
    """One phase of the running cell ended."""

    kind: Literal["phase"] = "phase"
    phase: PhaseRecord


class CellDone(Frozen):
    """The running cell ended by itself."""

    kind: Literal["cell_done"] = "cell_done"
    status: Status
    reason: str = ""
    hint: str = ""
    meters_s: float = 0.0
    """Time that meters took in this process so far, outside the phases [s]."""


class LoadFailed(Frozen):
    """Loading ended by itself, without a model: so end all cells of the job."""

    kind: Literal["load_failed"] = "load_failed"
    status: Status
    reason: str
    hint: str = ""


Message = Annotated[
    Started | Loaded | CellStarted | StepDone | AtLook | PhaseDone | CellDone | LoadFailed,
    Field(discriminator="kind"),
]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)
"""Parses one line."""
