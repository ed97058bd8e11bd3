"""Variants as a table: what was done to which parent, at what cost, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from slmbench.analysis.columns import Column, frame
from slmbench.made import Energy, MadeRecord, Training
from slmbench.records import ModelInfo, Status
from slmbench.spec import VariantRef
from slmbench.store import VariantRecord

if TYPE_CHECKING:
    from slmbench.analysis.results import Results


def _text(name: str, path: str, description: str) -> Column:
    return Column(name, path, "string", description)


VARIANT_COLUMNS: tuple[Column, ...] = (
    _text("variant", "variant.name", "variant name"),
    _text("variant_digest", "variant.digest", "digest of the artefact or of its recipe"),
    _text("parent", "variant.parent", "declared parent variant; null for a root"),
    _text("stage", "variant.stage", "lifecycle stage"),
    _text("technique", "variant.technique", "what was done to the parent"),
    _text("format", "variant.format", "gguf, hf, onnx or fake"),
    Column("seconds", "made.duration_s", "Float64", "making it, on this machine or another", "s"),
    Column("energy", "made.energy.joules", "Float64", "making it, gross", "J"),
    _text("energy_provenance", "made.energy.provenance", "measured, estimated or unavailable"),
    _text("energy_scope", "made.energy.scope", "what the figure covers, or why there is none"),
    Column("peak_memory", "made.peak_memory_bytes", "Int64", "of the maker, resident", "bytes"),
    Column("threads", "made.threads", "Int64", "compute threads of the maker", "count"),
    Column("tokens", "training.tokens", "Int64", "trained on; null: no training", "count"),
    Column("validation_before", "training.curve", "Float64", "loss on held-out text, nats/byte"),
    Column("validation_after", "training.curve", "Float64", "loss on held-out text, nats/byte"),
    Column("interruptions", "training.interruptions", "Int64", "resumed so often", "count"),
    Column("artefact_bytes", "variant.artefact_bytes", "Int64", "size on disk", "bytes"),
    Column("parameters", "made.measured.parameters", "Int64", "tied weights once", "count"),
    Column(
        "bits_per_weight", "made.measured.bits_per_weight", "Float64",
        "effective: scales, embeddings and head included", "bits",
    ),
    Column("zero_share", "made.measured.zero_share", "Float64", "weights that are zero"),
    _text("kernel", "made.measured.kernel", "real or simulated arithmetic"),
    _text("kernel_reason", "made.measured.kernel_reason", "what that rests on"),
    _text("failure", "variant.failure", "why it could not be made"),
    _text("note", "variant.note", "what a reader must know about the variant"),
)  # fmt: skip
"""``made``, ``training`` and ``variant`` stand for the parts of a stored ``VariantRecord``."""


@dataclass(frozen=True, slots=True)
class KnownVariant:
    """A variant with all that a results folder holds of it."""

    ref: VariantRef
    record: VariantRecord | None
    """None for a variant of an older results folder: its runs are all that is known."""
    model: ModelInfo | None
    """What a backend found in the artefact."""

    @property
    def made(self) -> MadeRecord | None:
        """How it was derived; None for a source, or where it is not known."""
        return None if self.record is None else self.record.made

    @property
    def training(self) -> Training | None:
        """Its training, if it was trained."""
        return None if self.made is None else self.made.training

    @property
    def energy(self) -> Energy | None:
        """What making it took."""
        return None if self.made is None else self.made.energy

    @property
    def bytes(self) -> int | None:
        """Size on disk [bytes]."""
        if self.record is not None and self.record.artefact_bytes is not None:
            return self.record.artefact_bytes
        return None if self.model is None else self.model.artefact_bytes

    @property
    def parameters(self) -> int | None:
        """Logical weights, a tied head once."""
        if self.made is not None and self.made.measured is not None:
            return self.made.measured.parameters
        return None if self.model is None else self.model.parameters

    @property
    def bits(self) -> float | None:
        """Effective bits per weight."""
        if self.made is not None and self.made.measured is not None:
            return self.made.measured.bits_per_weight
        return None if self.model is None else self.model.bits_per_weight

    @property
    def kernel(self) -> str | None:
        """``real`` or ``simulated``; simulated if either says so."""
        seen = [] if self.model is None else [str(self.model.kernel)]
        if self.made is not None and self.made.measured is not None:
            seen.append(self.made.measured.kernel)
        return max(seen, default=None)

    @property
    def kernel_reason(self) -> str | None:
        """What was seen in the artefact."""
        measured = None if self.made is None else self.made.measured
        return None if measured is None else measured.kernel_reason


def known_variants(results: Results) -> tuple[KnownVariant, ...]:
    """The variants of the runs and those that were made for them, parents first."""
    records = {(r.variant.name, r.variant.digest): r for r in results.variant_records}
    refs = {key: record.variant for key, record in records.items()}
    models: dict[tuple[str, str], ModelInfo] = {}
    for run in results.stored:
        ref, model = run.spec.variant, run.record.model
        refs.setdefault((ref.name, ref.digest), ref)
        if model is not None and run.record.status is Status.OK:
            models[ref.name, ref.digest] = model
    found = [KnownVariant(ref, records.get(key), models.get(key)) for key, ref in refs.items()]
    return tuple(sorted(found, key=lambda v: _depth(v.ref, refs)))


def _depth(ref: VariantRef, refs: Mapping[tuple[str, str], VariantRef]) -> int:
    """Known steps up to a root."""
    depth, seen = 0, {ref.digest}
    parent = refs.get((ref.parent or "", ref.parent_digest or ""))
    while parent is not None and parent.digest not in seen:
        seen.add(parent.digest)
        depth += 1
        parent = refs.get((parent.parent or "", parent.parent_digest or ""))
    return depth


_VALUES: Mapping[str, Callable[[KnownVariant], object]] = {
    "variant": lambda v: v.ref.name,
    "variant_digest": lambda v: v.ref.digest,
    "parent": lambda v: v.ref.parent,
    "stage": lambda v: v.ref.stage,
    "technique": lambda v: v.ref.technique,
    "format": lambda v: v.ref.format,
    "seconds": lambda v: v.made and v.made.duration_s,
    "energy": lambda v: v.energy and v.energy.joules,
    "energy_provenance": lambda v: v.energy and v.energy.provenance.value,
    "energy_scope": lambda v: v.energy and v.energy.scope,
    "peak_memory": lambda v: v.made and v.made.peak_memory_bytes,
    "threads": lambda v: v.made and v.made.threads,
    "tokens": lambda v: v.training and v.training.tokens,
    "validation_before": lambda v: v.training and v.training.validation_before,
    "validation_after": lambda v: v.training and v.training.validation_after,
    "interruptions": lambda v: v.training and v.training.interruptions,
    "artefact_bytes": lambda v: v.bytes,
    "parameters": lambda v: v.parameters,
    "bits_per_weight": lambda v: v.bits,
    "zero_share": lambda v: v.made and v.made.measured and v.made.measured.zero_share,
    "kernel": lambda v: v.kernel,
    "kernel_reason": lambda v: v.kernel_reason,
    "failure": lambda v: (v.record.failure or None) if v.record else None,
    "note": lambda v: v.ref.note or None,
}


def variant_frame(results: Results) -> pd.DataFrame:
    """One row a variant (``VARIANT_COLUMNS``), parents before their children."""
    rows = known_variants(results)
    return frame(VARIANT_COLUMNS, {c.name: [_VALUES[c.name](v) for v in rows]
                                   for c in VARIANT_COLUMNS})  # fmt: skip
