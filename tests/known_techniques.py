"""The techniques as error messages list them."""

from __future__ import annotations

from slmbench.lifecycle.make import TECHNIQUES as MODULES

TECHNIQUES = (
    '"dequantize", "gguf_export", "cast", "onnx_export", "gguf_quantize", "torchao", "rtn", '
    '"auto_round", "depth_prune", "width_prune", "sparsify", "perturb", "random_init", "low_rank", '
    '"merge", "lora", "train", "peft_prune", "fedavg"'
)

assert {name.strip('"') for name in TECHNIQUES.split(", ")} == set(MODULES)
