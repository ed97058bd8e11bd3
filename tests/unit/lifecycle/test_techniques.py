"""Quantizing and pruning tiny models: what is written is what the record says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("gguf", reason="needs gguf")
pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")

import tiny_models as tiny
import torch
from derivation import artefact_at, child, ref_of
from transformers import AutoModelForCausalLM

from slmbench.errors import ArtefactError, MissingDataError, UnsupportedModelError
from slmbench.lifecycle import calibration_text, depth_prune, gguf_quantize, materialise
from slmbench.lifecycle.gguf_header import read_header
from slmbench.lifecycle.workbench import Workbench
from slmbench.made import DepthPruneFacts, GgufQuantizeFacts, TorchaoFacts
from slmbench.spec.recipe import DepthPrune, Dequantize, GgufQuantize, TorchaoQuantize

pytestmark = pytest.mark.engine

IDS = torch.arange(50).unsqueeze(0)


def bench(parent: Path, out: Path) -> Workbench:
    out.mkdir()
    return Workbench(parent, out, 1, lambda _: None)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(IDS).logits
    return found


def silence(model: torch.nn.Module, layer: int) -> None:
    """Make that layer hand its input through."""
    block = model.model.layers[layer]
    with torch.no_grad():
        block.self_attn.o_proj.weight.zero_()
        block.mlp.down_proj.weight.zero_()


def quantize(parent: Path, out: Path, kind: str) -> tuple[Path, GgufQuantizeFacts]:
    recipe = GgufQuantize(technique="gguf_quantize", type=kind)
    product = gguf_quantize.make(recipe, bench(parent, out))
    assert isinstance(product.facts, GgufQuantizeFacts)
    return product.path, product.facts


def test_quantized_and_requantized_are_told_apart(tmp_path: Path) -> None:
    parent = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf")
    q8, first = quantize(parent, tmp_path / "q8", "Q8_0")
    q4, second = quantize(q8, tmp_path / "q4", "Q4_0")
    assert first.note == "quantized from F32"
    assert second.note == "requantized from Q8_0"
    assert read_header(q8).main_type == "Q8_0"
    assert read_header(q4).main_type == "Q4_0"
    assert second.bits_per_weight < first.bits_per_weight < 32
    assert first.bits_per_weight == pytest.approx(read_header(q8).bits_per_weight)
    assert {c.type for c in first.to_types} == {"F32", "Q8_0"}
    assert second.from_types == first.to_types


def test_rows_that_fit_no_k_block_fall_back_and_are_counted(tmp_path: Path) -> None:
    parent = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf")
    _, facts = quantize(parent, tmp_path / "q2", "Q2_K")
    assert "Q2_K" not in {c.type for c in facts.to_types}
    assert facts.bits_per_weight > 4


def test_what_llama_cpp_cannot_read_is_an_error(tmp_path: Path) -> None:
    def short(arrays: dict[str, object]) -> None:
        del arrays["blk.0.attn_q.weight"], arrays["token_embd.weight"]

    parent = tiny.write_gguf(tiny.tiny_llama(), tmp_path / "m.gguf", alter=short, arch="nonsense")
    with pytest.raises(ArtefactError, match="could not quantize"):
        quantize(parent, tmp_path / "out", "Q8_0")


@pytest.mark.parametrize("idle", [0, 1, 2])
def test_the_layer_that_does_nothing_is_the_one_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: int
) -> None:
    """Without it the logits stay; its influence is 0, also in the last place (no final norm)."""
    model = tiny.tiny_llama()
    silence(model, idle)
    parent = tiny.write_folder(model, tmp_path / "parent")
    texts = [f"Passage {i} of some words, and 12 more." for i in range(6)]
    monkeypatch.setenv("SLMBENCH_DATA", str(tiny.write_passages(tmp_path / "data", texts)))
    recipe = DepthPrune(technique="depth_prune", drop_layers=1, calibration_texts=4, max_tokens=16)
    product = depth_prune.make(recipe, bench(parent, tmp_path / "out"))
    facts = product.facts
    assert isinstance(facts, DepthPruneFacts)
    assert facts.dropped_layers == (idle,)
    assert facts.block_influence[idle] == pytest.approx(0, abs=1e-9)
    assert min(x for i, x in enumerate(facts.block_influence) if i != idle) > 1e-3
    assert (facts.tokens, len(facts.text_indices)) == (4 * 16, 4)
    assert facts.calibration_source == "local folder"
    again = AutoModelForCausalLM.from_pretrained(product.path, local_files_only=True).eval()
    torch.testing.assert_close(logits(again), logits(model))
    config = json.loads((product.path / "config.json").read_text())
    assert config["num_hidden_layers"] == tiny.LAYERS - 1
    assert [layer.self_attn.layer_idx for layer in again.model.layers] == [0, 1]
    assert facts.parameters_before == model.num_parameters()
    assert facts.parameters_after == again.num_parameters() < facts.parameters_before
    assert str(tmp_path) not in (product.path / "config.json").read_text()
    with torch.inference_mode():
        again.generate(IDS[:, :4], max_new_tokens=3, do_sample=False, pad_token_id=0)


def inputs_and_outputs(
    model: torch.nn.Module, ids: list[int]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each layer, [tokens, hidden], by running the model's parts one after the other."""
    inner = model.model
    tokens = torch.tensor([ids])
    with torch.inference_mode():
        state = inner.embed_tokens(tokens)
        turns = inner.rotary_emb(state, torch.arange(len(ids)).unsqueeze(0))
        found = []
        for layer in inner.layers:
            after = layer(state, position_embeddings=turns)
            found.append((state[0], after[0]))
            state = after
    return found


