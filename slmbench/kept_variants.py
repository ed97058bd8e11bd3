"""What a results folder keeps of the variants that were made or found for it."""

from __future__ import annotations

from pathlib import Path

from slmbench.errors import SlmbenchError
from slmbench.lifecycle import Artefacts
from slmbench.store import VariantRecord, save_variant


def keep_variants(root: Path, artefacts: Artefacts) -> None:
    """Remember in a results folder how its variants were made, or why they could not be."""
    for ref, found in artefacts.known():
        if isinstance(found, SlmbenchError):
            record = VariantRecord(variant=ref, failure=found.message, hint=found.hint or "")
        else:
            record = VariantRecord(
                variant=ref,
                made=found.made,
                artefact_sha256=found.sha256,
                artefact_bytes=found.bytes,
            )
        save_variant(root, record)
