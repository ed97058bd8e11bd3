"""Every backend with an artefact that it can load, for the contract tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmbench.backends import BACKENDS
from slmbench.backends.protocol import LoadJob
from slmbench.records import ModelInfo
from slmbench.spec import Target
from tiny_llama import save_tiny_llama
from tiny_onnx import save_tiny_onnx

CONTEXT = 256


@dataclass(frozen=True)
class Engine:
    """A backend with an artefact that it can load."""

    name: str
    path: Path

    def start(self, **options: Any) -> tuple[Any, ModelInfo]:
        backend = BACKENDS.load(self.name)()
        target = Target(
            name="t", backend=self.name, threads=2, context=CONTEXT, options=options
        )  # fmt: skip
        return backend, backend.load(LoadJob(self.path, "ab" * 32, target))


def _gguf() -> Path:
    from slmbench.lifecycle import materialise
    from slmbench.plan import identify
    from slmbench.spec.load import load_models

    demo = load_models("demo")
    root = demo.variant("smollm2-q4_1")
    ref = identify(demo)[root.name]
    return materialise(root, ref, None, base=Path(), report=lambda _: None).path


def fake(_: Path) -> Engine:
    return Engine("fake", Path("no such file"))


def llama_cpp(_: Path) -> Engine:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    return Engine("llama_cpp", _gguf())


def transformers(tmp: Path) -> Engine:
    pytest.importorskip("transformers", reason="needs transformers")
    return Engine("transformers", save_tiny_llama(tmp / "tiny"))


def onnxruntime(tmp: Path) -> Engine:
    return Engine("onnxruntime", save_tiny_onnx(save_tiny_llama(tmp / "parent"), tmp / "tiny"))


def poison(name: str, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every logit NaN."""
    if name == "transformers":
        import torch

        with torch.no_grad():
            backend._model.model.norm.weight.fill_(float("nan"))
    elif name == "llama_cpp":
        from slmbench.backends.llama_session import LlamaSession

        width = backend.vocab_size()
        rows = lambda _, count: np.full((count, width), np.nan, dtype=np.float32)  # noqa: E731
        monkeypatch.setattr(LlamaSession, "rows", rows)
    elif name == "onnxruntime":
        from slmbench.backends.onnxruntime_session import OnnxSession

        outputs = backend.vocab_size() + 1
        many = lambda _, count: np.full((count, outputs), np.nan, dtype=np.float32)  # noqa: E731
        monkeypatch.setattr(OnnxSession, "rows", many)
        monkeypatch.setattr(OnnxSession, "last", lambda self: many(self, 1)[0])
