"""The technique ``train``: what it makes is what was trained, and an ordinary folder."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("peft", reason="needs peft")

import torch
from derivation import ref_of
from small_training import bench, recipe
from transformers import AutoModelForCausalLM, AutoTokenizer

from slmbench.content import content_of
from slmbench.errors import ArtefactError, SlmbenchError
from slmbench.lifecycle import Artefact, materialise, random_init
from slmbench.lifecycle.training import train, updates
from slmbench.lifecycle.training.material import material
from slmbench.lifecycle.workbench import Product
from slmbench.made import TrainFacts
from slmbench.spec import Variant
from slmbench.spec.recipe import RandomInit, TorchaoQuantize
from slmbench.spec.recipes.training import Train

pytestmark = [
    pytest.mark.engine,
    # peft asks transformers for a property by the name that it will lose
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
LORA = {"update": {"kind": "lora", "rank": 4, "alpha": 8}}
IDS = torch.arange(20).unsqueeze(0) * 7 % 200


def logits(folder: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.fixture(scope="module")
def made(parent: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Products by their update, each made once."""
    products: dict[str, Product] = {}

    def make(kind: str) -> Product:
        if kind not in products:
            asked = recipe(**(LORA if kind == "lora" else {}))
            products[kind] = train.make(asked, bench(parent, tmp_path_factory.mktemp(kind)))
        return products[kind]

    return make


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_the_product_is_an_ordinary_folder(parent: Path, made: Any, kind: str) -> None:
    product = made(kind)
    config = json.loads((product.path / "config.json").read_text())
    assert product.path.name == "hf"
    assert config["dtype"] == "float32"
    assert config["tie_word_embeddings"] is True
    again = AutoModelForCausalLM.from_pretrained(product.path, local_files_only=True)
    assert not any("lora" in name for name in again.state_dict())
    assert again.num_parameters() == product.facts.parameters
    tokenizers = [
        AutoTokenizer.from_pretrained(f, local_files_only=True) for f in (parent, product.path)
    ]
    assert tokenizers[0]("The kettle").input_ids == tokenizers[1]("The kettle").input_ids
    for file in product.path.parent.rglob("*.json"):
        assert str(parent) not in file.read_text()
    assert not torch.equal(logits(product.path), logits(parent))


@pytest.mark.parametrize(("kind", "share"), [("full", 1.0), ("lora", 0.5)])
def test_the_record_says_what_was_done(parent: Path, made: Any, kind: str, share: float) -> None:
    facts = made(kind).facts
    assert isinstance(facts, TrainFacts)
    told = facts.training
    assert told.update == kind
    assert 0 < told.trained_parameters <= share * facts.parameters
    assert (told.trained_parameters == facts.parameters) == (kind == "full")
    assert (told.steps, told.tokens, told.sequences) == (16, 2048, 64)
    assert told.text.sources == told.validation_text.sources
    assert told.text.texts + told.validation_text.texts <= 40
    assert told.text.tokens > told.text.texts
    assert told.curve[-1].validation is not None
    assert told.curve[0].validation is not None
    assert told.curve[-1].validation < told.curve[0].validation
    assert facts.reload_max_logit_difference < 1e-4
    assert (facts.adapter_sha256 is None) == (kind == "full")


def test_low_rank_updates_have_as_many_numbers_as_their_formula(made: Any) -> None:
    """rank (inputs + outputs) of every target, hidden 64, inner 96, keys and values 32."""
    shapes = [(64, 64), (64, 32), (64, 32), (64, 64), (64, 96), (64, 96), (96, 64)]
    expected = 2 * sum(4 * (a + b) for a, b in shapes)
    assert made("lora").facts.training.trained_parameters == expected


def test_the_adapter_gives_the_merged_folder(parent: Path, made: Any) -> None:
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True)
    model = PeftModel.from_pretrained(base, made("lora").path.parent / updates.ADAPTER).eval()
    with torch.inference_mode():
        found = model(input_ids=IDS).logits
    torch.testing.assert_close(found, logits(made("lora").path), atol=1e-4, rtol=1e-4)


def test_embeddings_are_not_changed_by_low_rank_updates(parent: Path, made: Any) -> None:
    before, after = (
        AutoModelForCausalLM.from_pretrained(f, local_files_only=True).state_dict()
        for f in (parent, made("lora").path)
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith("_proj.weight")}


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_same_seed_same_bytes(parent: Path, made: Any, tmp_path: Path, kind: str) -> None:
    asked = recipe(**(LORA if kind == "lora" else {}))
    again = train.make(asked, bench(parent, tmp_path / "out"))
    first, second = (next(p.path.glob("*.safetensors")) for p in (made(kind), again))
    assert first.read_bytes() == second.read_bytes()
    assert again.facts.training.text == made(kind).facts.training.text


def test_from_scratch_is_random_init_then_train(parent: Path, tmp_path: Path) -> None:
    """With the parent's tokenizer; the embedding stays tied; chance at the start."""
    drawn = random_init.make(
        RandomInit(technique="random_init", architecture="llama", hidden_size=64, layers=1),
        bench(parent, tmp_path / "init"),
    )
    product = train.make(recipe(), bench(drawn.path, tmp_path / "out"))
    facts = product.facts
    assert isinstance(facts, TrainFacts)
    first, last = facts.training.curve[0].validation, facts.training.curve[-1].validation
    assert first is not None
    assert last is not None
    assert last < 0.8 * first
    again = AutoModelForCausalLM.from_pretrained(product.path, local_files_only=True)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert facts.parameters == again.num_parameters() == drawn.facts.parameters


