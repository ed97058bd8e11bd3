"""What ONNX folders hold: blocks with their scales, and no tables of rotations."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("onnx", reason="needs onnx: pip install 'slmbench[onnxruntime]'")

from slmbench.lifecycle.measured import look_at
from tiny_onnx import save_tiny_onnx
from tiny_smollm import save_tiny_smollm

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(("precision", "main"), [("fp32", "FLOAT"), ("int4", "MatMulNBits 4")])
def test_weights_and_bytes_of_an_export(tmp_path: Path, precision: str, main: str) -> None:
    parent = save_tiny_smollm(tmp_path / "parent")
    folder = save_tiny_onnx(parent, tmp_path / "onnx", precision)
    before, after = look_at(parent, "hf"), look_at(folder, "onnx")
    assert (after.weights, after.main) == (before.weights, main)
    bits = 8 * after.bytes / after.weights
    assert bits == 32 if precision == "fp32" else 4.5 <= bits < 16
