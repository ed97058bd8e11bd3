"""Noise: as much of each matrix as asked for, Gaussian, from the seed, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from shape_bench import backend_logits, bench, family, load, logits, write

from slmbench.content import content_of
from slmbench.errors import ArtefactError, UnsupportedModelError
from slmbench.lifecycle import perturb
from slmbench.lifecycle.rtn import matrices
from slmbench.made import PerturbFacts
from slmbench.spec.recipe import Perturb

pytestmark = [
    pytest.mark.engine,
    # transformers looks for Mamba's kernels, which use a decorator that torch is giving up
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]


def make(parent: Path, out: Path, **changes: Any) -> tuple[Path, PerturbFacts]:
    product = perturb.make(Perturb(technique="perturb", **changes), bench(parent, out))
    assert isinstance(product.facts, PerturbFacts)
    return product.path, product.facts


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {m.name: m.parameter.detach() for m in matrices(model, embeddings=False)}


def steps(path: Path, model: Any) -> dict[str, torch.Tensor]:
    """What was added to each matrix."""
    before = weights(model)
    return {name: after - before[name] for name, after in weights(load(path)).items()}


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "mamba2", "gpt2"])
def test_every_matrix_moves_by_that_share_and_nothing_else_does(kind: str, tmp_path: Path) -> None:
    model = family(kind)
    path, facts = make(write(model, tmp_path / "p"), tmp_path / "o", relative_norm=0.3)
    added, before = steps(path, model), weights(model)
    assert added.keys() == before.keys()
    for name, step in added.items():
        assert float(step.norm() / before[name].norm()) == pytest.approx(0.3, rel=1e-5), name
    again = load(path)
    inside = {f"{name}.weight" for name in before}
    for (name, mine), theirs in zip(again.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs) is (name not in inside), name
    assert (facts.matrices, facts.weights) == (
        len(before), sum(w.numel() for w in before.values())
    )  # fmt: skip
    assert facts.relative_norm == pytest.approx(0.3, rel=1e-5)
    assert facts.smallest_relative_norm <= facts.relative_norm <= facts.largest_relative_norm
    info, backend = backend_logits(path)
    assert info.parameters == model.num_parameters()
    backend.close()


def test_the_noise_is_gaussian_and_independent_of_the_weights(tmp_path: Path) -> None:
    """Kurtosis 3, mean 0, no correlation with W, and none between two matrices of one shape."""
    model = family("llama", intermediate_size=512)
    path, _ = make(write(model, tmp_path / "p"), tmp_path / "o")
    added, before = steps(path, model), weights(model)
    name = "model.layers.0.mlp.up_proj"
    step = added[name].double().flatten()
    near = 5 / len(step) ** 0.5
    assert abs(float(step.mean() / step.std())) < near
    assert float((step / step.std()).pow(4).mean()) == pytest.approx(3, abs=0.25)

    def together(other: torch.Tensor) -> float:
        return abs(float(torch.corrcoef(torch.stack([step, other.double().flatten()]))[0, 1]))

    assert together(before[name]) < near
    assert together(added["model.layers.1.mlp.up_proj"]) < near
    assert together(added["model.layers.0.mlp.gate_proj"]) < near


def test_the_bytes_follow_the_seed_and_more_noise_does_more(tmp_path: Path) -> None:
    model = family("llama")
    parent = write(model, tmp_path / "p")
    first, _ = make(parent, tmp_path / "1", relative_norm=0.05)
    again, _ = make(parent, tmp_path / "2", relative_norm=0.05)
    other, _ = make(parent, tmp_path / "3", relative_norm=0.05, seed=5)
    more, _ = make(parent, tmp_path / "4", relative_norm=0.2)
    assert content_of(first).sha256 == content_of(again).sha256 != content_of(other).sha256
    little, much = steps(first, model), steps(more, model)
    for name, step in little.items():  # the same draw, four times as large
        torch.testing.assert_close(4 * step, much[name], rtol=1e-3, atol=1e-6)

    def change(path: Path) -> float:
        return float((logits(load(path)) - logits(model)).square().mean())

    assert change(first) < change(more)


def test_the_parents_number_type_stays_and_the_record_says_what_is_stored(tmp_path: Path) -> None:
    """Noise far below bfloat16's steps is mostly rounded away: the record does not say 0.0005."""
    parent = write(family("llama").to(torch.bfloat16), tmp_path / "p")
    path, facts = make(parent, tmp_path / "o", relative_norm=5e-4)
    after, before = load(path), load(parent)
    assert after.dtype is torch.bfloat16
    old, new = weights(before), weights(after)
    noise = sum(float((new[n].double() - old[n].double()).square().sum()) for n in old)
    power = sum(float(w.double().square().sum()) for w in old.values())
    assert facts.relative_norm == pytest.approx((noise / power) ** 0.5)
    assert 0 < facts.relative_norm < 4e-4


def test_a_matrix_of_zeros_stays(tmp_path: Path) -> None:
    model = family("llama")
    model.model.layers[0].mlp.up_proj.weight.data.zero_()
    path, facts = make(write(model, tmp_path / "p"), tmp_path / "o")
    assert not weights(load(path))["model.layers.0.mlp.up_proj"].any()
    assert facts.smallest_relative_norm == 0
    assert facts.relative_norm == pytest.approx(0.1, rel=1e-5)


def test_what_does_not_apply_is_named(tmp_path: Path) -> None:
    model = family("llama").to(torch.float16)
    model.model.layers[0].mlp.up_proj.weight.data.fill_(60_000)
    with pytest.raises(ArtefactError, match=r"up_proj: .* or torch.float16 cannot hold") as error:
        make(write(model, tmp_path / "p"), tmp_path / "1", relative_norm=0.5)
    assert "lower relative_norm" in str(error.value.hint)
    quantized = write(family("llama"), tmp_path / "q")
    config = (quantized / "config.json").read_text()
    (quantized / "config.json").write_text(
        config.rstrip()[:-1] + ', "quantization_config": {"quant_method": "gptq"}}'
    )
    with pytest.raises(UnsupportedModelError, match="perturb changes float weights"):
        make(quantized, tmp_path / "2")
