"""What a maker is told, the lines that it writes, and the artefact that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from slmbench.made import MadeRecord, OtherUsed
from slmbench.memory_group import MemoryGroup
from slmbench.spec import Frozen, Recipe
from slmbench.spec.base import Name, Sha256
from slmbench.spec.recipes.technique import Format


class OtherInput(OtherUsed):
    """A variant besides the parent, with its place."""

    path: str
    format: Format


class MakeJob(Frozen):
    """What the maker process reads on stdin."""

    variant: Name
    identity: Sha256
    recipe: Recipe
    format: Format
    """Format that the variant declares; the technique must produce it."""
    parent: Name | None
    """None, like what follows, for what is made of nothing."""
    parent_identity: str | None
    parent_sha256: Sha256 | None
    parent_path: str | None
    others: tuple[OtherInput, ...] = ()
    """What the recipe names besides the parent, in its order."""
    checkpoints: str | None = None
    """Folder that outlives an interruption; None: none is kept."""
    out: str
    """Temporary folder to write into."""
    threads: int
    energy: bool = False
    """Whether its energy is metered."""
    address_space: int | None = None
    """Limit that the maker sets itself before it imports an engine [bytes]; None: none."""
    group: MemoryGroup | None = None
    """Whose peak counts as its memory; None: it runs in no group of its own."""


class Progress(Frozen):
    """A line for people."""

    kind: Literal["progress"] = "progress"
    text: str


class Done(Frozen):
    """The artefact and its record are written."""

    kind: Literal["done"] = "done"


class Failed(Frozen):
    """The maker could not do it, for a reason that a user should read."""

    kind: Literal["failed"] = "failed"
    error: str
    """Class name in :mod:`slmbench.errors`."""
    message: str
    hint: str | None = None


MakerLine: TypeAdapter[Progress | Done | Failed] = TypeAdapter(
    Annotated[Progress | Done | Failed, Field(discriminator="kind")]
)
"""One JSON line that the maker writes."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A variant's file or folder on this machine."""

    path: Path
    sha256: str
    """Content digest."""
    bytes: int
    """Size on disk; of a folder the sum of its files [bytes]."""
    made: MadeRecord | None
    """How it was derived; None for a source."""
    draft: Path | None = None
    """Artefact of the variant that proposes tokens to it, where a target asks for one."""

    @property
    def simulated(self) -> str:
        """Why its speed, memory and energy say nothing; empty where its kernels are real."""
        seen = None if self.made is None else self.made.measured
        if seen is None or seen.kernel == "real":
            return ""
        return f"simulated kernels, as its files show: {seen.kernel_reason}"