def test_block_influence_is_one_minus_the_mean_cosine() -> None:
    """By the formula, on the states of layers that are run by hand."""
    model = tiny.tiny_llama()
    sequences = [list(range(9)), list(range(20, 24))]
    found = depth_prune.block_influence(model, sequences)
    total, n = [0.0] * tiny.LAYERS, 0
    for ids in sequences:
        for i, (x, y) in enumerate(inputs_and_outputs(model, ids)):
            cosines = (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))
            total[i] += float(cosines.sum())
        n += len(ids)
    assert found.tokens == n == 13
    assert found.per_layer == pytest.approx([1 - t / n for t in total], abs=1e-5)


def test_models_of_another_build_are_refused_by_name() -> None:
    stranger = SimpleNamespace(config=SimpleNamespace(model_type="gpt2"))
    with pytest.raises(UnsupportedModelError, match="depth_prune does not know gpt2") as caught:
        depth_prune._known(stranger)
    assert "llama" in str(caught.value.hint)


def test_dropping_all_layers_is_refused() -> None:
    with pytest.raises(ArtefactError, match="the parent has 3 layers"):
        depth_prune.least([0.1, 0.2, 0.3], 3)
    assert depth_prune.least([0.3, 0.1, 0.2], 2) == (1, 2)


def test_layers_can_be_the_last_or_drawn_instead() -> None:
    influence = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7]

    def gone(**settings: object) -> tuple[int, ...]:
        recipe = DepthPrune(technique="depth_prune", drop_layers=2, **settings)
        return depth_prune.chosen(recipe, influence)

    assert gone() == (0, 2)
    assert gone(rank_by="last") == (4, 5)
    drawn = {gone(rank_by="random", seed=seed) for seed in range(8)}
    assert gone(rank_by="random", seed=3) in drawn
    assert len(drawn) > 3
    assert all(len(set(each)) == 2 and each == tuple(sorted(each)) for each in drawn)
    with pytest.raises(ArtefactError, match="the parent has 6 layers"):
        depth_prune.chosen(
            DepthPrune(technique="depth_prune", drop_layers=6, rank_by="random"), influence
        )
    assert "rank_by" not in DepthPrune(technique="depth_prune", drop_layers=1).model_dump()


def test_calibration_texts_are_seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {i}" for i in range(50)]
    monkeypatch.setenv("SLMBENCH_DATA", str(tiny.write_passages(tmp_path / "data", texts)))
    found = depth_prune.fetch("boolq")
    recipe = DepthPrune(technique="depth_prune", drop_layers=1, calibration_texts=5)
    indices, chosen = depth_prune.calibration_texts(found, recipe)
    assert chosen == [texts[i] for i in indices]
    assert depth_prune.calibration_texts(found, recipe) == (indices, chosen)
    other = depth_prune.calibration_texts(found, recipe.model_copy(update={"seed": 7}))
    assert other[0] != indices
    assert indices != (0, 1, 2, 3, 4)


def test_a_set_without_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMBENCH_DATA", str(tiny.write_passages(tmp_path / "data", ["a"])))
    monkeypatch.setattr(calibration_text, "_TEXT_COLUMNS", ("story",))
    recipe = DepthPrune(technique="depth_prune", drop_layers=1)
    with pytest.raises(MissingDataError, match="no column of text"):
        depth_prune.calibration_texts(depth_prune.fetch("boolq"), recipe)


def test_torchao_in_the_real_maker(tmp_path: Path) -> None:
    """The whole path: child process, safetensors, reloaded logits, the record."""
    pytest.importorskip("torchao", reason="needs torchao")
    model = tiny.tiny_llama()
    parent = artefact_at(tiny.write_folder(model, tmp_path / "parent"))
    variant = child(TorchaoQuantize(technique="torchao"), format_="hf")
    said: list[str] = []
    made = materialise(variant, ref_of(variant), parent, base=Path(), report=said.append)
    assert made.made is not None
    facts = made.made.facts
    assert isinstance(facts, TorchaoFacts)
    assert facts.quantized_linears == 7 * tiny.LAYERS
    assert "model.embed_tokens" in facts.kept_float
    assert "lm_head (tied to the embedding)" in facts.kept_float
    assert facts.reload_max_logit_difference == 0
    assert {"torch", "torchao", "transformers"} <= made.made.tools.keys()
    assert not list(made.path.glob("*.bin"))
    again = AutoModelForCausalLM.from_pretrained(made.path, local_files_only=True).eval()
    assert type(again.model.layers[0].mlp.up_proj.weight).__name__ == "Int8Tensor"
    assert again.lm_head.weight is again.model.embed_tokens.weight
    difference = (logits(again) - logits(model)).abs().max()
    assert 0 < difference < logits(model).abs().max()


def test_a_parent_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    tiny.tiny_llama().save_pretrained(tmp_path / "parent")
    recipe = DepthPrune(technique="depth_prune", drop_layers=1)
    with pytest.raises(ArtefactError, match="no tokenizer") as error:
        depth_prune.make(recipe, bench(tmp_path / "parent", tmp_path / "out"))
    assert "save_pretrained" in str(error.value.hint)


def test_the_real_maker_reports_a_garbage_parent(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"garbage")
    variant = child(Dequantize(technique="dequantize"), format_="hf")
    parent = artefact_at(tmp_path / "m.gguf")
    with pytest.raises(ArtefactError, match=r"child: .*m.gguf: no readable GGUF"):
        materialise(variant, ref_of(variant), parent, base=Path(), report=lambda _: None)
