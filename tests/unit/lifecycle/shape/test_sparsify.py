"""Zeros: exactly as many as asked for, where the score says, on every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_bench import CALIBRATION, backend_logits, bench, family, load, logits, write

from slmbench.content import content_of
from slmbench.errors import UnsupportedModelError
from slmbench.lifecycle import sparsify
from slmbench.lifecycle.activations import calibration_rows, observe
from slmbench.lifecycle.float_folder import decoder_linears
from slmbench.made import SparsifyFacts
from slmbench.spec.recipe import Sparsify

pytestmark = [
    pytest.mark.engine,
    # transformers looks for Mamba's kernels, which use a decorator that torch is giving up
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]


def recipe(**changes: Any) -> Sparsify:
    return Sparsify(technique="sparsify", calibration=CALIBRATION, **changes)


def make(parent: Path, out: Path, **changes: Any) -> tuple[Path, SparsifyFacts]:
    product = sparsify.make(recipe(**changes), bench(parent, out))
    assert isinstance(product.facts, SparsifyFacts)
    return product.path, product.facts


def matrices(model: Any) -> dict[str, torch.Tensor]:
    return {name: layer.weight for name, layer in decoder_linears(model, "test").items()}


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "mamba", "mamba2"])
def test_half_of_every_matrix_by_magnitude(kind: str, tmp_path: Path) -> None:
    model = family(kind)
    path, facts = make(write(model, tmp_path / "p"), tmp_path / "o")
    again = load(path)
    for (name, before), (same, after) in zip(
        matrices(model).items(), matrices(again).items(), strict=True
    ):
        assert name == same
        zeros = after == 0
        assert int(zeros.sum()) == before.numel() // 2
        assert before[zeros].abs().max() <= before[~zeros].abs().min()
        assert torch.equal(after[~zeros], before[~zeros])
    assert (facts.matrices, facts.sparsity) == (len(matrices(again)), pytest.approx(0.5))
    every = torch.cat([p.flatten() for p in again.parameters()])
    assert facts.sparsity_of_all == pytest.approx(float((every == 0).double().mean()))
    assert facts.sparsity_of_all < facts.sparsity
    assert torch.equal(again.get_output_embeddings().weight, model.get_output_embeddings().weight)
    info, backend = backend_logits(path)
    assert info.parameters == model.num_parameters()
    backend.close()


def test_wanda_ranks_rows_by_weight_times_norm_of_input(tmp_path: Path) -> None:
    model = family("llama")
    parent = write(model, tmp_path / "p")
    path, facts = make(parent, tmp_path / "o", method="wanda")
    rows = calibration_rows(parent, CALIBRATION)
    inputs = observe(model, decoder_linears(model, "test"), rows.ids)
    assert facts.calibration == rows.facts
    differs = 0
    for name, after in matrices(load(path)).items():
        before = matrices(model)[name]
        norms = (inputs[name].squared * rows.facts.tokens).sqrt().float()
        for row, (weights, left) in enumerate(zip(before, after, strict=True)):
            scores, zeros = weights.abs() * norms, left == 0
            assert int(zeros.sum()) == len(weights) // 2, (name, row)
            assert scores[zeros].max() <= scores[~zeros].min() * (1 + 1e-5)
            differs += not torch.equal(zeros, weights.abs() <= weights.abs().median())
    assert differs > 0  # or the norms said nothing


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
@pytest.mark.parametrize("method", ["magnitude", "wanda", "random"])
def test_patterns_hold_in_every_group(pattern: str, method: str, tmp_path: Path) -> None:
    kept, of = map(int, pattern.split(":"))
    parent = write(family("llama"), tmp_path / "p")
    path, facts = make(parent, tmp_path / "o", method=method, pattern=pattern)
    for after in matrices(load(path)).values():
        assert ((after.view(-1, of) != 0).sum(1) == kept).all()
    assert facts.sparsity == 0.5


def test_random_zeros_follow_the_seed_and_are_no_better(tmp_path: Path) -> None:
    model = family("llama")
    parent = write(model, tmp_path / "p")
    first, facts = make(parent, tmp_path / "1", method="random")
    again, _ = make(parent, tmp_path / "2", method="random")
    other, _ = make(parent, tmp_path / "3", method="random", seed=5)
    best, _ = make(parent, tmp_path / "4", method="magnitude")
    assert facts.sparsity == pytest.approx(0.5)
    assert content_of(first).sha256 == content_of(again).sha256 != content_of(other).sha256

    def loss(path: Path) -> float:
        return float((logits(load(path)) - logits(model)).square().mean())

    assert loss(best) < loss(first)


def test_the_parents_number_type_stays(tmp_path: Path) -> None:
    parent = write(family("llama").to(torch.float16), tmp_path / "p")
    path, _ = make(parent, tmp_path / "o", method="wanda")
    assert load(path).dtype is torch.float16
    for name, after in matrices(load(path)).items():
        before = matrices(load(parent))[name]
        assert torch.equal(after[after != 0], before[after != 0])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_count_is_exact_also_among_equals(
    rows: int, columns: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    scores = torch.randint(0, 4, (rows, columns)).float()
    gone = sparsify.smallest(scores, recipe(sparsity=share))
    assert int(gone.sum()) == round(rows * columns * share)
    if gone.any() and not gone.all():
        assert scores[gone].max() <= scores[~gone].min()
    by_row = sparsify.smallest(scores, recipe(sparsity=share, method="wanda"))
    assert (by_row.sum(1) == round(columns * share)).all()


def test_what_does_not_apply_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"no torch.nn.Linear in a gpt2") as error:
        make(write(family("gpt2"), tmp_path / "gpt2"), tmp_path / "1")
    assert "gpt_neox" in str(error.value.hint)
    mamba = write(family("mamba"), tmp_path / "mamba")
    with pytest.raises(UnsupportedModelError, match=r"dt_proj cannot be seen: a mamba") as error:
        make(mamba, tmp_path / "2", method="wanda")
    assert "magnitude" in str(error.value.hint)
    odd = write(family("llama", intermediate_size=90), tmp_path / "odd")
    with pytest.raises(UnsupportedModelError, match=r"down_proj have 90"):
        make(odd, tmp_path / "3", pattern="2:4")
