"""What experiments come to: one module a section, each with ``find(material) -> Findings``.

Conclusions are computed: a section's rules choose the sentence, and the numbers stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slmbench.analysis.experiments import (
    attention,
    co_adaptation,
    families,
    initialization,
    plasticity,
    quantization,
    recovery,
    shipping,
)
from slmbench.analysis.experiments.findings import Conclusion, Findings
from slmbench.analysis.experiments.material import Material, gather
from slmbench.analysis.results import Results
from slmbench.spec.experiment import Section
from slmbench.store.experiments import KeptExperiment, read_experiments

SECTIONS: Mapping[Section, Callable[[Material], Findings]] = {
    "initialization": initialization.find,
    "quantization": quantization.find,
    "recovery": recovery.find,
    "co_adaptation": co_adaptation.find,
    "plasticity": plasticity.find,
    "families": families.find,
    "attention": attention.find,
    "which_to_ship": shipping.find,
}
"""What reads the results of an experiment."""


@dataclass(frozen=True)
class Told:
    """An experiment with what it comes to."""

    material: Material
    findings: Findings

    @property
    def kept(self) -> KeptExperiment:
        """As it was run."""
        return self.material.kept


def experiments_of(results: Results) -> tuple[Told, ...]:
    """Every experiment that was run into the folder, by name."""
    return tuple(tell(results, kept) for kept in read_experiments(results.root))


def tell(results: Results, kept: KeptExperiment) -> Told:
    """What one experiment comes to."""
    material = gather(results, kept)
    return Told(material, SECTIONS[kept.experiment.section](material))


__all__ = ["SECTIONS", "Conclusion", "Findings", "Material", "Told", "experiments_of", "tell"]
