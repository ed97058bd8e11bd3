"""Gates of real engines in their own processes: a folder, its export, and a pair out of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

from builders import choice_items
from slmbench.gates import run as gate_run
from slmbench.gates.material import Material, TaskItems
from slmbench.gates.run import Effort, GateRun
from slmbench.requests import Item, LoglikelihoodRequest
from slmbench.spec.load import load_models
from tiny_smollm import save_tiny_smollm

pytestmark = pytest.mark.engine


def items() -> Material:
    """Fifteen questions of four answers."""
    asked = tuple(
        Item(
            item_id=f"q{i}",
            cluster=f"q{i}",
            requests=tuple(
                LoglikelihoodRequest(context=f"It was {i} and then", continuation=f" {c * 3} on")
                for c in "abcd"
            ),
            gold=i % 4,
            choices=tuple(c * 3 for c in "abcd"),
        )
        for i in range(15)
    )
    made = choice_items("short", 1).model_copy(update={"items": asked})
    return Material((TaskItems("acc", made),))


def test_a_folder_passes_all_gates_through_its_own_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No relative in the other format: the gates make the GGUF, and keep it in the cache."""
    monkeypatch.setenv("SLMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gate_run, "choice_items", lambda _: items())
    monkeypatch.setattr(gate_run, "suite_items", lambda _: items())
    save_tiny_smollm(tmp_path / "hf", bos=True)
    models = tmp_path / "models.yaml"
    models.write_text(
        "variants:\n"
        "  - {name: tiny, format: hf, stage: base, technique: none, licence: MIT,\n"
        "     source: {file: hf}}\n"
        "targets:\n"
        "  - {name: t, backend: transformers, dtype: float32, threads: 1, context: 512}\n"
    )
    run = GateRun(load_models(str(models)), tmp_path / "results", effort=Effort(strings=1000))
    found = {r.gate: r for r in run.records()}
    assert {g: r.verdict for g, r in found.items()} == dict.fromkeys(
        ("G1", "G2", "G3", "G4"), "passed"
    ), [r.reason for r in found.values()]
    assert found["G1"].number("mismatches") == 0
    assert found["G2"].number("sums") == 60
    assert "tiny-gguf_export in llama_cpp" in found["G2"].reason
    assert "float32 bounds" in found["G3"].reason
    assert len(list((tmp_path / "cache/models").glob("*/model.gguf"))) == 1
