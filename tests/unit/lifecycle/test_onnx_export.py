"""Exports to ONNX: the same model in float32, an honest distance in int4, and clear refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip(
    "onnxruntime_genai", reason="needs onnxruntime-genai: pip install 'slmbench[onnxruntime]'"
)

from slmbench.backends.onnxruntime import OnnxRuntimeBackend
from slmbench.backends.onnxruntime_graph import read_graph
from slmbench.backends.protocol import LoadJob
from slmbench.content import content_of
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import onnx_export
from slmbench.lifecycle.measured import look_at
from slmbench.lifecycle.workbench import Product, Workbench
from slmbench.made import OnnxExportFacts
from slmbench.spec import Target
from slmbench.spec.recipe import OnnxExport
from tiny_llama import save_tiny_llama, sizes
from tiny_smollm import save_tiny_smollm

pytestmark = pytest.mark.engine


def export(parent: Path, out: Path, **settings: Any) -> Product:
    out.mkdir(parents=True)
    recipe = OnnxExport.model_validate({"technique": "onnx_export", **settings})
    return onnx_export.make(recipe, Workbench(parent, out, 1, lambda _: None))


def facts_of(product: Product) -> OnnxExportFacts:
    assert isinstance(product.facts, OnnxExportFacts)
    return product.facts


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_smollm(tmp_path_factory.mktemp("parent") / "hf")


@pytest.fixture(scope="module")
def products(parent: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Product]:
    tmp = tmp_path_factory.mktemp("onnx")
    return {p: export(parent, tmp / p, precision=p) for p in ("fp32", "int4")}


def test_float32_is_the_same_model(products: dict[str, Product], parent: Path) -> None:
    facts = facts_of(products["fp32"])
    assert facts.quantized_matmuls == 0
    assert facts.mean_logprob_difference < 1e-4
    assert facts.top1_agreement > 0.99
    assert facts.probe_tokens > 400
    assert "equal to the parent's on" in facts.tokenizer_check
    assert products["fp32"].path.name == "onnx"
    assert [p.name for p in products["fp32"].path.parent.iterdir()] == ["onnx"], "nothing is left"
    graph = read_graph(products["fp32"].path / "model.onnx")
    assert graph.parameters == _parameters(parent)
    assert graph.weight_bytes == 4 * graph.parameters
    assert graph.decode_weight_bytes == graph.weight_bytes, "the head is the embedding"
    assert graph.is_full


def test_int4_is_what_round_to_nearest_makes_of_it(
    products: dict[str, Product], parent: Path
) -> None:
    facts = facts_of(products["int4"])
    assert facts.quantized_matmuls == 2 * 5 + 1, "qkv in one, o, gate, up, down; the head"
    graph = read_graph(products["int4"].path / "model.onnx")
    parameters = _parameters(parent)
    norms = 5 * 64
    assert graph.parameters == parameters
    assert graph.weight_bytes == (parameters - norms) * (4 + 32 / 32) / 8 + 4 * norms
    assert not graph.is_full
    assert facts.mean_logprob_difference == pytest.approx(_rounded_by_hand(parent), rel=0.25)


def _rounded_by_hand(parent: Path) -> float:
    """The same distance for int4 levels of our own, in float arithmetic."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    from slmbench.backends.onnxruntime_folder import FolderTokenizer
    from slmbench.tasks.fidelity import documents, text_digest

    tokenizer = FolderTokenizer(parent)
    texts = [d.text for d in documents(text_digest())[:4]]
    sequences = [tokenizer.encode(text, special=True)[:192] for text in texts]
    rows = []
    for rounded in (False, True):
        model = AutoModelForCausalLM.from_pretrained(parent).eval()
        if rounded:
            with torch.no_grad():
                for weight in (p for p in model.parameters() if p.dim() == 2):
                    blocks = weight.reshape(-1, 32)
                    top = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
                    scale = top / -8
                    levels = (blocks / scale).nan_to_num().round().clamp(-8, 7)
                    weight.copy_((levels * scale).reshape(weight.shape))
        with torch.inference_mode():
            rows.append([
                torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1], -1)[
                    torch.arange(len(ids) - 1), torch.tensor(ids[1:])
                ].numpy()
                for ids in sequences
            ])  # fmt: skip
    return float(np.mean(np.abs(np.concatenate(rows[0]) - np.concatenate(rows[1]))))


