"""A model folder as an ONNX export; skips with a reason where the engine is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest


def save_tiny_onnx(parent: Path, folder: Path, precision: str = "fp32") -> Path:
    """The folder's ONNX twin below ``folder``, compared with it."""
    for module in ("onnxruntime_genai", "onnx_ir", "torch", "transformers"):
        pytest.importorskip(module, reason=f"needs {module}: pip install 'slmbench[onnxruntime]'")
    from slmbench.lifecycle import onnx_export
    from slmbench.lifecycle.workbench import Workbench
    from slmbench.spec.recipe import OnnxExport

    folder.mkdir(parents=True)
    recipe = OnnxExport.model_validate({"technique": "onnx_export", "precision": precision})
    return onnx_export.make(recipe, Workbench(parent, folder, 1, lambda _: None)).path
