"""What artefacts are by their files, and when their compression is called simulated."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import tiny_models as tiny
import torch
from derivation import artefact_at, child, ref_of
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM

from slmbench.errors import ArtefactError
from slmbench.lifecycle import Artefact, make, materialise
from slmbench.lifecycle.energy import unknown
from slmbench.lifecycle.job import MakeJob
from slmbench.lifecycle.levels import Levels
from slmbench.lifecycle.measured import Look, look_at, verdict
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import MadeRecord, Measured
from slmbench.spec import Recipe
from tiny_smollm import save_tiny_smollm

SPENT = make.Spent("2026-01-01T00:00:00+00:00", 1.0, None, unknown("not metered"))

pytestmark = pytest.mark.engine


def recipe(technique: str, **settings: Any) -> Recipe:
    made: Recipe = TypeAdapter(Recipe).validate_python({"technique": technique, **settings})
    return made


def derived(parent: Artefact, name: str, technique: str, **settings: Any) -> Artefact:
    """What the maker makes and seals, without a process of its own."""
    how = recipe(technique, **settings)
    out = parent.path.parent.parent / name
    out.mkdir()
    job = MakeJob(
        variant=name,
        identity="b" * 64,
        recipe=how,
        format=how.gives,
        parent="parent",
        parent_identity="a" * 64,
        parent_sha256=parent.sha256,
        parent_path=str(parent.path),
        out=str(out),
        threads=1,
    )
    product = import_module(make.TECHNIQUES[technique]).make(
        how, Workbench(parent.path, out, 1, lambda _: None)
    )
    make._seal(job, product, SPENT)
    record = MadeRecord.model_validate_json((out / "variant.json").read_bytes())
    return Artefact(product.path, record.artefact_sha256, record.artefact_bytes, record)


def told(artefact: Artefact) -> Measured:
    assert artefact.made is not None
    assert artefact.made.measured is not None
    return artefact.made.measured


@dataclass(frozen=True)
class Size:
    """Weights of the parent."""

    all: int
    linear: int
    norms: int


@pytest.fixture
def parent(tmp_path: Path) -> Artefact:
    return artefact_at(save_tiny_smollm(tmp_path / "parent" / "hf"))


@pytest.fixture
def size(parent: Artefact) -> Size:
    model = AutoModelForCausalLM.from_pretrained(parent.path, local_files_only=True)
    named = {name: p.numel() for name, p in model.named_parameters()}
    return Size(
        sum(named.values()),
        sum(n for name, n in named.items() if "proj" in name),
        sum(n for name, n in named.items() if "norm" in name),
    )


def test_a_float_folder(parent: Artefact, size: Size) -> None:
    look = look_at(parent.path, "hf")
    assert (look.weights, look.bytes, look.main) == (size.all, 4 * size.all, "F32")
    assert (look.zeros, look.sparse, look.levels) == (64, 0.0, None)  # the padding's embedding
    assert verdict(look, recipe("cast", dtype="float32"), None)[0] is False


def test_a_zero_is_counted_in_every_type(tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = tiny.tiny_llama().to(dtype)
        with torch.no_grad():
            model.model.layers[0].mlp.up_proj.weight[:, :3] = 0
            model.model.layers[1].mlp.up_proj.weight[0, :5] = -0.0
        folder = tiny.write_folder(model, tmp_path / str(dtype))
        look = look_at(folder, "hf")
        assert look.zeros == 3 * tiny.INNER + 5
        assert look.sparse == 0.0
        assert look.bytes == look.weights * dtype.itemsize


def test_the_real_maker_writes_it(parent: Artefact) -> None:
    how = recipe("rtn", bits=2)
    variant = child(how, name="rtn2", format_="hf")
    made = materialise(variant, ref_of(variant), parent, base=Path(), report=lambda _: None)
    assert told(made).kernel_reason == "at most 4 levels in groups of 32, stored as F32"


def test_rounded_floats_are_simulated_and_stay_so_in_what_moves_them(parent: Artefact) -> None:
    rounded = derived(parent, "rtn4", "rtn", bits=4)
    seen = told(rounded)
    assert seen.kernel == "simulated"
    assert seen.kernel_reason == "at most 16 levels in groups of 32, stored as F32"
    assert seen.bits_per_weight == 32  # what the grid would take is in the facts
    assert rounded.simulated.startswith("simulated kernels, as its files show: at most 16 levels")
    cast = derived(rounded, "cast", "cast", dtype="bfloat16")
    assert told(cast).kernel == "simulated"
    assert told(cast).bits_per_weight == 16
    exported = derived(cast, "gguf", "gguf_export", dtype="float32")
    assert told(exported).kernel == "simulated"
    assert "as its parent, which is simulated" in told(exported).kernel_reason
    for name, how, more in (("f16", "gguf_quantize", {"type": "F16"}), ("hf", "dequantize", {})):
        assert told(derived(exported, name, how, **more)).kernel == "simulated"
    real = derived(exported, "q4", "gguf_quantize", type="Q4_0")
    assert told(real).kernel == "real"
    assert told(real).kernel_reason == "computed with as stored: Q4_0"
    assert real.simulated == ""


def test_a_gguf_made_floats_is_a_float_model(parent: Artefact) -> None:
    """As the demo's parent: on a grid, and nothing of it claims to be small."""
    exported = derived(parent, "gguf", "gguf_export", dtype="float32")
    assert told(exported).kernel_reason == "computed with as stored: F32"
    blocks = derived(exported, "q4_1", "gguf_quantize", type="Q4_1")
    floats = derived(blocks, "floats", "dequantize")
    assert told(floats).kernel == "real"
    assert "are left of the parent's blocks" in told(floats).kernel_reason
    fewer = derived(floats, "fewer", "depth_prune", drop_layers=1)
    assert told(fewer).kernel == "real"
    assert told(fewer).kernel_reason.endswith("as its parent")
    again = derived(floats, "again", "rtn", bits=3)
    assert told(again).kernel == "simulated"


