"""What every technique is given and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slmbench.lifecycle.made import Facts


@dataclass(frozen=True, slots=True)
class Workbench:
    """Where to read, where to write, and with how much."""

    parent: Path
    """The parent's artefact; never written to."""
    out: Path
    """Empty folder to put the artefact into."""
    threads: int
    report: Callable[[str], None]
    """Takes a line for people."""


@dataclass(frozen=True, slots=True)
class Product:
    """What a technique made."""

    path: Path
    """The artefact, directly below ``out``."""
    facts: Facts
    libraries: tuple[str, ...]
    """Distributions whose versions belong in the record."""