def _parameters(parent: Path) -> int:
    from transformers import AutoModelForCausalLM

    return sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(parent).parameters())


def test_the_same_settings_give_the_same_bytes(
    products: dict[str, Product], parent: Path, tmp_path: Path
) -> None:
    again = export(parent, tmp_path / "again", precision="int4")
    assert content_of(again.path).sha256 == content_of(products["int4"].path).sha256


@pytest.mark.parametrize(("precision", "main"), [("fp32", "FLOAT"), ("int4", "MatMulNBits 4")])
def test_weights_and_bytes_of_an_export(
    products: dict[str, Product], parent: Path, precision: str, main: str
) -> None:
    """Blocks with their scales, and no tables of rotations."""
    before, after = look_at(parent, "hf"), look_at(products[precision].path, "onnx")
    assert (after.weights, after.main) == (before.weights, main)
    bits = 8 * after.bytes / after.weights
    assert bits == 32 if precision == "fp32" else 4.5 <= bits < 16


def test_the_backend_runs_it(products: dict[str, Product]) -> None:
    for precision, bits in (("fp32", 32.0), ("int4", None)):
        backend = OnnxRuntimeBackend()
        target = Target(name="t", backend="onnxruntime", threads=1, context=64)
        info = backend.load(LoadJob(products[precision].path, "0" * 64, target))
        assert info.kv_bytes_per_token == 2 * 2 * 2 * 16 * 4
        assert info.bits_per_weight == (bits or pytest.approx(5.1, abs=0.2))
        assert len(backend.generate_ids([[20, 21, 22]], 3)[0].token_ids) == 3
        backend.close()


def test_an_export_that_predicts_otherwise_is_an_error(
    products: dict[str, Product], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder's answer is the export of another parent."""
    built = products["fp32"].path
    monkeypatch.setattr(onnx_export, "_build", lambda _, __, out: shutil.copytree(built, out))
    other = save_tiny_smollm(tmp_path / "other", seed=9)
    with pytest.raises(ArtefactError, match="predicts otherwise than its parent") as caught:
        export(other, tmp_path / "out", precision="fp32")
    assert "nats" in str(caught.value)


def test_an_architecture_that_the_builder_does_not_know(tmp_path: Path) -> None:
    from transformers import GPTNeoXConfig

    numbers = {k: v for k, v in sizes().items() if k != "num_key_value_heads"}
    parent = save_tiny_llama(tmp_path / "neox", config=GPTNeoXConfig(**numbers))
    with pytest.raises(UnsupportedModelError, match="does not know a gpt_neox") as caught:
        export(parent, tmp_path / "out", precision="fp32")
    assert "llama" in (caught.value.hint or "")


def test_a_quantized_parent_is_refused_before_anything_is_built(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(onnx_export, "_build")
    folder = save_tiny_smollm(tmp_path / "hf")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["quantization_config"] = {"quant_method": "torchao"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(UnsupportedModelError, match="quantized \\(torchao\\)") as caught:
        export(folder, tmp_path / "out")
    assert "float parent" in (caught.value.hint or "")


def test_a_parent_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such folder"):
        export(tmp_path / "nowhere", tmp_path / "out")


def test_int4_counts_as_a_quantization() -> None:
    made = [OnnxExport(technique="onnx_export", precision=p) for p in ("int4", "fp32")]
    assert [(r.stage, r.label) for r in made] == [
        ("quantized", "onnx_int4"),
        ("exported", "onnx_fp32"),
    ]
