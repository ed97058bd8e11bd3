"""What every technique is given and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slmbench.errors import ArtefactError
from slmbench.lifecycle.job import OtherInput
from slmbench.made import Facts


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where to read, where to write, and with how much."""

    made_from: Path | None
    """The parent's artefact, never written to; None for what is made of nothing."""
    out: Path
    """Empty folder to put the artefact into."""
    threads: int
    report: Callable[[str], None]
    """Takes a line for people."""
    others: Mapping[str, OtherInput] = field(default_factory=dict)
    """What the recipe names besides the parent, by variant name; never written to."""
    checkpoints: Path | None = None
    """Folder of this identity that outlives an interruption and goes when the artefact is sealed;
    None: nothing can be kept."""

    def other(self, name: str) -> OtherInput:
        """A variant besides the parent; ArtefactError for one that the job does not bring."""
        if name not in self.others:
            raise ArtefactError(f"{name} was not given to this technique")
        return self.others[name]

    @property
    def parent(self) -> Path:
        """The parent's artefact; ArtefactError for a technique that was given none."""
        if self.made_from is None:
            raise ArtefactError("this technique needs a parent")
        return self.made_from


@dataclass(frozen=True, slots=True)
class Product:
    """What a technique made."""

    path: Path
    """The artefact, directly below ``out``."""
    facts: Facts
    libraries: tuple[str, ...]
    """Distributions whose versions belong in the record."""
