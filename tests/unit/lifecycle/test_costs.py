"""Sizes read off artefacts, estimates made of them, and refusals for want of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes_made import made_record, train
from slmbench.errors import PrerequisiteError
from slmbench.lifecycle import costs
from slmbench.lifecycle.costs import CostEstimate, estimate, operations
from slmbench.lifecycle.memory_room import available, refuse_too_large
from slmbench.lifecycle.shapes import Shape, foretold, shape_of
from slmbench.records import MachinePeaks
from slmbench.spec.recipe import DepthPrune, Dequantize, FedAvg, RandomInit, WidthPrune

SMOL = Shape(134_515_008, 30, 576, 1536, 49_152)
"""SmolLM2-135M."""
GB = 10**9


@pytest.fixture(autouse=True)
def no_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "kept_peaks", lambda threads: None)


@pytest.mark.engine
def test_the_shape_of_a_folder_is_that_of_its_weights(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch")
    from transformers import AutoModelForCausalLM

    from tiny_llama import save_tiny_llama

    folder = save_tiny_llama(tmp_path / "hf")
    found = shape_of(folder)
    assert found is not None
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert found.parameters == model.num_parameters()
    assert (found.layers, found.hidden, found.inner) == (2, 64, 96)
    assert found.vocabulary == model.config.vocab_size


def test_what_tells_no_sizes_has_no_shape(tmp_path: Path) -> None:
    assert shape_of(tmp_path) is None
    (tmp_path / "config.json").write_text("[]")
    assert shape_of(tmp_path) is None
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert shape_of(tmp_path / "x.gguf") is None
    assert shape_of(tmp_path / "absent") is None


def test_what_a_chain_will_make_is_foretold() -> None:
    """Published sizes: 30 layers of 3,540,096 weights, 28.3 M of embedding, a norm."""
    layer = (SMOL.parameters - SMOL.vocabulary * SMOL.hidden) / 30
    assert layer == pytest.approx(3_540_096, rel=1e-3)
    shallow = foretold(DepthPrune(technique="depth_prune", drop_layers=4), SMOL)
    assert shallow is not None
    assert shallow.layers == 26
    assert SMOL.parameters - shallow.parameters == pytest.approx(4 * layer, abs=4)
    narrow = foretold(WidthPrune(technique="width_prune", keep_ffn=0.75), SMOL)
    assert narrow is not None
    assert narrow.inner == 1152
    assert SMOL.parameters - narrow.parameters == 30 * 3 * 576 * 384
    drawn = RandomInit(technique="random_init", architecture="llama", hidden_size=576, layers=30,
                       intermediate_size=1536, kv_heads=3)  # fmt: skip
    scratch = foretold(drawn, SMOL)
    assert scratch is not None
    assert scratch.parameters == pytest.approx(SMOL.parameters, rel=1e-3)
    assert foretold(Dequantize(technique="dequantize"), None) is None


def test_training_counts_six_or_four_operations_a_weight_and_token() -> None:
    full = operations(train(update={"kind": "full"}, validations=2), SMOL)
    lora = operations(train(validations=2), SMOL)
    held_out = 2 * train().text.validation_bytes / 4 * 2 * SMOL.parameters
    assert full == 6 * SMOL.parameters * 65_536 + held_out
    assert lora == 4 * SMOL.parameters * 65_536 + held_out
    taught = train(teacher={"variant": "t"}, validations=2)
    assert operations(taught, SMOL, [SMOL]) - lora == 2 * SMOL.parameters * 65_536
    several = FedAvg(technique="fedavg", clients=4, rounds=3, train=train(validations=2))
    assert operations(several, SMOL) == 12 * lora


def test_the_basis_is_named_and_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    guess = estimate(train(), SMOL)
    assert guess.basis == "guess"
    peaks = MachinePeaks(
        threads=2, read_bandwidth=1e10, gemm_flops={"float32": 250e9}, llc_bytes=None,
        measured_utc="2026-01-01", method="",
    )  # fmt: skip
    monkeypatch.setattr(costs, "kept_peaks", lambda threads: peaks)
    measured = estimate(train(), SMOL, threads=2)
    assert measured.basis == "peaks of this machine"
    assert measured.seconds < guess.seconds
    before = made_record(train(tokens=8192), seconds=100.0, parameters=SMOL.parameters)
    like = estimate(train(tokens=65_536), SMOL, made=[before])
    assert like.basis == "like makings"
    text = train().text.validation_bytes / 4 * train().validations
    share = 2 * text / (4 * 65_536)  # of validation, which the record's seconds leave out
    assert like.seconds == pytest.approx(800 * (1 + share), rel=0.02)
    other = made_record(train(update={"kind": "full"}), seconds=1.0, parameters=SMOL.parameters)
    assert estimate(train(), SMOL, made=[other]).basis == measured.basis
    assert estimate(train(), None).memory_bytes is None


def test_full_training_needs_more_memory_than_low_rank_updates() -> None:
    full = estimate(train(update={"kind": "full"}), SMOL).memory_bytes
    lora = estimate(train(), SMOL).memory_bytes
    taught = estimate(train(teacher={"variant": "t"}), SMOL, [SMOL]).memory_bytes
    assert full is not None
    assert lora is not None
    assert taught is not None
    # measured with these settings: SmolLM2-135M, float32, parts of 512 tokens
    assert full == pytest.approx(4.19 * GB, rel=0.15)
    assert lora == pytest.approx(3.66 * GB, rel=0.15)
    assert taught - lora > 4 * SMOL.parameters


def test_what_is_capped_needs_no_more_than_its_cap() -> None:
    assert estimate(train(caps={"memory_mb": 1500}), SMOL).memory_bytes == 1_500_000_000


def test_what_is_too_large_is_refused_with_numbers_and_a_way_out() -> None:
    need = CostEstimate(1.0, 6 * GB, "guess", SMOL)
    refuse_too_large("big", need, 7 * GB)
    refuse_too_large("big", need, None)
    refuse_too_large("big", CostEstimate(1.0, None, "guess", None), 1)
    with pytest.raises(PrerequisiteError) as caught:
        refuse_too_large("big", need, 5 * GB)
    assert "about 6.0 GB of memory (estimated), 5.0 GB are available" in caught.value.message
    assert "--force" in str(caught.value.hint)


def test_memory_that_is_left_is_the_least_of_kernel_and_groups(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    assert available(tmp_path) == 8_000_000 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/a\n")
    group = tmp_path / "sys/fs/cgroup/a"
    group.mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("memory\n")
    (group / "memory.max").write_text(f"{4 * GB}\n")
    (group / "memory.current").write_text(f"{3 * GB}\n")
    (group / "memory.stat").write_text(f"anon {GB}\nfile {2 * GB}\n")
    assert available(tmp_path) == 3 * GB  # page cache can be given back
    (group / "memory.max").write_text("max\n")
    assert available(tmp_path) == 8_000_000 * 1024
    assert available(tmp_path / "nothing") is None


def test_random_weights_cost_their_own_size_not_their_parents() -> None:
    """The parent gives the tokenizer only: its size says nothing of what is drawn."""
    wide = RandomInit(technique="random_init", architecture="llama", hidden_size=4096, layers=32)
    alone, small = estimate(wide, None), estimate(wide, Shape(10**6, 2, 64, 128, 258))
    assert alone.memory_bytes == small.memory_bytes
    assert small.memory_bytes is not None
    assert small.memory_bytes > 20 * GB
