"""What to run: frozen models with no I/O. :mod:`slmbench.spec.load` is the YAML door."""

from slmbench.spec.base import Frozen, canonical_json, digest_of
from slmbench.spec.recipe import Recipe
from slmbench.spec.run import RunSpec, TaskSpec, VariantRef, WorkloadPoint, WorkloadSpec
from slmbench.spec.suite import SizeKnobs, Suite, SuiteTask, SuiteWorkload
from slmbench.spec.target import Target
from slmbench.spec.variant import HubSource, ModelsFile, Source, Variant, WheelSource

__all__ = [
    "Frozen",
    "HubSource",
    "ModelsFile",
    "Recipe",
    "RunSpec",
    "SizeKnobs",
    "Source",
    "Suite",
    "SuiteTask",
    "SuiteWorkload",
    "Target",
    "TaskSpec",
    "Variant",
    "VariantRef",
    "WheelSource",
    "WorkloadPoint",
    "WorkloadSpec",
    "canonical_json",
    "digest_of",
]