@pytest.mark.parametrize("scheme", ["int8_weight_only", "int8_dynamic", "int4_weight_only"])
def test_a_quantized_parent_is_recovered_on_its_dequantized_weights(
    parent: Path, tmp_path: Path, scheme: str
) -> None:
    pytest.importorskip("torchao", reason="needs torchao")
    from slmbench.lifecycle import torchao_quantize

    quantized = torchao_quantize.make(
        TorchaoQuantize.model_validate({"technique": "torchao", "scheme": scheme}),
        bench(parent, tmp_path / "int8"),
    )
    student = updates.load_student(quantized.path)
    coarse = 0.1 if "int4" in scheme else 0.01
    exact = AutoModelForCausalLM.from_pretrained(parent, local_files_only=True).state_dict()
    for name, value in student.state_dict().items():
        assert value.dtype == torch.float32
        off = float((value - exact[name]).abs().max() / exact[name].abs().max())
        assert (0 < off < coarse) if name.endswith("_proj.weight") else off == 0
    product = train.make(recipe(**LORA), bench(quantized.path, tmp_path / "out"))
    config = json.loads((product.path / "config.json").read_text())
    assert "quantization_config" not in config
    assert product.facts.training.curve[-1].validation < product.facts.training.curve[0].validation


@pytest.mark.parametrize("rule", ["random", "perplexity", "length", "diversity"])
def test_a_selection_is_part_of_the_recipe(parent: Path, tmp_path: Path, rule: str) -> None:
    """A quarter of what is not held out, and the validation text of the whole."""
    model = updates.load_student(parent)
    tokenizer = AutoTokenizer.from_pretrained(parent, local_files_only=True)
    at = bench(parent, tmp_path / "out")
    whole = material(recipe(), at, model, tokenizer)
    text = {**recipe().text.model_dump(), "selection": rule, "keep": 0.25}
    part = material(recipe(text=text), at, model, tokenizer)
    assert part.facts.texts == len(part.corpus.texts) == round(len(whole.corpus.texts) / 4)
    assert set(part.corpus.texts) < set(whole.corpus.texts)
    assert part.held_out.facts == whole.held_out.facts
    assert part.facts.sha256 != whole.facts.sha256


def test_targets_that_are_not_there_are_answered_with_those_that_are(
    parent: Path, tmp_path: Path
) -> None:
    asked = recipe(update={"kind": "lora", "targets": ["w_pack"]})
    with pytest.raises(ArtefactError, match=r"into w_pack: this llama has .* q_proj, k_proj"):
        train.make(asked, bench(parent, tmp_path / "out"))


def test_a_folder_that_is_not_what_was_trained_is_an_error(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "TOLERANCE", -1.0)
    with pytest.raises(ArtefactError, match="differ from the trained one's"):
        train.make(recipe(**LORA), bench(parent, tmp_path / "out"))


def test_a_parent_without_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such folder"):
        train.make(recipe(), bench(tmp_path / "nothing", tmp_path / "out"))


def test_the_budget_pays_for_a_step_or_the_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="127 is less than one step"):
        recipe(tokens=127)


def variant(asked: Train, name: str) -> Variant:
    return Variant(
        name=name,
        format="hf",
        stage=asked.stage,
        technique=asked.label,
        parent="parent",
        licence="MIT",
        recipe=asked,
    )


def test_it_is_made_through_the_child_process(parent: Path, tmp_path: Path) -> None:
    """With a record, and no checkpoint left behind."""
    content = content_of(parent)
    wanted = variant(recipe(**LORA), "tuned")
    told: list[str] = []
    found = materialise(
        wanted,
        ref_of(wanted),
        Artefact(parent, content.sha256, content.bytes, None),
        base=tmp_path,
        report=told.append,
    )
    assert found.made is not None
    facts = found.made.facts
    assert isinstance(facts, TrainFacts)
    assert facts.training.steps == 16
    assert found.made.tools["peft"]
    assert any("step 16 of 16" in line for line in told)
    assert not list((tmp_path / "cache" / "models" / ".checkpoints").glob("*"))


def children() -> list[int]:
    """Process ids of our own children."""
    return [int(pid) for pid in Path("/proc/self/task").glob("*/children") for pid in _words(pid)]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find the maker")
def test_a_maker_that_is_told_to_end_goes_on_the_next_time(parent: Path, tmp_path: Path) -> None:
    """Nothing half is offered; the second run makes the same bytes as one without a break."""
    content = content_of(parent)
    asked = recipe(tokens=300 * 128, sequence=32, validations=3)
    wanted = variant(asked, "long")
    there = Artefact(parent, content.sha256, content.bytes, None)
    told: list[str] = []

    def report(line: str) -> None:
        told.append(line)
        if "step 150 of 300" in line and not any("going on" in each for each in told):
            for pid in children():
                os.kill(pid, signal.SIGTERM)

    with pytest.raises(SlmbenchError, match="interrupted after step"):
        materialise(wanted, ref_of(wanted), there, base=tmp_path, report=report)
    models = tmp_path / "cache" / "models"
    assert not list(models.glob("*/variant.json"))
    assert len(list((models / ".checkpoints").glob("*/step-*"))) == 1
    found = materialise(wanted, ref_of(wanted), there, base=tmp_path, report=report)
    assert found.made is not None
    facts = found.made.facts
    assert isinstance(facts, TrainFacts)
    assert facts.training.interruptions == 1
    assert not list((models / ".checkpoints").glob("*"))
    alone = train.make(asked, bench(parent, tmp_path / "alone", threads=found.made.threads))
    assert content_of(alone.path).sha256 == found.sha256
