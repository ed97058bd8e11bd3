"""How variants were made: records that makers write and that results and reports read."""

from slmbench.made.conversion import (
    CastFacts,
    DequantizeFacts,
    GgufExportFacts,
    OnnxExportFacts,
    TypeCount,
)
from slmbench.made.initialization import LowRankFacts, MergeFacts, RandomInitFacts
from slmbench.made.perturbation import PerturbFacts
from slmbench.made.pruning import DepthPruneFacts, SparsifyFacts, WidthPruneFacts
from slmbench.made.quantization import GgufQuantizeFacts, GridFacts, TorchaoFacts
from slmbench.made.record import Energy, Facts, MadeRecord, Measured, OtherUsed
from slmbench.made.text import TextFacts
from slmbench.made.training import (
    CurvePoint,
    FedAvgFacts,
    LoraFacts,
    PeftPruneFacts,
    TrainFacts,
    Training,
)

__all__ = [
    "CastFacts",
    "CurvePoint",
    "DepthPruneFacts",
    "DequantizeFacts",
    "Energy",
    "Facts",
    "FedAvgFacts",
    "GgufExportFacts",
    "GgufQuantizeFacts",
    "GridFacts",
    "LoraFacts",
    "LowRankFacts",
    "MadeRecord",
    "Measured",
    "MergeFacts",
    "OnnxExportFacts",
    "OtherUsed",
    "PeftPruneFacts",
    "PerturbFacts",
    "RandomInitFacts",
    "SparsifyFacts",
    "TextFacts",
    "TorchaoFacts",
    "TrainFacts",
    "Training",
    "TypeCount",
    "WidthPruneFacts",
]
