"""Variants beside the runs that measured them: ``<root>/.variants/<identity>-<name>.json``.

A run's spec says which variant it measured; this says how that was made, at what cost, or why it
could not be. Written whenever a campaign makes or finds an artefact, ancestors included, so that
a results folder tells the whole lineage on any machine, without the artefacts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slmbench.made import MadeRecord
from slmbench.spec import Frozen, VariantRef
from slmbench.spec.base import Sha256
from slmbench.store.write import replace_file

VARIANTS = ".variants"
"""Folder below the results folder."""


class VariantRecord(Frozen):
    """What is known of one variant besides its runs."""

    schema_version: Literal[1] = 1
    variant: VariantRef
    made: MadeRecord | None = None
    """How its artefact was derived; None for a source, and for what could not be made."""
    artefact_sha256: Sha256 | None = None
    """Content digest; None where there is no artefact."""
    artefact_bytes: int | None = None
    """Size on disk [bytes]."""
    failure: str = ""
    """Why it could not be made; empty: it was."""
    hint: str = ""
    """What to do about it."""


def variant_file(root: Path, variant: VariantRef) -> Path:
    """Where its record lies."""
    return root / VARIANTS / f"{variant.digest[:16]}-{variant.name}.json"


def save_variant(root: Path, record: VariantRecord) -> None:
    """Put it in the place of the last one, unless that says the same, or more than a failure."""
    path = variant_file(root, record.variant)
    before = _read(path)
    if before == record or (record.failure and before is not None and not before.failure):
        return
    replace_file(path, record.model_dump_json(indent=1) + "\n")


def read_variants(root: Path) -> tuple[VariantRecord, ...]:
    """All records of a results folder, by file name; what cannot be read is left out."""
    found = (_read(path) for path in sorted((root / VARIANTS).glob("[!.]*.json")))
    return tuple(record for record in found if record is not None)


def _read(path: Path) -> VariantRecord | None:
    try:
        return VariantRecord.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError, ValueError):
        return None
