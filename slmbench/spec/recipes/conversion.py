"""Recipes that change the format or the number type of a model, and nothing else."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from slmbench.spec.recipes.technique import Format, Stage, Technique


class Dequantize(Technique):
    """GGUF to a Hugging Face folder of safetensors in float32 (weights keep their rounding)."""

    takes: ClassVar[tuple[Format, ...]] = ("gguf",)

    technique: Literal["dequantize"]
    version: Literal[1] = 1
    dtype: Literal["float32"] = "float32"
    """Storage type of the weights that are written."""

    @property
    def only_converts(self) -> bool:
        """It does."""
        return True


class GgufExport(Technique):
    """Hugging Face folder of a Llama to GGUF in a float type, compared tensor by tensor."""

    gives: ClassVar[Format] = "gguf"

    technique: Literal["gguf_export"]
    version: Literal[1] = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Storage type of the matrices; vectors (norms) stay float32."""

    @property
    def only_converts(self) -> bool:
        """It does."""
        return True


class Cast(Technique):
    """Hugging Face folder to one whose weights are stored in another float type."""

    technique: Literal["cast"]
    version: Literal[1] = 1
    dtype: Literal["float32", "float16", "bfloat16"]

    @property
    def only_converts(self) -> bool:
        """It does."""
        return True


class OnnxExport(Technique):
    """Hugging Face folder to an ONNX model for onnxruntime-genai on the CPU."""

    gives: ClassVar[Format] = "onnx"

    technique: Literal["onnx_export"]
    version: Literal[1] = 1
    precision: Literal["fp32", "int4"] = "int4"
    """``int4``: round-to-nearest in blocks, real kernels; float activations."""
    block_size: Literal[16, 32, 64, 128] = 32
    """Weights that share a scale (int4)."""
    accuracy_level: Literal[1, 4] = Field(default=4)
    """onnxruntime's minimum for the products: 1 float32, 4 int8."""

    @property
    def only_converts(self) -> bool:
        """In float32."""
        return self.precision == "fp32"

    @property
    def stage(self) -> Stage:
        """int4 is a quantization on the way."""
        return "quantized" if self.precision == "int4" else "exported"

    @property
    def label(self) -> str:
        """``onnx_int4``."""
        return f"onnx_{self.precision}"
