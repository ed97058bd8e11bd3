"""Low-rank folders: the nearest factors, and a folder that only slmbench's backend reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from shape_bench import CALIBRATION, IDS, backend_logits, bench, family, load, logits, write

from slmbench.backends.hf_folder import check_folder
from slmbench.backends.protocol import BackendError
from slmbench.content import content_of
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import low_rank, sparsify, width_prune
from slmbench.lifecycle.activations import calibration_rows, observe
from slmbench.lifecycle.gguf_export import shape_of_folder
from slmbench.made import LowRankFacts
from slmbench.spec.recipe import LowRank, Sparsify, WidthPrune

pytestmark = pytest.mark.engine


def recipe(**changes: Any) -> LowRank:
    return LowRank(technique="low_rank", calibration=CALIBRATION, **changes)


def make(parent: Path, out: Path, **changes: Any) -> tuple[Path, LowRankFacts]:
    product = low_rank.make(recipe(**changes), bench(parent, out))
    assert isinstance(product.facts, LowRankFacts)
    return product.path, product.facts


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write(family("llama"), tmp_path / "llama")


def test_the_error_is_that_of_the_values_left_out(llama: Path, tmp_path: Path) -> None:
    """Eckart and Young: the squares of the singular values beyond the rank."""
    path, facts = make(llama, tmp_path / "o", weighted=False)
    rank = 16  # 0.6 * 96 * 64 / (96 + 64) = 23.04, down to a multiple of 8
    lost = size = 0.0
    model = load(llama)
    for name, layer in model.named_modules():
        if name.rpartition(".")[2] in ("gate_proj", "up_proj", "down_proj"):
            values = torch.linalg.svdvals(layer.weight.detach().double())
            lost += float(values[rank:].square().sum())
            size += float(values.square().sum())
    assert facts.squared_error == pytest.approx(lost / size, rel=1e-4)
    assert (facts.matrices, facts.ranks) == (6, (rank,) * 6)
    assert facts.calibration is None
    fewer = 6 * (96 * 64 - rank * (96 + 64))
    assert facts.parameters_before == model.num_parameters()
    assert facts.parameters_after == model.num_parameters() - fewer
    config = json.loads((path / "config.json").read_text())
    assert config["slmbench_low_rank"] == {"gate_proj": 16, "up_proj": 16, "down_proj": 16}
    assert str(tmp_path) not in (path / "config.json").read_text()


def test_the_backend_computes_what_the_product_of_the_factors_would(
    llama: Path, tmp_path: Path
) -> None:
    path, facts = make(llama, tmp_path / "o")
    dense = load(llama)
    info, backend = backend_logits(path)
    model = backend._require_model()
    with torch.no_grad():
        for mine, other in zip(dense.model.layers, model.model.layers, strict=True):
            for name in ("gate_proj", "up_proj", "down_proj"):
                pair = getattr(other.mlp, name)
                getattr(mine.mlp, name).weight.copy_(pair.widen.weight @ pair.narrow.weight)
    torch.testing.assert_close(logits(model), logits(dense), rtol=1e-4, atol=1e-4)
    assert info.parameters == facts.parameters_after
    assert info.weight_bytes == 4 * facts.parameters_after
    assert info.layers == 2
    assert info.matmul_parameters == facts.parameters_after
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert backend.sharing().exact, backend.sharing()
    greedy = list(backend.generate_ids([[5, 6, 7, 8]], 4)[0].token_ids)
    ids = [5, 6, 7, 8]
    for _ in greedy:
        ids.append(int(logits(dense, torch.tensor([ids]))[0, -1].argmax()))
    assert ids[4:] == greedy
    backend.close()


def test_weighted_factors_err_less_where_inputs_are_large(llama: Path, tmp_path: Path) -> None:
    """ASVD: in the norm weighted by the inputs its factors are nearer, in the plain one not."""
    model = load(llama)
    with torch.no_grad():  # a few columns see much more than the others
        model.model.layers[0].post_attention_layernorm.weight[:8] = 30.0
    parent = write(model, tmp_path / "parent")
    rows = calibration_rows(parent, CALIBRATION)
    layer = model.model.layers[0].mlp.up_proj
    inputs = observe(model, {"up": layer}, rows.ids)["up"]
    scale = inputs.absolute.sqrt().float()

    def errors(weighted: bool) -> tuple[float, float]:
        found = low_rank.factorise(layer.weight.detach(), 16, scale if weighted else None)
        gap = layer.weight.detach() - found.widen @ found.narrow
        return float((gap * scale).norm()), float(gap.norm())

    assert errors(True)[0] < errors(False)[0]
    assert errors(True)[1] > errors(False)[1]
    _, plain = make(parent, tmp_path / "plain", weighted=False)
    _, weighted = make(parent, tmp_path / "weighted")
    assert weighted.squared_error > plain.squared_error
    assert weighted.calibration == rows.facts


def test_nearly_all_is_nearly_the_parent(llama: Path, tmp_path: Path) -> None:
    """Rank 32 of 64: nearer to the parent than rank 8."""

    def gap(keep: float, out: str) -> float:
        path, _ = make(llama, tmp_path / out, keep=keep)
        _, backend = backend_logits(path)
        return float((logits(backend._require_model()) - logits(load(llama))).square().mean())

    assert gap(0.9, "1") < gap(0.3, "2")


def test_the_same_recipe_gives_the_same_bytes(llama: Path, tmp_path: Path) -> None:
    first, _ = make(llama, tmp_path / "1")
    again, _ = make(llama, tmp_path / "2")
    assert content_of(first).sha256 == content_of(again).sha256


def test_neox_keeps_its_biases_and_type(tmp_path: Path) -> None:
    model = family("gpt_neox")
    with torch.no_grad():
        model.gpt_neox.layers[0].mlp.dense_h_to_4h.bias.fill_(0.5)
    parent = write(model.to(torch.bfloat16), tmp_path / "neox")
    path, facts = make(parent, tmp_path / "o", targets=("dense_h_to_4h", "dense_4h_to_h"))
    info, backend = backend_logits(path)
    inner = backend._require_model().gpt_neox.layers[0].mlp.dense_h_to_4h
    assert (inner.widen.bias == 0.5).all()
    assert inner.narrow.bias is None
    assert inner.widen.weight.dtype is torch.bfloat16
    assert (facts.matrices, info.parameters) == (4, facts.parameters_after)
    backend.close()


def test_plain_transformers_and_other_tools_refuse_it(llama: Path, tmp_path: Path) -> None:
    """In a process that never heard of slmbench: an error with the type, no made-up weights."""
    path, facts = make(llama, tmp_path / "o")
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM\n"
        "AutoModelForCausalLM.from_pretrained(sys.argv[1], local_files_only=True)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert ran.returncode != 0
    assert "slmbench_low_rank_llama" in ran.stderr
    assert "transformers backend" in facts.note
    with pytest.raises(UnsupportedModelError, match="LowRankLlamaForCausalLM"):
        shape_of_folder(path)
    with pytest.raises(UnsupportedModelError, match="does not know slmbench_low_rank_llama"):
        width_prune.make(WidthPrune(technique="width_prune"), bench(path, tmp_path / "w"))
    assert check_folder(path).weight_bytes == 4 * facts.parameters_after


def test_factors_can_be_made_sparse(llama: Path, tmp_path: Path) -> None:
    """A technique for any linear layer takes such a folder, and what it writes is one again."""
    path, facts = make(llama, tmp_path / "o")
    thin = sparsify.make(Sparsify(technique="sparsify"), bench(path, tmp_path / "s"))
    info, backend = backend_logits(thin.path)
    assert info.parameters == facts.parameters_after
    inner = backend._require_model().model.layers[0].mlp.up_proj
    assert int((inner.narrow.weight == 0).sum()) == 16 * 64 // 2
    backend.close()


def test_a_folder_that_lacks_a_factor_is_invalid(llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path, _ = make(llama, tmp_path / "o")
    weights = load_file(path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.widen.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match=r"1 tensors are missing.*up_proj.widen"):
        backend_logits(path)


def test_what_does_not_apply_is_named(llama: Path, tmp_path: Path) -> None:
    mamba = write(family("mamba2"), tmp_path / "mamba")
    with pytest.raises(UnsupportedModelError, match="low_rank does not know mamba2") as error:
        make(mamba, tmp_path / "1")
    assert "gpt_neox" in str(error.value.hint)
    with pytest.raises(ArtefactError, match="named 'dense'") as missing:
        make(llama, tmp_path / "2", targets=("dense",))
    assert "up_proj" in str(missing.value.hint)
    assert logits(load(llama), IDS).shape[-1] > 0
