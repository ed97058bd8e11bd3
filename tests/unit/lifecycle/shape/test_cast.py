"""Casting: every tensor the nearest one, what is rounded counted, what overflows refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from shape_bench import backend_logits, bench, family, load, logits, write

from slmbench.content import content_of
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import cast
from slmbench.made import CastFacts
from slmbench.spec.recipe import Cast

pytestmark = pytest.mark.engine


def make(parent: Path, out: Path, dtype: Any) -> tuple[Path, CastFacts]:
    product = cast.make(Cast(technique="cast", dtype=dtype), bench(parent, out))
    assert isinstance(product.facts, CastFacts)
    return product.path, product.facts


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_the_nearest_and_the_rounded_counted(dtype: str, tmp_path: Path) -> None:
    model = family("llama")
    path, facts = make(write(model, tmp_path / "p"), tmp_path / "o", dtype)
    again = load(path)
    kind = getattr(torch, dtype)
    assert again.dtype is kind
    changed = 0
    for (name, before), after in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(before.to(kind), after), name
        changed += int((before != after.float()).sum())
    assert (facts.tensors, facts.rounded_weights) == (20, changed)
    assert changed > 1000
    largest = logits(model).abs().max()
    assert (logits(again) - logits(model)).abs().max() < 0.05 * largest
    info, backend = backend_logits(path)
    assert info.weight_bytes == 2 * info.parameters
    backend.close()


def test_there_and_back_loses_nothing(tmp_path: Path) -> None:
    parent = write(family("llama").to(torch.bfloat16), tmp_path / "p")
    wide, up = make(parent, tmp_path / "1", "float32")
    back, down = make(wide, tmp_path / "2", "bfloat16")
    assert (up.rounded_weights, down.rounded_weights) == (0, 0)
    assert torch.equal(logits(load(back)), logits(load(parent)))
    assert (wide / "tokenizer.json").read_bytes() == (parent / "tokenizer.json").read_bytes()
    other, _ = make(parent, tmp_path / "3", "float32")
    assert content_of(wide).sha256 == content_of(other).sha256


def test_several_files_and_their_index(tmp_path: Path) -> None:
    parent = tmp_path / "p"
    model = family("llama")
    write(model, parent)
    (parent / "model.safetensors").unlink()
    model.save_pretrained(parent, max_shard_size="60KB")
    assert len(list(parent.glob("*.safetensors"))) > 2
    path, facts = make(parent, tmp_path / "o", "bfloat16")
    index = json.loads((path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2 * model.num_parameters()
    assert facts.tensors == 20
    assert load(path).num_parameters() == model.num_parameters()


def test_what_float16_cannot_hold_is_an_error(tmp_path: Path) -> None:
    model = family("llama")
    with torch.no_grad():
        model.model.norm.weight[3] = 1e5
    parent = write(model, tmp_path / "p")
    with pytest.raises(
        ArtefactError, match=r"model.norm.weight: 1 weights are beyond float16"
    ) as e:
        make(parent, tmp_path / "1", "float16")
    assert "bfloat16" in str(e.value.hint)
    make(parent, tmp_path / "2", "bfloat16")


def test_quantized_weights_and_broken_folders_are_refused(tmp_path: Path) -> None:
    parent = write(family("llama"), tmp_path / "p")
    config = json.loads((parent / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "torchao", "quant_type": "int8"}
    (parent / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModelError, match="are quantized"):
        make(parent, tmp_path / "1", "float16")
    config = {"model_type": "nonsense"}
    (parent / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModelError, match="does not know its kind"):
        make(parent, tmp_path / "2", "float16")
    (parent / "model.safetensors").write_bytes(b"12345678garbage")
    with pytest.raises(ArtefactError, match="no readable safetensors"):
        make(parent, tmp_path / "3", "float16")
