"""Experiments on disk: ``<root>/.experiments/NAME.json``, as they were last run into this folder.

The file holds which cells belong to the experiment, so that a report finds exactly these among all
others, and what its variants are, whether or not they could be made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.spec import Frozen, Variant
from slmbench.spec.base import Name
from slmbench.spec.experiment import Experiment
from slmbench.store.write import replace_file

EXPERIMENTS = ".experiments"
"""Folder below the results folder."""


class MemberVariant(Frozen):
    """A variant of the experiment."""

    variant: Variant
    digest: str
    """Its identity, as in ``RunSpec.variant.digest``."""


class KeptExperiment(Frozen):
    """An experiment as it was last run."""

    schema_version: Literal[1] = 1
    experiment: Experiment
    members: tuple[MemberVariant, ...]
    """Of its models file, parents first."""
    cells: tuple[str, ...]
    """Digests of all cells that were planned for it."""
    slmbench_version: str = ""

    def member(self, name: Name) -> MemberVariant | None:
        """The variant of that name."""
        return next((m for m in self.members if m.variant.name == name), None)


def save_experiment(root: Path, kept: KeptExperiment) -> Path:
    """Write it in place of the last one of its name, atomically."""
    path = root / EXPERIMENTS / f"{kept.experiment.name}.json"
    replace_file(path, kept.model_dump_json(indent=1) + "\n")
    return path


def read_experiments(root: Path) -> tuple[KeptExperiment, ...]:
    """All experiments of a results folder by name; files that cannot be read are left out."""
    found = []
    for path in sorted((root / EXPERIMENTS).glob("[!.]*.json")):
        try:
            found.append(KeptExperiment.model_validate_json(path.read_text("utf-8")))
        except (OSError, ValidationError, ValueError):
            continue
    return tuple(found)
