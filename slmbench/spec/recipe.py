"""How a variant is made from its parent: one model per technique, told apart by ``technique``.

``version`` is part of each recipe's digest: raise its default when the implementation's
result changes, and variants that were made by the older one are made anew.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slmbench.spec.recipes.conversion import Cast, Dequantize, GgufExport, OnnxExport
from slmbench.spec.recipes.initialization import LowRank, Merge, RandomInit
from slmbench.spec.recipes.perturbation import Perturb
from slmbench.spec.recipes.planted import LoraFinetune, PlantedCorpus
from slmbench.spec.recipes.pruning import DepthPrune, Sparsify, WidthPrune
from slmbench.spec.recipes.quantization import (
    AutoRound,
    Calibration,
    GgufQuantize,
    RoundToNearest,
    TorchaoQuantize,
)
from slmbench.spec.recipes.training import FedAvg, PeftPrune, Train

__all__ = [
    "AutoRound",
    "Calibration",
    "Cast",
    "DepthPrune",
    "Dequantize",
    "FedAvg",
    "GgufExport",
    "GgufQuantize",
    "LoraFinetune",
    "LowRank",
    "Merge",
    "OnnxExport",
    "PeftPrune",
    "Perturb",
    "PlantedCorpus",
    "RandomInit",
    "Recipe",
    "RoundToNearest",
    "Sparsify",
    "TorchaoQuantize",
    "Train",
    "WidthPrune",
]

Recipe = Annotated[
    Dequantize
    | GgufExport
    | Cast
    | OnnxExport
    | GgufQuantize
    | TorchaoQuantize
    | RoundToNearest
    | AutoRound
    | DepthPrune
    | WidthPrune
    | Sparsify
    | Perturb
    | RandomInit
    | LowRank
    | Merge
    | LoraFinetune
    | Train
    | PeftPrune
    | FedAvg,
    Field(discriminator="technique"),
]
"""Any known recipe."""
