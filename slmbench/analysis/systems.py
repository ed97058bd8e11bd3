"""What a row of results is about: one artefact on one target, size and machine."""

from __future__ import annotations

from dataclasses import dataclass

from slmbench.store import StoredRun


@dataclass(frozen=True, slots=True)
class System:
    """What a row is about: one artefact on one target, size and machine."""

    variant: str
    digest: str
    """Digest of the variant's artefact or recipe."""
    target: str
    backend: str
    size: str
    machine: str

    @classmethod
    def of(cls, run: StoredRun) -> System:
        """The system that a run measured."""
        spec = run.spec
        target = spec.target
        return cls(
            spec.variant.name,
            spec.variant.digest,
            target.name,
            target.backend,
            spec.size,
            run.record.machine,
        )
