"""Which step stands above which: variants of one parent and technique, by bits or parameters."""

from __future__ import annotations

from slmbench.analysis.signature_rules.material import Material
from slmbench.analysis.systems import System
from slmbench.made import GridFacts, MadeRecord

_SAME = 1e-6


def step_above(material: Material, system: System) -> System | None:
    """The next better step of the system's ladder; None at its upper end, or without one.

    A ladder: variants with the same parent and stage on one target, size and machine, ordered
    by the bits of all weights together; of simulated ones the bits that their grid would take.
    """
    mine = material.reference(system)
    here = _size(material, system)
    if mine is None or mine.parent is None or here is None:
        return None
    better: list[tuple[float, System]] = []
    for other in material.systems:
        ref = material.reference(other)
        if ref is None or other.digest == system.digest or not _same_place(other, system):
            continue
        if (ref.parent_digest, ref.stage) != (mine.parent_digest, mine.stage):
            continue
        size = _size(material, other)
        if size is not None and size > here * (1 + _SAME):
            better.append((size, other))
    return min(better, key=lambda pair: (pair[0], pair[1].variant), default=(0.0, None))[1]


def bits_of(material: Material, system: System) -> float | None:
    """Effective bits per weight: of a grid stored as floats those that it would take."""
    made = made_of(material, system)
    if made is not None and isinstance(made.facts, GridFacts):
        return made.facts.bits_per_weight
    models = [r.record.model for r in material.runs.get(system, ()) if r.record.model is not None]
    return models[-1].bits_per_weight if models else None


def made_of(material: Material, system: System) -> MadeRecord | None:
    """How the system's variant was made, where that is known."""
    return next((m for m in material.made if m.identity == system.digest), None)


def _size(material: Material, system: System) -> float | None:
    """Bits of all weights together, as effective bits x parameters."""
    bits = bits_of(material, system)
    models = [r.record.model for r in material.runs.get(system, ()) if r.record.model is not None]
    return None if bits is None or not models else bits * models[-1].parameters


def _same_place(left: System, right: System) -> bool:
    return (left.target, left.backend, left.size, left.machine) == (
        right.target,
        right.backend,
        right.size,
        right.machine,
    )