def test_zeros_are_simulated_whoever_made_them(parent: Artefact, size: Size) -> None:
    sparse = derived(parent, "sparse", "sparsify", method="magnitude", sparsity=0.5)
    seen = told(sparse)
    assert (seen.kernel, seen.kernel_reason) == ("simulated", "50% zeros in dense matrices")
    assert seen.zero_share == pytest.approx(0.5 * size.linear / size.all, abs=0.01)
    exported = derived(sparse, "gguf", "gguf_export", dtype="float16")
    assert told(exported).kernel == "simulated"


@pytest.mark.parametrize(
    ("scheme", "kernel", "stored"),
    [
        ("int8_dynamic", "real", "Int8Tensor"),
        ("int8_weight_only", "real", "Int8Tensor"),
        ("int4_weight_only", "simulated", "int4 levels kept in a byte each"),
    ],
)
def test_integers_of_torchao(
    parent: Artefact, size: Size, scheme: str, kernel: str, stored: str
) -> None:
    made = derived(parent, scheme, "torchao", scheme=scheme)
    seen = told(made)
    assert (seen.kernel, seen.parameters) == (kernel, size.all)
    assert stored in seen.kernel_reason
    file = next(made.path.glob("*.safetensors")).read_bytes()
    held = len(file) - 8 - int.from_bytes(file[:8], "little")
    assert seen.weight_bytes == held  # one byte a level, scales, and the floats that stay
    assert held > size.linear + 4 * (size.all - size.linear)
    assert seen.bits_per_weight == pytest.approx(8 * held / size.all)


def test_gguf_blocks_are_real_and_their_scales_count(parent: Artefact, size: Size) -> None:
    exported = derived(parent, "gguf", "gguf_export", dtype="float32")
    q8 = told(derived(exported, "q8", "gguf_quantize", type="Q8_0"))
    assert q8.parameters == size.all
    assert q8.weight_bytes == (size.all - size.norms) * 34 // 32 + 4 * size.norms
    assert (q8.kernel, q8.zero_share) == ("real", 0.0)


BASE = Look(weights=100, bytes=400, zeros=0, main="F32", sparse=0.0, levels=None)


@pytest.mark.parametrize(
    ("look", "how", "simulated", "words"),
    [
        (replace(BASE, levels=Levels(16, None)), recipe("rtn", bits=4), True, "16 levels in rows"),
        (replace(BASE, levels=Levels(16, 32)), recipe("train"), False, "as its parent"),
        (replace(BASE, sparse=0.3, levels=Levels(9, 64)), recipe("train"), True, "30% zeros"),
        (BASE, recipe("rtn", bits=8), True, "by its technique"),
        (replace(BASE, levels=Levels(16, 32)), recipe("low_rank"), False, "as its parent"),
        (BASE, recipe("train"), False, "computed with as stored: F32"),
        (replace(BASE, levels=Levels(16, 32)), recipe("gguf_quantize", type="F16"), False, "left"),
        (replace(BASE, main="IntxUnpackedToInt8Tensor int8"), recipe("train"), False, "int8"),
    ],
)
def test_the_rule(look: Look, how: Recipe, simulated: bool, words: str) -> None:
    found, why = verdict(look, how, None)
    assert found is simulated
    assert words in why


def test_a_folder_without_tensors_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(ArtefactError, match="no tensors in it"):
        look_at(tmp_path, "hf")
