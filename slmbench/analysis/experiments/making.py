"""What making the variants cost, how training went, and what could not be made."""

from __future__ import annotations

from collections.abc import Sequence

from slmbench.analysis.experiments.findings import (
    Chapter,
    Column,
    Grid,
    Line,
    Mark,
    Number,
    Plot,
    Trace,
    nothing,
)
from slmbench.analysis.experiments.material import Material
from slmbench.made import MadeRecord, Training
from slmbench.records import Provenance

_COLUMNS = (
    Column("Technique", "what was done to the parent"),
    Column("Time", "wall time of the maker, digesting left out"),
    Column("Peak memory", "peak resident memory of the maker"),
    Column("Energy", "gross, over the technique; the badge says how it is known"),
    Column("Tokens", "that a loss was taken of"),
    Column("Loss before → after", "validation loss on held-out passages, at the first and the last "
           "step"),
    Column("Size", "bytes on disk"),
    Column("Bits per weight", "scales, embeddings and head included, read off the artefact"),
    Column("With its steps", "wall time of all techniques from the root of the lineage on"),
)  # fmt: skip


def making_chapter(material: Material) -> Chapter:
    """The costs of every variant that was made, and the reasons of those that were not."""
    lines = [
        _line(material, member.variant.name, material.made[member.variant.name])
        for member in material.kept.members
        if member.variant.name in material.made
    ]
    grids = []
    if lines:
        grids.append(
            Grid("making", "What making them cost", "Variant", _COLUMNS, tuple(lines),
                 "Of derivations that were reused from the cache: what they took when they were "
                 "made.")
        )  # fmt: skip
    if material.failed:
        grids.append(
            Grid(
                "not-made", "What could not be made", "Variant",
                (Column("Reason", "as it was reported"),),
                tuple(Line(name, (), (why,)) for name, why in material.failed.items()),
            )
        )  # fmt: skip
    return Chapter("making", "What making them cost", (), tuple(grids))


def curve_plot(material: Material, variants: Sequence[str]) -> Plot | None:
    """Validation loss against training tokens; None where nothing was trained."""
    traces = []
    for name in variants:
        training = material.training(name)
        if training is None:
            continue
        marks = tuple(
            Mark(float(p.tokens), Number(p.validation, "nats/byte"), f"step {p.step}")
            for p in training.curve
            if p.validation is not None
        )
        if marks:
            traces.append(Trace(name, marks))
    if not traces:
        return None
    return Plot(
        "learning-curves", "Learning curves",
        "Validation loss on passages that were held out, against the tokens that a loss was taken "
        "of. Joined points; no interval, because each curve is one training run.",
        "training tokens", "validation loss [nats/byte]", tuple(traces),
    )  # fmt: skip


def seconds_of(material: Material, variant: str) -> float | None:
    """Wall time of all techniques on the way to a variant; None where a record is missing [s]."""
    total = 0.0
    for member in material.lineage(variant):
        if member.variant.recipe is None:
            continue
        record = material.made.get(member.variant.name)
        if record is None:
            return None
        total += record.duration_s
    return total


def _line(material: Material, name: str, record: MadeRecord) -> Line:
    training = record.training
    peak = record.peak_memory_bytes
    whole = seconds_of(material, name)
    measured = record.measured
    cells = (
        record.recipe.label,
        _measured(record.duration_s, "s"),
        nothing("bytes", "no /proc here") if peak is None else _measured(float(peak), "bytes"),
        _energy(record),
        None if training is None else _measured(float(training.tokens), "tokens"),
        None if training is None else _before_after(training),
        _measured(float(record.artefact_bytes), "bytes"),
        None if measured is None else Number(measured.bits_per_weight, "bits"),
        nothing("s", "a record on the way is missing") if whole is None else Number(whole, "s"),
    )
    kernel = ("simulated kernel",) if material.is_simulated(name) else ()
    parent = f"from {record.parent}" if record.parent else "made of nothing"
    return Line(name, (parent, *kernel), cells)


def _measured(value: float, unit: str) -> Number:
    return Number(value, unit, provenance=Provenance.MEASURED)


def _energy(record: MadeRecord) -> Number:
    energy = record.energy
    if energy is None or energy.joules is None:
        return nothing("J", "not metered" if energy is None else energy.scope)
    return Number(energy.joules, "J", method=energy.scope, provenance=energy.provenance)


def _before_after(training: Training) -> str:
    losses = [p.validation for p in training.curve if p.validation is not None]
    if not losses:
        return "not taken"
    stopped = f"; stopped: {training.stopped}" if training.stopped else ""
    return f"{losses[0]:.4f} → {losses[-1]:.4f} nats/byte{stopped}"
