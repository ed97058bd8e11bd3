"""How a variant is made from its parent: one model per technique, told apart by ``technique``.

``version`` is part of each recipe's digest: raise its default when the implementation's
result changes, and variants that were made by the older one are made anew.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slmbench.spec.base import Frozen


class Dequantize(Frozen):
    """GGUF to a Hugging Face folder of safetensors in float32 (weights keep their rounding)."""

    technique: Literal["dequantize"]
    version: Literal[1] = 1
    dtype: Literal["float32"] = "float32"
    """Storage type of the weights that are written."""


class GgufQuantize(Frozen):
    """GGUF to GGUF of another type, by llama.cpp in process."""

    technique: Literal["gguf_quantize"]
    version: Literal[1] = 1
    type: Literal["F32", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"]
    """llama.cpp file type; mixed types (``_M``) keep some tensors at more bits."""


class GgufExport(Frozen):
    """Hugging Face folder of a Llama to GGUF in a float type, compared tensor by tensor."""

    technique: Literal["gguf_export"]
    version: Literal[1] = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Storage type of the matrices; vectors (norms) stay float32."""


class TorchaoQuantize(Frozen):
    """Hugging Face folder to one with torchao int8 weights."""

    technique: Literal["torchao"]
    version: Literal[1] = 1
    scheme: Literal["int8_dynamic", "int8_weight_only"] = "int8_dynamic"
    """``int8_dynamic``: int8 weights per channel, int8 activations per token, real kernels."""


class DepthPrune(Frozen):
    """Drop the decoder layers of least block influence (ShortGPT, arXiv 2403.03853).

    Block influence of layer i is 1 − mean cosine similarity of its input and output hidden
    states over the tokens of real calibration text.
    """

    technique: Literal["depth_prune"]
    version: Literal[1] = 1
    drop_layers: int = Field(ge=1, le=64)
    """How many decoder layers to remove."""
    calibration: str = "boolq"
    """Data set whose text is used; not one that the accuracy suite scores."""
    calibration_texts: int = Field(default=16, ge=1, le=4096)
    """How many seeded texts of it."""
    max_tokens: int = Field(default=256, ge=16, le=8192)
    """Each text is cut to this many tokens."""
    seed: int = 1234
    """Chooses the calibration texts."""


Recipe = Annotated[
    Dequantize | GgufExport | GgufQuantize | TorchaoQuantize | DepthPrune,
    Field(discriminator="technique"),
]
"""Any known recipe."""
