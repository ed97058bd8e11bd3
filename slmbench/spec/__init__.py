"""What to run: frozen models with no I/O. :mod:`slmbench.spec.load` is the YAML door."""

from slmbench.spec.base import Frozen, Grown, canonical_json, digest_of
from slmbench.spec.recipe import Recipe
from slmbench.spec.run import (
    Reference,
    RunSpec,
    TaskSpec,
    VariantRef,
    WorkloadPoint,
    WorkloadSpec,
)
from slmbench.spec.serving import Endpoint, Load, Slo
from slmbench.spec.suite import Scoring, SizeKnobs, Suite, SuiteTask, SuiteWorkload, Until
from slmbench.spec.target import Target
from slmbench.spec.variant import HubSource, ModelsFile, Source, Variant, WheelSource

__all__ = [
    "Endpoint",
    "Frozen",
    "Grown",
    "HubSource",
    "Load",
    "ModelsFile",
    "Recipe",
    "Reference",
    "RunSpec",
    "Scoring",
    "SizeKnobs",
    "Slo",
    "Source",
    "Suite",
    "SuiteTask",
    "SuiteWorkload",
    "Target",
    "TaskSpec",
    "Until",
    "Variant",
    "VariantRef",
    "WheelSource",
    "WorkloadPoint",
    "WorkloadSpec",
    "canonical_json",
    "digest_of",
]
