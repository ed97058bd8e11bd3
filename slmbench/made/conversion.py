"""What changing formats and number types has to tell."""

from __future__ import annotations

from typing import Literal

from slmbench.spec import Frozen


class TypeCount(Frozen):
    """How many tensors of a GGUF have a type."""

    type: str
    tensors: int


class DequantizeFacts(Frozen):
    """How a GGUF became a float32 folder."""

    technique: Literal["dequantize"] = "dequantize"
    from_types: tuple[TypeCount, ...]
    """Tensor types of the GGUF: the rounding that the float weights still carry."""
    tensors: int
    """Tensors written; every element was checked to be finite."""
    parameters: int
    """Weights written, a tied output head counted once."""
    tied_head: bool
    """The output head shares the embedding's weights."""
    tokenizer_check: str
    """Whether the tokenizer was compared with llama.cpp's on probe texts, and how many."""


class GgufExportFacts(Frozen):
    """How a folder became a GGUF; the file was read back and compared with the folder."""

    technique: Literal["gguf_export"] = "gguf_export"
    dtype: str
    """Type of the matrices."""
    tensors: int
    """Tensors written, each equal to the folder's (its cast) after reading back."""
    parameters: int
    """Weights written, a tied output head counted once."""
    rounded_weights: int
    """Weights that the type cannot hold exactly; 0: the same model bit for bit."""
    tied_head: bool
    pre_tokenizer: str
    """llama.cpp's name of the splitter that was recognised."""
    tokenizer_check: str
    """Whether the tokenizer was compared with llama.cpp's on probe texts, and how many."""


class CastFacts(Frozen):
    """How weights came into another float type."""

    technique: Literal["cast"] = "cast"
    tensors: int
    rounded_weights: int
    """Weights that the type cannot hold exactly."""


class OnnxExportFacts(Frozen):
    """How a folder became an ONNX model, compared with its parent after loading again."""

    technique: Literal["onnx_export"] = "onnx_export"
    quantized_matmuls: int
    mean_logprob_difference: float
    """Mean |Δ log-probability| of the next token over a probe text, against the parent [nats]."""
    top1_agreement: float
    """Share of positions where both find the same token likeliest."""
    probe_tokens: int
    tokenizer_check: str
    """Whether token ids were compared with the parent's on probe texts, and how many."""
