"""What every technique is given and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slmbench.errors import ArtefactError
from slmbench.lifecycle.made import Facts


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
